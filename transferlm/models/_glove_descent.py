"""How GloVe is trained by several threads to the same bits: pairs in cells, and cells in rounds that share no word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

import numpy as np

from transferlm.models._glove_kernels import descend
from transferlm.progress import Progress
from transferlm.seeding import derive
from transferlm.vectors.cooccurrence import BLOCKS, Pairs
from transferlm.vectors.table import read_only

__all__ = ["Descent", "rounds"]

_POWER = 0.75
"""Pennington et al. 2014, section 3: "a modest improvement over a linear version"."""

Cell = tuple[int, int]


@dataclass(eq=False)
class Descent:
    """Weights on their way down the loss of eq. 8.

    A step changes rows of the words of one pair only. The cells of a round share no word, so that they may be worked on
    at once and in any order: the result is that of one thread to the bit. Rounds, and the pairs within a cell, are
    shuffled anew each epoch. It is the schedule of Gemulla et al. (2011, section 4), for a symmetric table.

    Attributes:
        pairs: What is learnt from.
        weights: float32 (2, words, width + 1): vectors and context vectors, the bias last.
        squares: float32 of that shape: 1 plus the sums of squared steps (AdaGrad).
        x_max: Co-occurrences from which on a pair weighs 1.
        seed: Decides all orders.
        threads: How many work at it; 0 takes as many as there are cores.
        moving: float32 (words, 2): how far each word's vectors and its biases may move, 1 freely, 0 not at all.
    """

    pairs: Pairs
    weights: np.ndarray
    squares: np.ndarray
    x_max: float
    seed: int
    threads: int
    moving: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.moving = np.ones((self.weights.shape[1], 2), np.float32)

    def run(self, epochs: int, rate: float) -> None:
        """Take a step for every pair, in both orders, in every epoch."""
        schedule, borders = list(rounds()), self.pairs.borders().tolist()
        places = {cell: slice(*borders[at : at + 2]) for at, cell in enumerate(_cells())}
        terms = 2 * len(self.pairs) - int(np.count_nonzero(self.pairs.first == self.pairs.second))
        with (
            Progress("training GloVe", epochs * len(self.pairs), "pairs") as progress,
            ThreadPoolExecutor(self.threads or os.cpu_count() or 1) as pool,
        ):
            for epoch in range(epochs):
                loss = 0.0
                for at in np.random.default_rng(derive(self.seed, epoch)).permutation(len(schedule)).tolist():
                    cells = [cell for cell in schedule[at] if places[cell].start < places[cell].stop]
                    seeds = [derive(self.seed, epoch, *cell) for cell in cells]
                    parts = pool.map(self._step, [places[cell] for cell in cells], seeds, [rate] * len(cells))
                    for cell, part in zip(cells, parts, strict=True):
                        loss += part
                        progress.advance(places[cell].stop - places[cell].start)
                progress.advance(0, f"loss {loss / terms:.4f}")

    def _step(self, place: slice, seed: int, rate: float) -> float:
        """One pass over a cell; the sum of its terms."""
        order = np.random.default_rng(seed).permutation(place.stop - place.start)
        pairs = self.pairs
        first, second, counts = (read_only(array[place]) for array in (pairs.first, pairs.second, pairs.counts))
        loss: float = descend(
            order,
            first,
            second,
            counts,
            self.weights,
            self.squares,
            self.moving,
            np.float32(rate),
            self.x_max,
            _POWER,
        )
        return loss


def rounds() -> Iterator[list[Cell]]:
    """All cells, in rounds whose cells share no block.

    Each block with itself; then each with each other, as in a tournament: one block stays and the others go round.
    """
    yield [(block, block) for block in range(BLOCKS)]
    last = BLOCKS - 1
    for turn in range(last):
        meet = [(turn, last), *(((turn + by) % last, (turn - by) % last) for by in range(1, BLOCKS // 2))]
        yield [(min(pair), max(pair)) for pair in meet]


def _cells() -> Iterator[Cell]:
    """Cells in the order in which pairs lie."""
    return combinations_with_replacement(range(BLOCKS), 2)
