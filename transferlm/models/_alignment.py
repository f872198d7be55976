"""How the tokens of several causal models stand to one another, so that their probabilities can be mixed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from transferlm.counts.symbols import BEGIN, END, FIRST_WORD, NOTHING, UNKNOWN
from transferlm.errors import DataError, UnsupportedError
from transferlm.models.base import Causal, Model, TokenScores, Vocabulary, digest
from transferlm.text.lexicon import Lexicon

__all__ = ["Aligned", "align"]

Scored = tuple[TokenScores, np.ndarray]
"""A text's tokens, and float64 (models, tokens): every model's natural logs of them."""


class Aligned(ABC):
    """Several models' scores of one text, token by token, and their distributions, column by column.

    Attributes:
        models: What is aligned; where one vocabulary is closed, all are scored as closed ones.
        tokenizer: How texts become the tokens that are scored.
        vocabulary: What the aligned probabilities are distributed over.
    """

    models: tuple[Causal, ...]
    tokenizer: Any
    vocabulary: Vocabulary

    @abstractmethod
    def scores(self, texts: Sequence[str], found: Sequence[Sequence[TokenScores]]) -> list[Scored]:
        """Each text's tokens (with the first model's logs), and the logs of all models.

        Args:
            texts: The texts.
            found: Each model's scores of them, a list a model.

        Raises:
            DataError: Two models cut a text differently.
        """

    @abstractmethod
    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Each model's distribution of the token after each context: float64 (models, contexts, vocabulary)."""


def align(models: Sequence[Causal]) -> Aligned:
    """Models with one vocabulary token by token; models by word, or by character, over the words of all of them.

    Raises:
        UnsupportedError: They cut texts differently.
    """
    if len({model.vocabulary.hash for model in models}) == 1:
        return _SameTokens(models)
    units = {model.tokenizer.unit for model in models}
    if len(units) > 1 or None in units:
        told = "; ".join(model.vocabulary.name for model in models)
        raise UnsupportedError(
            f"these models cut texts differently ({told}), so that their tokens can't be mixed: make one of them with"
            " the other's tokenizer, or all by word, or all by character"
        )
    if len({model.vocabulary.closed for model in models}) > 1:
        models = [_closed(model) for model in models]
    return _SameUnit(models)


class _SameTokens(Aligned):
    """One vocabulary: tokens and columns are the same."""

    def __init__(self, models: Sequence[Causal]) -> None:
        self.models = tuple(models)
        self.tokenizer, self.vocabulary = models[0].tokenizer, models[0].vocabulary

    def scores(self, texts: Sequence[str], found: Sequence[Sequence[TokenScores]]) -> list[Scored]:
        return [
            (own[0], np.stack([scores.log_probs for scores in own]))
            for _, own in zip(texts, zip(*found, strict=True), strict=True)
        ]

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        return np.stack([model.next_log_probs(contexts) for model in self.models])


class _SameUnit(Aligned):
    """Words (or characters) over the union of the vocabularies.

    Where unknown words are spelled out, every model has a probability for every word. In a closed vocabulary a model
    gives 0 to a word that only the others know: its unknown word stands for what none of them knows, so that the sum
    over all words and the unknown one stays 1.
    """

    def __init__(self, models: Sequence[Causal]) -> None:
        self.models = tuple(models)
        own = [_words_of(model.tokenizer) for model in models]
        unit = models[0].tokenizer.unit
        self.tokenizer = Lexicon.of({word for words in own for word in words}, unit)
        closed = models[0].vocabulary.closed
        told = "closed" if closed else "unknown ones spelled out"
        name = f"{unit}, {len(self.tokenizer):,} types, {told}"
        self.vocabulary = Vocabulary(name, self.tokenizer.size, closed, digest(self.tokenizer.hash, told))
        self._columns = [_columns(self.tokenizer, m.tokenizer, words) for m, words in zip(models, own, strict=True)]

    def scores(self, texts: Sequence[str], found: Sequence[Sequence[TokenScores]]) -> list[Scored]:
        encoded = self.tokenizer.encode(texts)
        aligned = []
        for row, (text, own) in enumerate(zip(texts, zip(*found, strict=True), strict=True)):
            ids = encoded.ids[encoded.starts[row] + 1 : encoded.starts[row + 1]].astype(np.int32)
            offsets = own[0].offsets
            if any(not np.array_equal(scores.offsets, offsets) for scores in own[1:]) or len(ids) != len(offsets):
                raise DataError(f"the models cut a text differently, so it can't be scored by all: {text[:60]!r}")
            logs = np.stack([self._known(model, scores, ids) for model, scores in zip(self.models, own, strict=True)])
            aligned.append((TokenScores(logs[0], offsets, ids), logs))
        return aligned

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        return np.stack(
            [self._spread(place, model.next_log_probs(contexts)) for place, model in enumerate(self.models)]
        )

    def _known(self, model: Causal, scores: TokenScores, ids: np.ndarray) -> np.ndarray:
        if not self.vocabulary.closed:
            return scores.log_probs
        others = (scores.ids == model.tokenizer.unknown_id) & (ids != UNKNOWN)
        return np.where(others, -np.inf, scores.log_probs)

    def _spread(self, place: int, logs: np.ndarray) -> np.ndarray:
        """A model's columns in their places among those of the union."""
        columns = self._columns[place]
        spread = np.full((len(logs), self.vocabulary.size), -np.inf)
        spread[:, columns >= 0] = logs[:, columns[columns >= 0]]
        if not self.vocabulary.closed and len(self._strangers[place]):
            unknown = spread[:, [UNKNOWN]]
            spread[:, self._strangers[place]] = unknown + self._spelled[place]
            spread[:, [UNKNOWN]] = unknown + np.log1p(-np.exp(self._spelled[place]).sum())
        return spread

    @cached_property
    def _strangers(self) -> list[np.ndarray]:
        """The words of the union that each model spells out."""
        return [np.flatnonzero(columns[FIRST_WORD:] < 0) + FIRST_WORD for columns in self._columns]

    @cached_property
    def _spelled(self) -> list[np.ndarray]:
        """Natural logs of the share of the unknown word that each of those has."""
        return [
            _spelling(model, [self.tokenizer.word(symbol) for symbol in strangers.tolist()])
            for model, strangers in zip(self.models, self._strangers, strict=True)
        ]


def _spelling(model: Causal, words: Sequence[str]) -> np.ndarray:
    """How probable a model holds each spelling, given that the first word of a text is unknown."""
    if not words:
        return np.zeros(0)
    unknown = model.next_log_probs([""])[0, model.tokenizer.unknown_id]
    spelled: np.ndarray = np.array([scores.log_probs[0] for scores in model.token_scores(words)]) - unknown
    return spelled


def _words_of(tokenizer: Any) -> list[str]:
    """Every word (or character) that it knows, special tokens left out."""
    if isinstance(tokenizer, Lexicon):
        return list(tokenizer)
    special = tokenizer.special_ids
    return [word for i, word in enumerate(tokenizer.vocabulary) if i not in special and word]


def _columns(union: Lexicon, tokenizer: Any, words: Sequence[str]) -> np.ndarray:
    """The tokenizer's id of each symbol of the union, -1 where it has none."""
    columns = np.full(union.size, -1, np.int64)
    columns[[END, UNKNOWN]] = tokenizer.end_id, tokenizer.unknown_id
    if isinstance(tokenizer, Lexicon):
        columns[[NOTHING, BEGIN]] = NOTHING, BEGIN
        own = np.arange(FIRST_WORD, tokenizer.size)
    else:  # what a softmax gives these two is lost to the words, and kept, so that the sum stays 1
        columns[[NOTHING, BEGIN]] = tokenizer.pad_id, tokenizer.begin_id
        special = tokenizer.special_ids
        own = np.array([i for i, word in enumerate(tokenizer.vocabulary) if i not in special and word], np.int64)
    columns[[union.id_of(word) for word in words]] = own
    return columns


def _closed(model: Causal) -> Causal:
    """The model, its unknown words one token."""
    if model.vocabulary.closed:
        return model
    assert isinstance(model, Model)
    if "open_vocabulary" not in model.adjustable:
        raise UnsupportedError(
            f"{model.vocabulary.name}: it can't be scored as a closed vocabulary, as another of these models is"
        )
    twin = model.copy()
    twin.adjust(open_vocabulary=False)
    return twin
