"""Kernels of counting: windows packed into whole words, a hash table of them, sorting and merging the packed rows.

A packed row is `width` uint64 words that hold a window's symbols, `fields` a word with the first symbol uppermost, and
one more word with the count. Comparing the words from left to right is comparing the symbols.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, int64, njit, types, uint32, uint64, void

__all__ = ["BLOCK", "count_windows", "gather", "merge_block", "rehash", "scatter_pass", "unpack"]

BLOCK = 512
"""Windows hashed together, so that the table's cache misses overlap."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)

_Symbols = types.Array(uint32, 1, "C", readonly=True)
_Starts = types.Array(int64, 1, "C", readonly=True)
_Packed = uint64[:, ::1]
_Read = types.Array(uint64, 2, "C", readonly=True)
_Pair: Any = types.UniTuple(int64, 2)  # type: ignore[no-untyped-call]


@njit(int64(_Read, int64, int64, int64), cache=True, nogil=True, inline="always")
def _place(rows, row, width, slots):  # type: ignore[no-untyped-def]
    """The slot where a packed row's search begins: ascending with its hash, so that growing a table reads in order."""
    mixed = _ZERO
    for word in range(width):
        mixed = (mixed ^ rows[row, word]) * _MULTIPLIER
        mixed ^= mixed >> _HALF
    mixed *= _MULTIPLIER
    return np.int64(((mixed >> _HALF) * np.uint64(slots)) >> _HALF)


@njit(boolean(_Read, int64, _Read, int64, int64), cache=True, nogil=True, inline="always")
def _equal(left, i, right, j, width):  # type: ignore[no-untyped-def]
    """Whether two packed rows are the same window."""
    for word in range(width):  # noqa: SIM110 - numba compiles this, not the generator
        if left[i, word] != right[j, word]:
            return False
    return True


@njit(int64(_Packed, int64, _Read, int64, int64), cache=True, nogil=True, inline="always")
def _add(table, place, rows, row, width):  # type: ignore[no-untyped-def]
    """Add a packed row's count to the table from a slot on; 1 where the row was not there, 0 where it was."""
    while table[place, width] != _ZERO:
        if _equal(table, place, rows, row, width):
            table[place, width] += rows[row, width]
            return 0
        place += 1
        if place == table.shape[0]:
            place = 0
    for word in range(width + 1):
        table[place, word] = rows[row, word]
    return 1


@njit(
    _Pair(_Symbols, _Starts, int64, int64, int64, int64, int64, int64, int64, _Packed),
    cache=True,
    nogil=True,
)
def _pack(symbols, starts, text, begin, stop, order, bits, low, high, packed):  # type: ignore[no-untyped-def]
    """Pack the windows of positions `begin` to `stop` whose first symbol is in [low, high); their number, the text."""
    width = packed.shape[1] - 1
    fields = 64 // bits
    shift = np.uint64(bits)
    rows = 0
    for position in range(begin, stop):
        while starts[text + 1] <= position:
            text += 1
        if not low <= np.int64(symbols[position]) < high:
            continue
        end = min(position + order, starts[text + 1])
        for word in range(width):
            value = _ZERO
            first = position + word * fields
            for place in range(first, min(first + fields, position + order)):
                value <<= shift
                if place < end:
                    value |= np.uint64(symbols[place])
            packed[rows, word] = value
        packed[rows, width] = _ONE
        rows += 1
    return rows, text


@njit(
    _Pair(_Symbols, _Starts, int64, int64, int64, int64, int64, int64, _Packed, int64, int64),
    cache=True,
    nogil=True,
)
def count_windows(symbols, starts, begin, end, order, bits, low, high, table, used, limit):  # type: ignore[no-untyped-def]
    """Count windows into the table until `end` or until it could exceed `limit` rows: where it stopped, rows used."""
    width = table.shape[1] - 1
    slots = table.shape[0]
    packed = np.empty((BLOCK, width + 1), np.uint64)
    places = np.empty(BLOCK, np.int64)
    touched = _ZERO
    text = np.searchsorted(starts, begin, side="right") - 1
    while begin < end and used + BLOCK <= limit:
        stop = min(begin + BLOCK, end)
        rows, text = _pack(symbols, starts, text, begin, stop, order, bits, low, high, packed)
        for row in range(rows):
            places[row] = _place(packed, row, width, slots)
            touched |= table[places[row], width]
        for row in range(rows):
            used += _add(table, places[row], packed, row, width)
        begin = stop
    return begin, used + np.int64(touched >> np.uint64(63))


@njit(void(_Read, _Packed), cache=True, nogil=True)
def rehash(table, larger):  # type: ignore[no-untyped-def]
    """Put every row of a table into a larger empty one."""
    width = table.shape[1] - 1
    for row in range(table.shape[0]):
        if table[row, width] != _ZERO:
            _add(larger, _place(table, row, width, larger.shape[0]), table, row, width)


@njit(void(_Read, _Packed), cache=True, nogil=True)
def gather(table, rows):  # type: ignore[no-untyped-def]
    """Copy the used slots of a table, one after the other, into `rows`, which has just as many."""
    width = table.shape[1] - 1
    used = 0
    for slot in range(table.shape[0]):
        if table[slot, width] != _ZERO:
            for word in range(width + 1):
                rows[used, word] = table[slot, word]
            used += 1


@njit(boolean(_Read, _Packed, int64, int64, int64), cache=True, nogil=True)
def scatter_pass(rows, sorted_rows, word, shift, bits):  # type: ignore[no-untyped-def]
    """One pass of a stable radix sort by `bits` bits of a word; False, and nothing done, where all rows agree."""
    mask = (_ONE << np.uint64(bits)) - _ONE
    down = np.uint64(shift)
    begins = np.zeros((1 << bits) + 1, np.int64)
    for row in range(rows.shape[0]):
        begins[np.int64((rows[row, word] >> down) & mask) + 1] += 1
    if begins.max() == rows.shape[0]:
        return False
    begins = np.cumsum(begins)
    for row in range(rows.shape[0]):
        digit = np.int64((rows[row, word] >> down) & mask)
        place = begins[digit]
        begins[digit] = place + 1
        for column in range(rows.shape[1]):
            sorted_rows[place, column] = rows[row, column]
    return True


@njit(void(_Read, int64, uint32[:, ::1], int64[::1]), cache=True, nogil=True)
def unpack(rows, bits, grams, counts):  # type: ignore[no-untyped-def]
    """Packed rows as symbols and counts."""
    order = grams.shape[1]
    width = rows.shape[1] - 1
    fields = 64 // bits
    shift = np.uint64(bits)
    mask = (_ONE << shift) - _ONE
    for row in range(rows.shape[0]):
        for word in range(width):
            value = rows[row, word]
            first = word * fields
            for column in range(min(first + fields, order) - 1, first - 1, -1):
                grams[row, column] = np.uint32(value & mask)
                value >>= shift
        counts[row] = np.int64(rows[row, width])


@njit(int64(_Read, int64, _Read, int64, int64), cache=True, nogil=True, inline="always")
def _compare(left, i, right, j, width):  # type: ignore[no-untyped-def]
    """-1, 0 or 1 as a packed row stands before another, is equal, or stands after it."""
    for word in range(width):
        if left[i, word] != right[j, word]:
            return -1 if left[i, word] < right[j, word] else 1
    return 0


@njit(int64(_Packed, int64[::1], int64[::1], boolean[::1], _Packed), cache=True, nogil=True)
def merge_block(rows, heads, tails, more, merged):  # type: ignore[no-untyped-def]
    """Merge the sorted stretches `rows[heads[k]:tails[k]]` and add the counts of equal windows; how many rows came out.

    It stops when `merged` is full, when all are used up, or when one is used up that has `more` to come. `heads` moves.
    """
    width = rows.shape[1] - 1
    written = 0
    while written < merged.shape[0]:
        least = -1
        for run in range(heads.shape[0]):
            if heads[run] == tails[run]:
                if more[run]:
                    return written
            elif least < 0 or _compare(rows, heads[run], rows, heads[least], width) < 0:
                least = run
        if least < 0:
            return written
        for word in range(width + 1):
            merged[written, word] = rows[heads[least], word]
        heads[least] += 1
        for run in range(least + 1, heads.shape[0]):
            if heads[run] < tails[run] and _equal(rows, heads[run], merged, written, width):
                merged[written, width] += rows[heads[run], width]
                heads[run] += 1
        written += 1
    return written
