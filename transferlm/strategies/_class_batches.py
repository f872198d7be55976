"""Batches in which every class stands beside others: what pairs of alike and unlike texts are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from transferlm.seeding import derive

__all__ = ["ClassBatches"]


class ClassBatches:
    """Batches with equally many texts of each class, drawn as they are asked for; no list of pairs is ever made.

    A batch of b texts holds b (b - 1) / 2 pairs, and each text is encoded once for all of its pairs. Every class walks
    through its texts in one random order after another: all are shown equally often, those of a small class more often.

    Args:
        targets: int64 of shape (rows,): the class of each row.
        batch_size: Texts a batch at the most. A batch has at least two classes and two texts of each, or all texts of a
            class that has fewer; where there are too many classes for that, each batch has some of them, drawn anew.
        seed: Decides every order.

    >>> batches = ClassBatches(np.array([0] * 10 + [1] * 4), batch_size=8, seed=0)
    >>> [np.bincount(batches.targets[rows]).tolist() for rows in batches(0)]
    [[4, 4], [4, 4]]
    """

    def __init__(self, targets: np.ndarray, batch_size: int, seed: int) -> None:
        self.targets, self.seed = targets, seed
        self.rows = [np.flatnonzero(targets == label) for label in np.unique(targets)]
        self.classes = min(len(self.rows), max(2, batch_size // 2))
        self.each = max(2, batch_size // self.classes)
        self.size = sum(min(self.each, len(rows)) for rows in self.rows) * self.classes // len(self.rows)
        self.count = max(1, -(-len(targets) // max(1, self.size)))

    def __call__(self, epoch: int) -> Sequence[np.ndarray]:
        """The batches of one epoch, as many as show each text about once: row numbers, int64."""
        return [self._batch(epoch * self.count + place) for place in range(self.count)]

    def _batch(self, number: int) -> np.ndarray:
        chosen = np.arange(len(self.rows))
        if self.classes < len(self.rows):
            generator = np.random.default_rng(derive(self.seed, "classes", number))
            chosen = np.sort(generator.permutation(len(self.rows))[: self.classes])
        return np.concatenate([self._drawn(int(label), number) for label in chosen])

    def _drawn(self, label: int, number: int) -> np.ndarray:
        """The next texts of a class, none twice in a batch: round and round an order until it ends with a batch."""
        rows = self.rows[label]
        each = min(self.each, len(rows))
        turn, place = divmod(number, len(rows) // math.gcd(len(rows), each))
        generator = np.random.default_rng(derive(self.seed, "order", label, turn))
        found: np.ndarray = np.take(generator.permutation(rows), range(place * each, (place + 1) * each), mode="wrap")
        return found
