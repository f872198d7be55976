"""The loops behind `Recent`: a hash table of n-grams whose counts fade with every position."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["recall", "refill"]

_SPREAD, _STIR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_WORD, _ONE = np.uint64(32), np.uint64(1)


@njit(cache=True, nogil=True)
def _find(keys: np.ndarray, last: np.ndarray, high: np.uint64, low: np.uint64) -> np.int64:
    """The slot of a key, or the empty one where it belongs; a slot is empty where `last` is below 0."""
    mask = len(last) - 1
    mixed = (high * _SPREAD ^ low) * _STIR
    slot = np.int64((mixed ^ mixed >> _WORD) & np.uint64(mask))
    while last[slot] >= 0 and (keys[slot, 0] != high or keys[slot, 1] != low):
        slot = (slot + 1) & mask
    return slot


@njit(cache=True, nogil=True)
def recall(
    ids: np.ndarray,
    floors: np.ndarray,
    begin: int,
    before: int,
    length: int,
    back: int,
    rate: float,
    reach: int,
    keys: np.ndarray,
    values: np.ndarray,
    last: np.ndarray,
    found: np.ndarray,
) -> int:
    """Tell how much is left of earlier occurrences of `length` symbols at each position, then count them.

    Args:
        ids: Symbols below 2 ** 32 - 1; those before `begin` are there as context alone.
        floors: For each position the first one that it may look back to, as positions count over all calls.
        begin: The first position to tell of.
        before: What position 0 of `ids` is over all calls.
        length: Symbols, 0 to 4; 0 tells how many positions there were.
        back: Whether these symbols end at the position (0) or just before it (1).
        rate: What a position takes of a count: exp(-rate) is left.
        reach: Positions after which nothing is left.
        keys: The table: uint64 (slots, 2), values float64 (slots,) and last, int64 (slots,), the position of the last
            occurrence, -1 where the slot is empty; more than enough of them are, and their number is a power of two.
        values: See `keys`.
        last: See `keys`.
        found: Takes what is left, one number a position from `begin` on.

    Returns:
        Slots newly used.
    """
    used = 0
    for position in range(begin, len(ids)):
        found[position - begin] = 0.0
        now, first = before + position, position - back - length + 1
        if first < 0 or before + first < floors[position - begin]:
            continue
        high, low = np.uint64(0), np.uint64(0)
        for place in range(first, first + length):
            high = high << _WORD | low >> _WORD
            low = low << _WORD | np.uint64(ids[place]) + _ONE
        slot = _find(keys, last, high, low)
        if last[slot] < 0:
            used += 1
        elif last[slot] >= floors[position - begin] and now - last[slot] <= reach:
            found[position - begin] = values[slot] * math.exp(-rate * (now - last[slot]))
        keys[slot, 0], keys[slot, 1] = high, low
        values[slot], last[slot] = found[position - begin] + 1.0, now
    return used


@njit(cache=True, nogil=True)
def refill(
    keys: np.ndarray,
    values: np.ndarray,
    last: np.ndarray,
    from_keys: np.ndarray,
    from_values: np.ndarray,
    from_last: np.ndarray,
) -> None:
    """Put entries into an empty table."""
    for row in range(len(from_last)):
        slot = _find(keys, last, from_keys[row, 0], from_keys[row, 1])
        keys[slot, 0], keys[slot, 1] = from_keys[row, 0], from_keys[row, 1]
        values[slot], last[slot] = from_values[row], from_last[row]
