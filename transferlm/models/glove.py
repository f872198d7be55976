"""GloVe: vectors whose products are the logarithms of how often words stand near one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.models._glove_kernels import descend
from transferlm.models._table_backed import TableBacked, factors, fitting
from transferlm.models.base import GrowingVectors
from transferlm.progress import Progress
from transferlm.seeding import derive
from transferlm.text.corpus import Corpus
from transferlm.vectors.cooccurrence import Pairs, count_pairs
from transferlm.vectors.table import WordTable
from transferlm.vectors.vocabulary import Sentences, Vocabulary
from transferlm.vectors.words import cut

__all__ = ["GloVe"]

_POWER = 0.75
"""Pennington et al. 2014, section 3: "a modest improvement over a linear version"."""
_WIDEST = 1000
_PART = 1 << 18
"""Pairs between two looks at the progress."""


@dataclass(eq=False)
class GloVe(TableBacked, GrowingVectors):
    """Global vectors (Pennington, Socher & Manning 2014): weighted least squares over a table of co-occurrences.

    With X the table, the loss (eq. 8) is the sum over X > 0 of f(X) (w . c + b + d - ln X)^2, f(X) = min(1, (X /
    x_max)^0.75), minimised by AdaGrad as in the authors' program; a word's vector is w + c. A pair with w . c + b + d
    = 0.25 and X = 10 weighs 0.1^0.75 = 0.178 at x_max 100 and adds 0.178 (0.25 - 2.303)^2 = 0.749.

    The co-occurrences are kept, so that those of new text are added to them, and words may be learnt from all that was
    read (`vocabulary_growth`). Memory follows the number of different pairs.
    """

    width: int = 100
    """Numbers a vector; 300 for a billion words."""
    window: int = 10
    """Most words to either side that count as near, by 1 / distance."""
    x_max: float = 100.0
    """Co-occurrences from which on a pair weighs 1; 10 suits texts below 100 million words."""
    minimum_count: int = 5
    """Occurrences that a word needs to get a vector."""
    epochs: int = 50
    """Passes over the pairs; 100 suit a width of 300."""
    learning_rate: float = 0.05
    """AdaGrad's step size at the start."""
    lowercase: bool = False
    """Read capital letters as small ones."""
    punctuation: bool = False
    """Split punctuation and symbols off as words of their own, for text that was not tokenised before."""

    nothing_yet: ClassVar[str] = "these word vectors have seen no text yet: pretrain them first"

    def __post_init__(self) -> None:
        for name in ("width", "window", "minimum_count", "epochs"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give 1 or more")
        if self.window > _WIDEST:
            raise SettingError(f"window {self.window}: give {_WIDEST:,} or less")
        for name in ("x_max", "learning_rate"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} {getattr(self, name)}: give a number above 0")
        self._counts: np.ndarray | None = None
        self._pairs: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._weights: np.ndarray | None = None
        self._squares: np.ndarray | None = None

    # ---------------------------------------------------------------- learning

    @property
    def trained(self) -> bool:
        """Whether it has seen text."""
        return self._table is not None

    def untrained(self, seed: int = 0) -> Self:  # noqa: ARG002 - weights are drawn once the words are known
        """The same hyper-parameters before any text."""
        return type(self)(**self.hyper_parameters())

    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:  # noqa: ARG002
        """Count words, then pairs, then train.

        Args:
            corpus: Texts, read twice.
            seed: Decides the first weights and the order of the pairs.
            checkpoints: Without effect: after an interruption training starts anew, to the same bits.

        Raises:
            DataError: No word is frequent enough, or none stands beside another.
        """
        fresh = self.untrained(seed)
        fresh._learn(corpus, derive(seed, "glove"), self.epochs, self.learning_rate, 1.0)
        self.__dict__.update(fresh.__dict__)
        return self

    def grow(
        self,
        corpus: Iterable[str],
        seed: int = 0,
        *,
        epochs: int = 5,
        learning_rate: float | None = None,
        plasticity: float = 1.0,
    ) -> None:
        """Add the new text's words and co-occurrences, then train on all that was counted.

        A new word must be read `minimum_count` times in the new text; what the old text said of it was not kept.
        """
        if not self.trained:
            raise DataError(self.nothing_yet)
        rate = self.learning_rate if learning_rate is None else learning_rate
        self._learn(corpus, derive(seed, "glove", "grow"), epochs, rate, plasticity)

    def _learn(self, corpus: Iterable[str], seed: int, epochs: int, rate: float, plasticity: float) -> None:
        corpus = Corpus.of(corpus)
        sentences = Sentences(corpus, self.lowercase, self.punctuation)
        vocabulary, _ = self._vocabulary().with_text(sentences, self.minimum_count)
        pairs = self._known_pairs().merge(self._count(corpus, vocabulary))
        if not len(pairs):
            raise DataError("no two known words stand near one another: there is nothing to learn from")
        weights, squares = self._started(len(vocabulary), seed)
        first, second = pairs.rows
        counts = pairs.counts.astype(np.float32)
        old = 0 if self._table is None else len(self._table)
        move = factors(len(vocabulary), old, plasticity)
        entries = 2 * len(pairs) - int(np.count_nonzero(first == second))
        with Progress("training GloVe", epochs * len(pairs), "pairs") as progress:
            for epoch in range(epochs):
                order, loss = np.random.default_rng(derive(seed, epoch)).permutation(len(pairs)), 0.0
                for start in range(0, len(order), _PART):
                    part = order[start : start + _PART]
                    loss += descend(
                        part, first, second, counts, weights, squares, move, np.float32(rate), self.x_max, _POWER
                    )
                    progress.advance(len(part))
                progress.advance(0, f"loss {loss / entries:.4f}")
        self._counts, self._pairs = vocabulary.counts, (first, second, counts)
        self._weights, self._squares = weights, squares
        self._table = WordTable.of(vocabulary.words, weights[0, :, :-1] + weights[1, :, :-1])

    def _count(self, corpus: Corpus, vocabulary: Vocabulary) -> Pairs:
        row_of = {word: row for row, word in enumerate(vocabulary.words)}

        def rows(progress: Progress) -> Iterator[np.ndarray]:
            for text in corpus:
                words = cut(text, self.lowercase, self.punctuation)
                yield np.fromiter((row_of.get(word, -1) for word in words), np.int64, len(words))
                progress.advance()

        with Progress("counting pairs of words", corpus.survey().texts, "texts") as progress:
            return count_pairs(rows(progress), self.window)

    def _started(self, words: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights drawn from -0.5 to 0.5 over the width and squares of 1, those of old words as they were."""
        shape = (2, words, self.width + 1)
        weights = (np.random.default_rng(seed).random(shape, np.float32) - np.float32(0.5)) / np.float32(self.width)
        squares = np.ones(shape, np.float32)
        if self._weights is not None:
            old = self._weights.shape[1]
            weights[:, :old], squares[:, :old] = self._weights, self._squares
        return weights, squares

    def _vocabulary(self) -> Vocabulary:
        if self._table is None or self._counts is None:
            return Vocabulary.empty()
        return Vocabulary(self._table.words, self._counts)

    def _known_pairs(self) -> Pairs:
        return Pairs.empty() if self._pairs is None else Pairs.of_rows(*self._pairs)

    # ---------------------------------------------------------------- storage

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = super()._arrays()
        assert self._pairs is not None
        first, second, together = self._pairs
        kept = {"counts": self._counts, "pairs.first": first, "pairs.second": second, "pairs.counts": together}
        kept |= {"weights": self._weights, "squares": self._squares}
        return arrays | {name: array for name, array in kept.items() if array is not None}

    def _adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        words, pairs = len(self.table), (len(arrays.get("pairs.counts", ())),)
        fitting(arrays, "vectors", np.float32, (words, self.width))
        self._counts = fitting(arrays, "counts", np.int64, (words,))
        self._pairs = (
            fitting(arrays, "pairs.first", np.uint32, pairs),
            fitting(arrays, "pairs.second", np.uint32, pairs),
            fitting(arrays, "pairs.counts", np.float32, pairs),
        )
        shape = (2, words, self.width + 1)
        self._weights = fitting(arrays, "weights", np.float32, shape)
        self._squares = fitting(arrays, "squares", np.float32, shape)
