"""The loops behind `Trie.of`: rows to levels of nodes, and each node's suffix."""

from __future__ import annotations

import numpy as np
from numba import njit

from transferlm.counts.prefetch import prefetch
from transferlm.counts.symbols import BEGIN, END, NOTHING

__all__ = ["add_counts", "fill_levels", "find_suffixes", "find_suffixes_by_context", "grouped", "level_sizes"]

_AHEAD = 16
"""Nodes looked ahead, so that the memory of their suffixes' children is there when it is their turn."""


_NOWHERE = np.uint32(0xFFFFFFFF)


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
def level_sizes(
    grams: np.ndarray, counts: np.ndarray, spans: np.ndarray, begin: int, end: int
) -> tuple[np.ndarray, int]:
    """New nodes of each order in rows `begin:end`, and the first row with a fault (-1: none).

    Faults are a place out of order, no window of a text, a count that is none. `spans`, uint8 (rows, 2), gets what each
    row shares with the row before, and its length.
    """
    order = grams.shape[1]
    sizes = np.zeros(order, np.int64)
    for row in range(begin, end):
        depth = _shared(grams, row)
        if row > 0 and (depth == order or grams[row, depth] < grams[row - 1, depth]):
            return sizes, row
        if not _is_window(grams, row, depth) or not 0 < counts[row] < np.inf:
            return sizes, row
        length = order
        while grams[row, length - 1] == NOTHING:
            length -= 1
        for place in range(depth, length):
            sizes[place] += 1
        spans[row, 0], spans[row, 1] = depth, length
    return sizes, -1


@njit(cache=True, nogil=True)
def fill_levels(
    grams: np.ndarray,
    spans: np.ndarray,
    begin: int,
    end: int,
    made: np.ndarray,
    bases: np.ndarray,
    symbols: np.ndarray,
    first: np.ndarray,
) -> None:
    """Write the nodes of rows `begin:end`, `made` of each order standing before them.

    Order k + 1 begins at `bases[k]`, its children's bounds at `bases[k] + k`.
    """
    order = grams.shape[1]
    for row in range(begin, end):
        for place in range(spans[row, 0], spans[row, 1]):
            node = bases[place] + made[place]
            symbols[node] = grams[row, place]
            if place + 1 < order:
                first[node + place] = made[place + 1]
            made[place] += 1


@njit(cache=True, nogil=True)
def add_counts(row_counts: np.ndarray, spans: np.ndarray, order: int, counts: np.ndarray) -> None:
    """Write the counts of the first nodes of an order, as many as `counts` has room for."""
    node = -1
    for row in range(len(row_counts)):
        if spans[row, 1] < order:
            continue
        if spans[row, 0] < order:
            node += 1
            if node == len(counts):
                return
            counts[node] = 0
        counts[node] += row_counts[row]


@njit(cache=True, nogil=True)
def _gallop(symbols: np.ndarray, low: np.int64, high: np.int64, symbol: np.uint32) -> np.int64:
    """The first place in `low:high`, ascending, whose symbol is not below the one sought, else `high`."""
    for _ in range(2):
        if low == high or symbols[low] >= symbol:
            return low
        low += 1
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
    own: np.ndarray,
    parent_suffixes: np.ndarray,
    first: np.ndarray,
    lower_symbols: np.ndarray,
    suffixes: np.ndarray,
    begin: int,
    end: int,
) -> int:
    """Write the suffixes of the children of nodes `begin:end`; gives the first child that has none, -1 where all do.

    `own` bounds, in `symbols`, the children of these nodes; `first` bounds, in `lower_symbols`, those of the nodes that
    `parent_suffixes` names.
    """
    for parent in range(begin, end):
        if parent + 2 * _AHEAD < end:
            prefetch(first, np.int64(parent_suffixes[parent + 2 * _AHEAD]))
            prefetch(lower_symbols, np.int64(first[parent_suffixes[parent + _AHEAD]]))
        context = parent_suffixes[parent]
        low, high = np.int64(first[context]), np.int64(first[context + 1])
        for node in range(np.int64(own[parent]), np.int64(own[parent + 1])):
            low = _gallop(lower_symbols, low, high, symbols[node])
            if low == high or lower_symbols[low] != symbols[node]:
                return node
            suffixes[node] = low
    return -1


@njit(cache=True, nogil=True)
def grouped(suffixes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the nodes of each suffix begin in a list of all nodes by suffix, (size + 1,), and that list."""
    begins = np.zeros(size + 2, np.int64)
    for suffix in suffixes:
        begins[suffix + 2] += 1
    begins = np.cumsum(begins)
    nodes = np.empty(len(suffixes), np.uint32)
    for node in range(len(suffixes)):
        nodes[begins[suffixes[node] + 1]] = node
        begins[suffixes[node] + 1] += 1
    return begins[: size + 1], nodes


@njit(cache=True, nogil=True)
def find_suffixes_by_context(
    symbols: np.ndarray,
    own: np.ndarray,
    begins: np.ndarray,
    parents: np.ndarray,
    first: np.ndarray,
    lower_symbols: np.ndarray,
    vocabulary: int,
    suffixes: np.ndarray,
    begin: int,
    end: int,
) -> int:
    """The same for the children of the nodes whose suffixes are `begin:end`, as `grouped` tells them.

    Quicker where contexts have many children: those of one context after the other are looked up by their symbol.
    """
    places = np.full(vocabulary, _NOWHERE, np.uint32)
    for context in range(begin, end):
        low, high = np.int64(first[context]), np.int64(first[context + 1])
        for child in range(low, high):
            places[lower_symbols[child]] = child
        for row in range(begins[context], begins[context + 1]):
            parent = parents[row]
            for node in range(np.int64(own[parent]), np.int64(own[parent + 1])):
                place = np.int64(places[symbols[node]]) if symbols[node] < vocabulary else high
                if not low <= place < high:
                    return node
                suffixes[node] = place
    return -1
