"""The loops behind `Trie.of`: rows to levels of nodes, and each node's suffix."""

from __future__ import annotations

import numpy as np
from numba import njit

from transferlm.counts.symbols import BEGIN, END, NOTHING

__all__ = ["fill_levels", "find_suffixes", "level_sizes"]


@njit(cache=True, nogil=True)
def _shared(grams: np.ndarray, row: int) -> int:
    """How many leading symbols a row has in common with the row before."""
    depth = 0
    if row > 0:
        while depth < grams.shape[1] and grams[row, depth] == grams[row - 1, depth]:
            depth += 1
    return depth


@njit(cache=True, nogil=True)
def _is_window(grams: np.ndarray, row: int, depth: int) -> bool:
    """Whether the symbols from `depth` on may stand there: BEGIN first only, NOTHING after END and only there."""
    for place in range(depth, grams.shape[1]):
        symbol = grams[row, place]
        if place == 0:
            if symbol == NOTHING:
                return False
        else:
            ended = grams[row, place - 1] in (END, NOTHING)
            if symbol == BEGIN or (symbol == NOTHING) != ended:
                return False
    return True


@njit(cache=True, nogil=True)
def level_sizes(grams: np.ndarray, begin: int, end: int) -> tuple[np.ndarray, int]:
    """New nodes of each order in rows `begin:end`, and the first that is out of place or no window (-1: none)."""
    order = grams.shape[1]
    sizes = np.zeros(order, np.int64)
    for row in range(begin, end):
        depth = _shared(grams, row)
        if row > 0 and (depth == order or grams[row, depth] < grams[row - 1, depth]):
            return sizes, row
        if not _is_window(grams, row, depth):
            return sizes, row
        for place in range(depth, order):
            if grams[row, place] == NOTHING:
                break
            sizes[place] += 1
    return sizes, -1


@njit(cache=True, nogil=True)
def fill_levels(
    grams: np.ndarray,
    row_counts: np.ndarray,
    begin: int,
    end: int,
    made: np.ndarray,
    bases: np.ndarray,
    symbols: np.ndarray,
    parents: np.ndarray,
    first: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Write the nodes of rows `begin:end`, `made` of each order standing before them.

    Order k + 1 begins at `bases[k]`, its children's bounds at `bases[k] + k`.
    """
    order = grams.shape[1]
    for row in range(begin, end):
        for place in range(_shared(grams, row), order):
            if grams[row, place] == NOTHING:
                break
            node = bases[place] + made[place]
            symbols[node] = grams[row, place]
            parents[node] = made[place - 1] - 1 if place > 0 else 0
            if place + 1 < order:
                first[node + place] = made[place + 1]
            counts[node] = 0
            made[place] += 1
        for place in range(order):
            if grams[row, place] == NOTHING:
                break
            counts[bases[place] + made[place] - 1] += row_counts[row]


@njit(cache=True, nogil=True)
def _gallop(symbols: np.ndarray, low: np.int64, high: np.int64, symbol: np.uint32) -> np.int64:
    """The first place in `low:high`, ascending, whose symbol is not below the one sought, else `high`."""
    step = np.int64(1)
    while low + step < high and symbols[low + step] <= symbol:
        low += step
        step *= 2
    end = min(low + step, high)
    while low < end:
        middle = (low + end) // 2
        if symbols[middle] < symbol:
            low = middle + 1
        else:
            end = middle
    return low


@njit(cache=True, nogil=True)
def find_suffixes(
    symbols: np.ndarray,
    parents: np.ndarray,
    parent_suffixes: np.ndarray,
    first: np.ndarray,
    lower_symbols: np.ndarray,
    suffixes: np.ndarray,
    begin: int,
    end: int,
) -> int:
    """Write the suffixes of nodes `begin:end` of a level; gives the first node that has none, -1 where all do.

    `first` bounds, in `lower_symbols`, the children of the nodes that `parent_suffixes` names.
    """
    last, low, high = np.int64(-1), np.int64(0), np.int64(0)
    for node in range(begin, end):
        parent = np.int64(parents[node])
        if parent != last:
            context = np.int64(parent_suffixes[parent])
            last, low, high = parent, first[context], first[context + 1]
        low = _gallop(lower_symbols, low, high, symbols[node])
        if low == high or lower_symbols[low] != symbols[node]:
            return node
        suffixes[node] = low
    return -1
