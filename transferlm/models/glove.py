"""GloVe: vectors whose products are the logarithms of how often words stand near one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.models._glove_descent import Descent
from transferlm.models._table_backed import Shapes, factors
from transferlm.models._trained_table import Text, TrainedTable
from transferlm.progress import Progress
from transferlm.vectors.cooccurrence import LEAST_MEMORY, MOST_WORDS, Pairs, count_pairs

__all__ = ["GloVe"]

_WIDEST = 1000
_GIGABYTE = 1 << 30


@dataclass(eq=False)
class GloVe(TrainedTable):
    """Global vectors (Pennington, Socher & Manning 2014): weighted least squares over a table of co-occurrences.

    With X the table, the loss (eq. 8) is the sum over X > 0 of f(X) (w . c + b + d - ln X)^2, f(X) = min(1, (X /
    x_max)^0.75), minimised by AdaGrad as in the authors' program; a word's vector is w + c. A pair with w . c + b + d
    = 0.25 and X = 10 weighs 0.1^0.75 = 0.178 at x_max 100 and adds 0.178 (0.25 - 2.303)^2 = 0.749.

    The co-occurrences are kept, so that those of new text are added to them, and words may be learnt from all that was
    read (`vocabulary_growth`). Vectors of a pretrained table can be laid in first, half of each as w and half as c.
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
    threads: int = 0
    """How many work at once, 0 as many as there are cores; the result is the same to the bit."""
    memory: float = 1.0
    """Gigabytes that counting may take. Beyond them co-occurrences are counted and trained from on disk, in the folder
    for temporary files; the result is the same to the bit."""
    lowercase: bool = False
    """Read capital letters as small ones."""
    punctuation: bool = False
    """Split punctuation and symbols off as words of their own, for text that was not tokenised before."""
    chinese: Literal["spaces", "characters", "words"] = "spaces"
    """Words of Chinese: parted by spaces like any others, or each character one, or cut by `rjieba` (an extra)."""
    pretrained: str | None = None
    """Word vectors of this width to start from: a file, fetched name or model's folder; none draws all at random."""
    pretrained_words: Literal["trained", "frozen", "overwritten"] = "trained"
    """Their vectors are trained on, stay as they are while the rest moves about them, or overwrite the learnt ones."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"threads", "memory"})

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_least_one("window")
        if self.window > _WIDEST:
            raise SettingError(f"window {self.window}: give {_WIDEST:,} or less")
        if not self.x_max > 0:
            raise SettingError(f"x_max {self.x_max}: give a number above 0")
        if self.threads < 0:
            raise SettingError(f"threads {self.threads}: give 1 or more, or 0 for as many as there are cores")
        if not self.memory * _GIGABYTE >= LEAST_MEMORY:
            raise SettingError(f"memory {self.memory}: give gigabytes, 0.001 or more")

    # ---------------------------------------------------------------- learning

    def _engine(self, text: Text) -> Descent:
        """Pairs counted, weights drawn from -0.5 to 0.5 over the width, squares of 1."""
        if len(text.vocabulary) > MOST_WORDS:
            raise DataError(f"{len(text.vocabulary):,} words: give a higher minimum_count, {MOST_WORDS:,} can be held")
        pairs = self._count(text)
        if not len(pairs):
            raise DataError("no two known words stand near one another: there is nothing to learn from")
        shape = (2, len(text.vocabulary), self.width + 1)
        weights = (np.random.default_rng(text.seed).random(shape, np.float32) - np.float32(0.5)) / np.float32(
            self.width
        )
        return Descent(pairs, weights, np.ones(shape, np.float32), self.x_max, text.seed, self.threads)

    def _count(self, text: Text) -> Pairs:
        """The co-occurrences of the text, and of all that was read before."""
        row_of = {word: row for row, word in enumerate(text.vocabulary.words)}

        def rows(progress: Progress) -> Iterator[np.ndarray]:
            for each in text.corpus:
                words = self.words_of(each)
                yield np.fromiter((row_of.get(word, -1) for word in words), np.int64, len(words))
                progress.advance()

        before = self._pairs() if self.trained else None
        with Progress("counting pairs of words", text.corpus.survey().texts, "texts") as progress:
            return count_pairs(rows(progress), self.window, before, int(self.memory * _GIGABYTE))

    def _pairs(self) -> Pairs:
        pairs = Pairs(*(self._state[f"pairs.{name}"] for name in ("first", "second", "counts")))
        pairs.check(len(self.table))
        return pairs

    def _lay_in(self, engine: Descent, plasticity: float) -> None:
        old = len(self.table)
        engine.weights[:, :old], engine.squares[:, :old] = self._state["weights"], self._state["squares"]
        engine.moving[:] = factors(engine.weights.shape[1], old, plasticity)[:, None]

    def _hold(self, engine: Descent, moving: np.ndarray) -> None:
        engine.moving[:, 0] = moving  # biases tell how frequent a word is in this text, and are no part of its vector

    def _set_vectors(self, engine: Descent, rows: np.ndarray, vectors: np.ndarray) -> None:
        engine.weights[:, rows, :-1] = vectors / 2

    def _run(self, engine: Descent, text: Text, epochs: int, rate: float) -> None:  # noqa: ARG002 - its pairs are counted
        engine.run(epochs, rate)

    # ---------------------------------------------------------------- storage

    def _read(self, engine: Descent) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        pairs = engine.pairs
        kept = {"pairs.first": pairs.first, "pairs.second": pairs.second, "pairs.counts": pairs.counts}
        vectors = engine.weights[0, :, :-1] + engine.weights[1, :, :-1]
        return vectors, kept | {"weights": engine.weights, "squares": engine.squares}

    def _shapes(self, words: int, arrays: Mapping[str, np.ndarray]) -> Shapes:
        pairs, weights = (len(arrays.get("pairs.counts", ())),), (2, words, self.width + 1)
        return {
            "pairs.first": (np.uint32, pairs),
            "pairs.second": (np.uint32, pairs),
            "pairs.counts": (np.float32, pairs),
            "weights": (np.float32, weights),
            "squares": (np.float32, weights),
        }
