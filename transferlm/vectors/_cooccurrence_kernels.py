"""The loops behind `count_pairs`: pairs as numbers that sort by cell, and sums of equal ones."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["BLOCKS", "ROW_BITS", "emit", "keys_of"]

BLOCKS = 16
"""Blocks that the rows of words are dealt into, row by row; two of them, or one with itself, are a cell of pairs.

Words of a block are as frequent as those of another, and pairs of cells that share no block share no word.
"""
ROW_BITS = 28
_ROW, _CELL = np.uint64(ROW_BITS), np.uint64(2 * ROW_BITS)
_ONE = 2.0**32


@njit(cache=True, nogil=True)
def _key(low: int, high: int) -> np.uint64:
    """A pair's cell, its smaller row and its larger one, in 8, 28 and 28 bits: cells are numbered (0, 0), (0, 1) ..."""
    one, other = low % BLOCKS, high % BLOCKS
    near, far = min(one, other), max(one, other)
    cell = near * BLOCKS - near * (near - 1) // 2 + far - near
    return np.uint64(cell) << _CELL | np.uint64(low) << _ROW | np.uint64(high)


@njit(cache=True, nogil=True)
def emit(rows: np.ndarray, at: int, window: int, keys: np.ndarray, sums: np.ndarray, filled: int) -> tuple[int, int]:
    """Write the pairs of each word with those before it, until the words or the room end.

    Args:
        rows: int64 (words,), none of them below 0.
        at: The first word whose pairs are wanted.
        window: Most words back.
        keys: uint64, takes each pair's key.
        sums: uint64, takes 2 ** 32 / distance, a whole number, so that the order of adding changes nothing; twice that
            for a word and itself, which stand in both orders.
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
            keys[filled] = _key(low, high)
            sums[filled] = np.uint64(round((2.0 if low == high else 1.0) * _ONE / (at - other)))
            filled += 1
        at += 1
    return at, filled


@njit(cache=True, nogil=True)
def keys_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Keys of pairs, uint64 (pairs,), the smaller rows given first."""
    keys = np.empty(len(first), np.uint64)
    for at in range(len(first)):
        keys[at] = _key(int(first[at]), int(second[at]))
    return keys
