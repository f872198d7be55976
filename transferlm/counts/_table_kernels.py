"""Kernels of count tables: merging, subtracting, shortening and checking sorted rows, each in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, float64, int64, njit, types, uint32, void

__all__ = ["add_rows", "find_places", "first_fault", "mark_used", "shorten", "subtract_rows"]

_Grams = types.Array(uint32, 2, "C", readonly=True)
_Whole = types.Array(int64, 1, "C", readonly=True)
_Real = types.Array(float64, 1, "C", readonly=True)
_Numbers = types.Array(uint32, 1, "C", readonly=True)
_Pair: Any = types.UniTuple(int64, 2)  # type: ignore[no-untyped-call]


@njit(int64(_Grams, int64, _Grams, int64), cache=True, nogil=True, inline="always")
def _compare(left, i, right, j):  # type: ignore[no-untyped-def]
    """-1, 0 or 1 as a row stands before another, is equal, or stands after it."""
    for column in range(left.shape[1]):
        if left[i, column] != right[j, column]:
            return -1 if left[i, column] < right[j, column] else 1
    return 0


@njit(boolean(_Grams, int64, _Numbers, uint32[:, ::1], int64), cache=True, nogil=True, inline="always")
def _renumber_row(left, i, numbers, grams, row):  # type: ignore[no-untyped-def]
    """Write a row with other numbers for its symbols; whether all had one."""
    known = True
    for column in range(left.shape[1]):
        symbol = left[i, column]
        known &= symbol < numbers.shape[0]
        grams[row, column] = numbers[min(symbol, numbers.shape[0] - 1)]
    return known


@njit(int64(_Grams, int64, _Numbers, _Grams, int64), cache=True, nogil=True, inline="always")
def _compare_renumbered(left, i, numbers, right, j):  # type: ignore[no-untyped-def]
    """The same, the first row's symbols being read as `numbers` of them."""
    for column in range(left.shape[1]):
        symbol = numbers[min(left[i, column], numbers.shape[0] - 1)]
        if symbol != right[j, column]:
            return -1 if symbol < right[j, column] else 1
    return 0


@njit(int64(_Grams, int64, _Numbers, _Grams, int64), cache=True, nogil=True)
def _gallop(left, low, numbers, right, row):  # type: ignore[no-untyped-def]
    """The first row of the left table from `low` on that does not stand before a row of the right one."""
    high, step = low, 1
    while high < left.shape[0] and _compare_renumbered(left, high, numbers, right, row) < 0:
        low, high = high + 1, high + step
        step *= 2
    high = min(high, left.shape[0])
    while low < high:
        middle = (low + high) // 2
        if _compare_renumbered(left, middle, numbers, right, row) < 0:
            low = middle + 1
        else:
            high = middle
    return low


@njit(void(_Grams, _Numbers, _Grams, int64[::1], boolean[::1], int64, int64), cache=True, nogil=True)
def find_places(left, numbers, right, places, absent, begin, end):  # type: ignore[no-untyped-def]
    """Where the rows `begin:end` of the right table stand, or would stand, in the left one whose symbols become
    `numbers`, and whether they are absent there.
    """
    low = 0
    for row in range(begin, end):
        low = _gallop(left, low, numbers, right, row)
        places[row] = low
        absent[row] = low == left.shape[0] or _compare_renumbered(left, low, numbers, right, row) != 0


@njit(
    [
        boolean(
            _Grams, _Whole, _Numbers, _Grams, _Whole, int64[::1], int64[::1], uint32[:, ::1], int64[::1], int64, int64
        ),
        boolean(
            _Grams, _Real, _Numbers, _Grams, _Real, int64[::1], int64[::1], uint32[:, ::1], float64[::1], int64, int64
        ),
    ],
    cache=True,
    nogil=True,
)
def add_rows(  # type: ignore[no-untyped-def]
    left, left_counts, numbers, right, right_counts, places, added, grams, counts, begin, end
):
    """Write the rows `begin:end` of the left table, renumbered, and those of the right that have their `places` among
    them, counts of equal rows added; whether all symbols had a number.

    `added`, one longer than `places`, tells how many rows before each are in the right table alone.
    """
    known, row = True, begin
    j = np.searchsorted(places, begin)
    while row < end or j < places.shape[0]:
        stop = min(places[j], end) if j < places.shape[0] else end
        while row < stop:
            known &= _renumber_row(left, row, numbers, grams, row + added[j])
            counts[row + added[j]] = left_counts[row]
            row += 1
        if j == places.shape[0] or (places[j] >= end and end < left.shape[0]):
            return known
        if added[j + 1] > added[j]:
            grams[row + added[j]] = right[j]
            counts[row + added[j]] = right_counts[j]
        else:
            known &= _renumber_row(left, row, numbers, grams, row + added[j])
            counts[row + added[j]] = left_counts[row] + right_counts[j]
            row += 1
        j += 1
    return known


@njit(
    [
        _Pair(_Grams, _Whole, _Grams, _Whole, float64, uint32[:, ::1], int64[::1]),
        _Pair(_Grams, _Real, _Grams, _Real, float64, uint32[:, ::1], float64[::1]),
    ],
    cache=True,
    nogil=True,
)
def subtract_rows(left, left_counts, right, right_counts, tolerance, grams, counts):  # type: ignore[no-untyped-def]
    """Take a sorted table from another: rows that came out, and the first row of which too little is there."""
    j, written = 0, 0
    for i in range(left.shape[0]):
        if j < right.shape[0]:
            order = _compare(left, i, right, j)
            if order > 0:
                return written, j
        else:
            order = -1
        rest = left_counts[i]
        if order == 0:
            rest -= right_counts[j]
            if abs(rest) <= tolerance * left_counts[i]:
                rest = rest * 0
            if rest < 0:
                return written, j
            j += 1
        if rest > 0:
            grams[written] = left[i]
            counts[written] = rest
            written += 1
    return written, j if j < right.shape[0] else -1


@njit(
    [int64(_Grams, _Whole, uint32[:, ::1], int64[::1]), int64(_Grams, _Real, uint32[:, ::1], float64[::1])],
    cache=True,
    nogil=True,
)
def shorten(grams, counts, shorter, sums):  # type: ignore[no-untyped-def]
    """Sum the counts of rows that agree in their first symbols; how many rows came out."""
    written = 0
    for row in range(grams.shape[0]):
        same = written > 0
        for column in range(shorter.shape[1]):
            if same and grams[row, column] != shorter[written - 1, column]:
                same = False
        if same:
            sums[written - 1] += counts[row]
            continue
        shorter[written] = grams[row, : shorter.shape[1]]
        sums[written] = counts[row]
        written += 1
    return written


@njit(boolean(_Grams, boolean[::1]), cache=True, nogil=True)
def mark_used(grams, used):  # type: ignore[no-untyped-def]
    """Mark the symbols that occur; False where one is beyond the end of `used`."""
    for row in range(grams.shape[0]):
        for column in range(grams.shape[1]):
            if grams[row, column] >= used.shape[0]:
                return False
            used[grams[row, column]] = True
    return True


@njit(
    [_Pair(_Grams, _Whole), _Pair(_Grams, _Real)],
    cache=True,
    nogil=True,
)
def first_fault(grams, counts):  # type: ignore[no-untyped-def]
    """The first row that is wrong, or -1, and its fault: 1 not ascending, 2 count not positive, 3 NOTHING inside."""
    for row in range(grams.shape[0]):
        if row > 0 and _compare(grams, row - 1, grams, row) >= 0:
            return row, 1
        if not 0 < counts[row] < np.inf:
            return row, 2
        if grams[row, 0] == 0:
            return row, 3
        for column in range(1, grams.shape[1]):
            if grams[row, column] != 0 and grams[row, column - 1] == 0:
                return row, 3
    return -1, 0
