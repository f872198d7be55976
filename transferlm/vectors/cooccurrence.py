"""How often words stand near one another: weighted counts of pairs over windows, in memory bounded by the pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from transferlm.vectors._cooccurrence_kernels import emit

__all__ = ["Pairs", "count_pairs"]

_BLOCK = 1 << 22
"""Pairs that are gathered before they are sorted and summed: 67 MB."""
_SIDE = np.uint64(32)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of words and their weighted counts, in rising order.

    Attributes:
        keys: uint64 (pairs,): the smaller row times 2 ** 32, plus the larger one.
        counts: float64 (pairs,), above 0: X of Pennington et al., the same in both orders.
    """

    keys: np.ndarray
    counts: np.ndarray

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The smaller and the larger row of each pair: uint32 (pairs,) each."""
        return (self.keys >> _SIDE).astype(np.uint32), self.keys.astype(np.uint32)

    @classmethod
    def of_rows(cls, first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> Pairs:
        """Pairs from what `rows` gave."""
        return cls(first.astype(np.uint64) << _SIDE | second.astype(np.uint64), counts.astype(np.float64))

    @classmethod
    def empty(cls) -> Pairs:
        """No pairs."""
        return cls(np.zeros(0, np.uint64), np.zeros(0))

    def __len__(self) -> int:
        return len(self.keys)

    def merge(self, other: Pairs) -> Pairs:
        """The sum of both."""
        return _summed(np.concatenate([self.keys, other.keys]), np.concatenate([self.counts, other.counts]))


def count_pairs(texts: Iterable[np.ndarray], window: int) -> Pairs:
    """Count each pair of words that stand at most `window` words apart, by 1 / distance, in both orders.

    The weights are Pennington et al.'s (2014, section 4.2); windows are symmetric, end with the text, and reach over
    unknown words as if they were not there (as the authors' program does). Blocks of pairs are sorted and summed as
    they fill, and sums of like size joined, so that memory follows the number of different pairs, not of words read.

    Args:
        texts: Rows of the words of each text, int64; -1 is unknown.
        window: Most words that a pair stands apart, 1 to 1,000.

    >>> import numpy as np
    >>> pairs = count_pairs([np.array([0, 1, 0])], window=2)
    >>> [rows.tolist() for rows in pairs.rows], pairs.counts.tolist()
    ([[0, 0], [0, 1]], [1.0, 2.0])
    """
    sums: list[Pairs] = []
    for keys, weights in _blocks(texts, window):
        sums.append(_summed(keys, weights))
        while len(sums) > 1 and len(sums[-2]) < 2 * len(sums[-1]):
            sums[-2:] = [sums[-2].merge(sums[-1])]
    while len(sums) > 1:
        sums[-2:] = [sums[-2].merge(sums[-1])]
    return sums[0] if sums else Pairs.empty()


def _blocks(texts: Iterable[np.ndarray], window: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Keys and weights of the pairs in the order of the texts, `_BLOCK` or fewer at a time."""
    keys, weights = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK)
    filled = 0
    for text in texts:
        rows = text[text >= 0]
        at = 0
        while at < len(rows):
            at, filled = emit(rows, at, window, keys, weights, filled)
            if at < len(rows):
                yield keys[:filled], weights[:filled]
                filled = 0
    if filled:
        yield keys[:filled], weights[:filled]


def _summed(keys: np.ndarray, counts: np.ndarray) -> Pairs:
    """Each key once, its counts added up in the order they came in."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    return Pairs(keys[starts], np.add.reduceat(counts[order], starts) if len(keys) else counts)
