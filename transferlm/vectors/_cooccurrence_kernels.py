"""The loop behind `count_pairs`."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["emit"]

_SIDE = np.uint64(32)


@njit(cache=True, nogil=True)
def emit(rows: np.ndarray, at: int, window: int, keys: np.ndarray, weights: np.ndarray, filled: int) -> tuple[int, int]:
    """Write the pairs of each word with those before it, until the words or the room end.

    Args:
        rows: int64 (words,), none of them below 0.
        at: The first word whose pairs are wanted.
        window: Most words back.
        keys: uint64, takes each pair's smaller row times 2 ** 32 plus its larger one.
        weights: float64, takes 1 / distance; twice that for a word and itself, which stand in both orders.
        filled: Places taken already.

    Returns:
        The word to go on with, and the places taken now. No word's pairs are parted.
    """
    while at < len(rows):
        first = max(0, at - window)
        if filled + at - first > len(keys):
            break
        for other in range(first, at):
            low, high = min(rows[at], rows[other]), max(rows[at], rows[other])
            keys[filled] = np.uint64(low) << _SIDE | np.uint64(high)
            weights[filled] = (2.0 if low == high else 1.0) / (at - other)
            filled += 1
        at += 1
    return at, filled
