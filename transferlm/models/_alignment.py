"""How the tokens of several causal models stand to one another, so that their probabilities can be mixed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from transferlm.counts.symbols import UNKNOWN
from transferlm.errors import DataError, UnsupportedError
from transferlm.models._over_words import Rows, closed, lexicon_of, over_words
from transferlm.models.base import Causal, TokenScores, Vocabulary, digest
from transferlm.text.lexicon import Lexicon

__all__ = ["Aligned", "Scored", "align"]

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

    @abstractmethod
    def over_words(self, lexicon: Lexicon) -> list[Rows]:
        """Each model's distributions over the words of a lexicon that has all of theirs."""


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
    if any(model.vocabulary.closed for model in models):
        models = [closed(model) for model in models]
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

    def over_words(self, lexicon: Lexicon) -> list[Rows]:
        return [over_words(model, lexicon) for model in self.models]


class _SameUnit(Aligned):
    """Words (or characters) over the union of the vocabularies.

    Where unknown words are spelled out, every model has a probability for every word. In a closed vocabulary a model
    gives 0 to a word that only the others know: its unknown word stands for what none of them knows, so that the sum
    over all words and the unknown one stays 1.
    """

    def __init__(self, models: Sequence[Causal]) -> None:
        self.models = tuple(models)
        unit = models[0].tokenizer.unit
        self.tokenizer = lexicon_of([model.tokenizer for model in models], unit)
        is_closed = models[0].vocabulary.closed
        told = "closed" if is_closed else "unknown ones spelled out"
        name = f"{unit}, {len(self.tokenizer):,} types, {told}"
        self.vocabulary = Vocabulary(name, self.tokenizer.size, is_closed, digest(self.tokenizer.hash, told))

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
        return np.stack([rows(contexts) for rows in self._rows])

    def over_words(self, lexicon: Lexicon) -> list[Rows]:
        return [over_words(model, lexicon) for model in self.models]

    @cached_property
    def _rows(self) -> list[Rows]:
        return self.over_words(self.tokenizer)

    def _known(self, model: Causal, scores: TokenScores, ids: np.ndarray) -> np.ndarray:
        if not self.vocabulary.closed:
            return scores.log_probs
        others = (scores.ids == model.tokenizer.unknown_id) & (ids != UNKNOWN)
        return np.where(others, -np.inf, scores.log_probs)
