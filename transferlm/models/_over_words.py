"""A causal model's distributions over the words of a larger lexicon, and as a closed vocabulary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from transferlm.counts.symbols import BEGIN, END, NOTHING, UNKNOWN
from transferlm.errors import UnsupportedError
from transferlm.models.base import Causal, Model
from transferlm.text.lexicon import Lexicon

__all__ = ["Composite", "Rows", "closed", "leaf", "lexicon_of", "over_words"]

Rows = Callable[[Sequence[str]], np.ndarray]
"""Contexts to natural logs of what comes next: float64 (contexts, symbols of a lexicon)."""


class Composite(ABC):
    """A causal model that speaks for others: what depends on its parts is asked of them."""

    @property
    @abstractmethod
    def newest(self) -> Model:
        """The part that a model of the same kind would be like."""

    @abstractmethod
    def over_words(self, lexicon: Lexicon) -> Rows:
        """Its distributions over the words of a lexicon that has all of its own."""

    @abstractmethod
    def closed(self) -> Self:
        """The same with every part's unknown words one token."""


def leaf(model: Model) -> Model:
    """The model itself, or of a composite the newest part that is none."""
    while isinstance(model, Composite):
        model = model.newest
    return model


def over_words(model: Causal, lexicon: Lexicon) -> Rows:
    """A model's distributions over the words of a lexicon that has all of its own.

    Where it spells unknown words out, those it does not know have the probability of their spelling; in a closed
    vocabulary they have none: its unknown word stands for what the lexicon does not know either.
    """
    return model.over_words(lexicon) if isinstance(model, Composite) else _Spread(model, lexicon)


def closed(model: Causal) -> Causal:
    """The model, its unknown words one token; itself where they are already.

    Raises:
        UnsupportedError: It can't be scored so.
    """
    if model.vocabulary.closed:
        return model
    if isinstance(model, Composite):
        return model.closed()
    assert isinstance(model, Model)
    if "open_vocabulary" not in model.adjustable:
        raise UnsupportedError(
            f"{model.vocabulary.name}: it can't be scored as a closed vocabulary, as another of these models is"
        )
    twin = model.copy()
    twin.adjust(open_vocabulary=False)
    return twin


def lexicon_of(tokenizers: Sequence[Any], unit: Any) -> Lexicon:
    """The words (or characters) of all tokenizers, special tokens left out."""
    whole = Lexicon.of([], unit)
    for tokenizer in tokenizers:
        whole = whole.union(tokenizer if isinstance(tokenizer, Lexicon) else _words(tokenizer))[0]
    return whole


def _words(tokenizer: Any) -> Lexicon:
    special = tokenizer.special_ids
    return Lexicon.of((w for i, w in enumerate(tokenizer.vocabulary) if i not in special and w), tokenizer.unit)


class _Spread:
    """A single model's columns in their places among those of a lexicon."""

    def __init__(self, model: Causal, lexicon: Lexicon) -> None:
        self._model, self._size = model, lexicon.size
        tokenizer = model.tokenizer
        self._columns = np.full(lexicon.size, -1, np.int64)
        self._columns[[END, UNKNOWN]] = tokenizer.end_id, tokenizer.unknown_id
        if isinstance(tokenizer, Lexicon):
            self._columns[lexicon.union(tokenizer)[2]] = np.arange(tokenizer.size)
        else:  # what a softmax gives padding and beginning is lost to the words, and kept, so that the sum stays 1
            self._columns[[NOTHING, BEGIN]] = tokenizer.pad_id, tokenizer.begin_id
            special = tokenizer.special_ids
            for own, word in enumerate(tokenizer.vocabulary):
                if own not in special and word:
                    self._columns[lexicon.id_of(word)] = own
        self._strangers = np.flatnonzero(self._columns < 0)
        self._spelled = np.zeros(0)
        if not model.vocabulary.closed and len(self._strangers):
            self._spelled = self._spelling([lexicon.word(symbol) for symbol in self._strangers.tolist()])

    def __call__(self, contexts: Sequence[str]) -> np.ndarray:
        logs, known = self._model.next_log_probs(contexts), self._columns >= 0
        rows = np.full((len(contexts), self._size), -np.inf)
        rows[:, known] = logs[:, self._columns[known]]
        if len(self._spelled):
            unknown = rows[:, [UNKNOWN]]
            rows[:, self._strangers] = unknown + self._spelled
            rows[:, [UNKNOWN]] = unknown + np.log1p(-np.exp(self._spelled).sum())
        return rows

    def _spelling(self, words: Sequence[str]) -> np.ndarray:
        """The share of the unknown word that each spelling has, in logs: the same in every context."""
        unknown = self._model.next_log_probs([""])[0, self._model.tokenizer.unknown_id]
        shares: np.ndarray = np.array([scores.log_probs[0] for scores in self._model.token_scores(words)]) - unknown
        return shares
