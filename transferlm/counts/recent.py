"""What was read a short while ago: counts of n-grams that fade as reading goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from transferlm.counts import _recent_kernels as kernels
from transferlm.errors import SettingError

__all__ = ["HIGHEST_ORDER", "Recent", "faded"]

HIGHEST_ORDER = 4
"""Longest n-gram remembered: four symbols of 32 bits are one key of the table, so that no two are ever confused."""

_REACH = 30
"""Half-lives after which an occurrence is forgotten: a billionth of it is left. So memory stays bounded."""

_FEWEST_SLOTS = 1 << 10


class Recent:
    """Fading counts of the n-grams of a stream of symbols: after a half-life, half of an occurrence is left.

    Args:
        half_lives: Positions in which a count halves, one an order, unigrams first; 1 to 4 orders.

    Raises:
        SettingError: No or too many half-lives, or one that is not above 0.
    """

    def __init__(self, half_lives: Sequence[float]) -> None:
        if not 1 <= len(half_lives) <= HIGHEST_ORDER:
            raise SettingError(f"{len(half_lives)} half-lives: give 1 to {HIGHEST_ORDER}")
        for half_life in half_lives:
            if not 0 < half_life < float("inf"):
                raise SettingError(f"a half-life of {half_life}: give a number of tokens above 0")
        self._grams = [_Memory(order + 1, half_life, 0) for order, half_life in enumerate(half_lives)]
        self._contexts = [_Memory(order, half_life, 1) for order, half_life in enumerate(half_lives)]
        self._tail = np.zeros(0, np.uint32)
        self._read = 0

    def read(self, ids: np.ndarray, starts: np.ndarray, stream: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Read on, and tell what was remembered at each position, itself not yet included.

        Args:
            ids: uint32 (positions,): texts one after the other.
            starts: int64 (texts + 1,): where each begins, and where the last ends.
            stream: Whether what earlier texts held, in earlier calls too, is remembered; else each text is on its own.

        Returns:
            Two arrays float64 (positions, orders), column k for the k symbols before: how often the symbol followed
            them, and how often anything did.
        """
        longest = len(self._grams) - 1
        joined = np.concatenate([self._tail, np.asarray(ids, np.uint32)])
        begin = len(self._tail)
        first = np.zeros(len(ids), np.int64) if stream else np.repeat(starts[:-1], np.diff(starts)) + self._read
        counts, totals = np.empty((2, len(self._grams), len(ids)))
        for order, (grams, contexts) in enumerate(zip(self._grams, self._contexts, strict=True)):
            grams.recall(joined, first, begin, self._read - begin, counts[order])
            contexts.recall(joined, first, begin, self._read - begin, totals[order])
        self._read += len(ids)
        self._tail = joined[len(joined) - min(longest, len(joined)) :]
        return counts.T, totals.T


class _Memory:
    """Fading counts of the n-grams of one length, or of the contexts of that length that end `back` positions ago."""

    def __init__(self, length: int, half_life: float, back: int) -> None:
        self.length, self.back = length, back
        self.rate, self.reach = math.log(2) / half_life, math.ceil(_REACH * half_life)
        self.used = 0
        self._empty(_FEWEST_SLOTS)

    def recall(self, ids: np.ndarray, floors: np.ndarray, begin: int, before: int, found: np.ndarray) -> None:
        if not len(found):
            return
        self._make_room(len(found), int(floors[0]), before + begin)
        look = cast(Any, kernels.recall)
        self.used += look(
            ids, floors, begin, before, self.length, self.back, self.rate, self.reach,
            self.keys, self.values, self.last, found,
        )  # fmt: skip

    def _make_room(self, more: int, floor: int, now: int) -> None:
        """Have at most half of the slots in use after `more` entries; what is forgotten goes first."""
        if 2 * (self.used + more) <= len(self.last):
            return
        kept = (self.last >= floor) & (self.last >= now - self.reach)
        entries = self.keys[kept], self.values[kept], self.last[kept]
        self.used = len(entries[2])
        self._empty(1 << (2 * (self.used + more) - 1).bit_length())
        kernels.refill(self.keys, self.values, self.last, *entries)

    def _empty(self, slots: int) -> None:
        slots = max(slots, _FEWEST_SLOTS)
        self.keys, self.values = np.zeros((slots, 2), np.uint64), np.zeros(slots)
        self.last = np.full(slots, -1, np.int64)


def faded(ids: np.ndarray, half_lives: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """What is remembered of every symbol at the end of one text, as `Recent` would tell it of the next position.

    Args:
        ids: (positions,), the text.
        half_lives: As for `Recent`.

    Returns:
        An order each, unigrams first: positions whose symbol followed what the text ends in, and what is left of each
        such occurrence.

    >>> places, left = faded(np.array([7, 8, 7]), [1.0, 1.0])[1]
    >>> places.tolist(), left.tolist()
    ([1], [0.25])
    """
    found = []
    for k, half_life in enumerate(half_lives):
        places = np.arange(k, len(ids))
        for back in range(1, k + 1):
            places = places[ids[places - back] == ids[len(ids) - back]] if len(ids) >= back else places[:0]
        ages = len(ids) - places
        near = ages <= math.ceil(_REACH * half_life)
        found.append((places[near], np.exp2(-ages[near] / half_life)))
    return found
