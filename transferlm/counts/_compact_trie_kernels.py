"""Kernels of the compact trie: numbers of any width in a row, walking texts, whole distributions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from transferlm.counts.sums import STEP
from transferlm.counts.symbols import BEGIN, UNKNOWN

__all__ = ["BACK_OFF", "GROUP", "LOG_PROB", "TAKEN", "WHOLE", "Tables", "distribution", "pack", "walk"]

GROUP_BITS = 5
GROUP = 1 << GROUP_BITS
"""N-grams whose children are told from one place on."""

WHOLE = 32
"""Width of a value that is no code: its float32 bits."""

_BLOCK = 256
"""Positions worked on side by side: enough that memory answers several at once, few enough to stay in the cache."""

_HIGH = np.uint64(32)
LOG_PROB, BACK_OFF, TAKEN = range(3)


class Tables(NamedTuple):
    """What `CompactTrie` holds, as its kernels take it; `whole_` are the same words as float32.

    Widths are in bits: of a symbol, of a number in `first`, of codes, of a normaliser. Tables of values have a column
    for every code of that width.
    """

    unigrams: Any
    unigram_first: Any
    levels: Any
    symbols: Any
    first: Any
    groups: Any
    log_probs: Any
    whole_log_probs: Any
    log_prob_values: Any
    back_offs: Any
    whole_back_offs: Any
    back_off_values: Any
    normalisers: Any
    fewest_steps: Any
    symbol_width: Any
    first_width: Any
    log_prob_width: Any
    back_off_width: Any
    normaliser_width: Any


@njit(cache=True, nogil=True)
def pack(numbers: np.ndarray, width: int, words: np.ndarray) -> None:
    """Lay numbers of `width` bits (1 to 32) one after the other into `words`, which are zeros."""
    for i in range(len(numbers)):
        at = i * width
        shifted = np.uint64(numbers[i]) << np.uint64(at & 31)
        words[at >> 5] |= np.uint32(shifted & np.uint64(0xFFFFFFFF))
        words[(at >> 5) + 1] |= np.uint32(shifted >> _HIGH)


@njit(cache=True, nogil=True, forceinline=True)
def _number(words: Any, place: Any, width: Any) -> Any:
    """The number at a place; one word more than they fill has to be there."""
    at = place * width
    pair = np.uint64(words[at >> 5]) | np.uint64(words[(at >> 5) + 1]) << _HIGH
    return np.int64(pair >> np.uint64(at & 31) & (np.uint64(1) << np.uint64(width)) - np.uint64(1))


@njit(cache=True, nogil=True, forceinline=True)
def _log_prob(tables: Any, level: Any, place: Any) -> Any:
    """Log-probability of an n-gram of `level` symbols, 2 or more."""
    if tables.log_prob_width == WHOLE:
        return tables.whole_log_probs[place]
    return tables.log_prob_values[level - 2, _number(tables.log_probs, place, tables.log_prob_width)]


@njit(cache=True, nogil=True, forceinline=True)
def _back_off(tables: Any, level: Any, place: Any) -> Any:
    """Back-off weight's logarithm of an n-gram of `level` symbols, 2 or more but not the most."""
    if tables.back_off_width == WHOLE:
        return tables.whole_back_offs[place]
    return tables.back_off_values[level - 2, _number(tables.back_offs, place, tables.back_off_width)]


@njit(cache=True, nogil=True, forceinline=True)
def _taken(tables: Any, place: Any) -> Any:
    """What is taken from all log-probabilities after an n-gram of 2 symbols or more but not the most."""
    if tables.back_off_width == WHOLE:
        return 0.0
    return STEP * (tables.fewest_steps + _number(tables.normalisers, place, tables.normaliser_width))


@njit(cache=True, nogil=True, forceinline=True)
def _first(tables: Any, place: Any) -> Any:
    """Where the children begin of the n-gram at a place."""
    return np.int64(tables.groups[place >> GROUP_BITS]) + _number(tables.first, place, tables.first_width)


@njit(cache=True, nogil=True, forceinline=True)
def _children(tables: Any, level: Any, node: Any) -> Any:
    """Where the children of an n-gram of `level` symbols begin and end; for one symbol, `node` is that."""
    if level == 1:
        begin, end = np.int64(tables.unigram_first[node]), np.int64(tables.unigram_first[node + 1])
    else:
        begin, end = _first(tables, node), _first(tables, node + 1)
    return max(begin, tables.levels[level - 1]), min(end, tables.levels[level])


@njit(cache=True, nogil=True, forceinline=True)
def _found(tables: Any, begin: Any, end: Any, symbol: Any) -> Any:
    """The place of a symbol among ascending ones, -1 where it is not: a binary search without a branch to guess."""
    count = end - begin
    if count <= 0:
        return -1
    while count > 1:
        half = count >> 1
        begin += half if _number(tables.symbols, begin + half, tables.symbol_width) <= symbol else 0
        count -= half
    return begin if _number(tables.symbols, begin, tables.symbol_width) == symbol else -1


@njit(cache=True, nogil=True, forceinline=True)
def _known(unigrams: Any, symbol: Any) -> Any:
    """The symbol that a symbol counts as."""
    return symbol if symbol < len(unigrams) and not np.isnan(unigrams[symbol, LOG_PROB]) else UNKNOWN


@njit(cache=True, nogil=True, forceinline=True)
def _with_back_offs(log_prob: Any, weights: Any, taken: Any, context: Any, reached: Any) -> Any:
    """A log-probability found with `reached` symbols, and the weights of the longer contexts, longest first.

    `weights` and `taken` are those of the contexts of one symbol, two and so on.
    """
    carried = 0.0
    for length in range(context, reached - 1, -1):
        carried += weights[length - 1]
    return carried + log_prob - (taken[reached - 2] if reached > 1 else 0.0)


@njit(cache=True, nogil=True)
def walk(tables: Any, ids: Any, starts: Any, log_probs: Any, orders: Any, begin: Any, end: Any) -> None:
    """Tell the log-probabilities of the positions `begin` to `end`, which no other thread works on.

    The longest known n-gram that ends at a position is found by going back from its last symbol (Heafield 2011); on
    the way stand the back-off weights that the next position needs. This is done symbol by symbol for all positions of
    a block, so that their lookups do not wait for one another. Index 0 of a block is the position before it.
    """
    order = len(tables.levels)
    symbols = np.zeros(_BLOCK + order, np.int64)
    opens, active = np.zeros(_BLOCK + 1, np.bool_), np.zeros(_BLOCK + 1, np.int64)
    nodes, reached = np.zeros(_BLOCK + 1, np.int64), np.zeros(_BLOCK + 1, np.int64)
    places, ends = np.zeros(_BLOCK + 1, np.int64), np.zeros(_BLOCK + 1, np.int64)
    found, weights, taken = np.zeros(_BLOCK + 1), np.zeros((_BLOCK + 1, order)), np.zeros((_BLOCK + 1, order))
    while begin < end:
        size, before = min(_BLOCK, end - begin), begin - 1
        text = np.searchsorted(starts, before, side="right") - 1
        room = before - starts[text] if begin > 0 else 0
        opens[:] = False
        while text + 1 < len(starts) - 1 and starts[text + 1] <= before + size:
            text += 1
            opens[starts[text] - before] = True
        for i in range(max(0, order - begin), size + order):
            symbols[i] = _known(tables.unigrams, np.int64(ids[begin - order + i]))
        for k in range(size + 1):
            symbol = symbols[k + order - 1]
            nodes[k], reached[k] = symbol, 1
            found[k], active[k] = tables.unigrams[symbol, LOG_PROB], k
            weights[k, 0], taken[k, 0] = tables.unigrams[symbol, BACK_OFF], tables.unigrams[symbol, TAKEN]
        count = size + 1
        for level in range(2, order + 1):
            still = 0
            for k in active[:count]:
                if not opens[k] and (reached[k - 1] >= level - 1 if k > 0 else room >= level - 1):
                    places[k], ends[k] = _children(tables, level - 1, nodes[k])
                    active[still] = k
                    still += 1
            count = 0
            for k in active[:still]:
                place = _found(tables, places[k], ends[k], symbols[k + order - level])
                if place >= 0:
                    nodes[k], reached[k], found[k] = place, level, _log_prob(tables, level, place)
                    if level < order:
                        taken[k, level - 1] = _taken(tables, place)
                        weights[k, level - 1] = _back_off(tables, level, place) - taken[k, level - 1]
                    active[count] = k
                    count += 1
        for k in range(1, size + 1):
            context = 0 if opens[k] else min(reached[k - 1], order - 1)
            given = opens[k] and ids[before + k] == BEGIN
            told = _with_back_offs(found[k], weights[k - 1], taken[k - 1], context, reached[k])
            log_probs[before + k] = 0.0 if given else told
            if len(orders):
                orders[before + k] = 0 if given else reached[k]
        begin += size


@njit(cache=True, nogil=True)
def _longest(tables: Any, symbol: Any, context: Any, weights: Any, taken: Any) -> Any:
    """Symbols in the longest known n-gram that ends in `symbol` after `context`, and its log-probability.

    Fills `weights` and `taken` with those of the n-grams on the way, but that of the highest order.
    """
    order, log_prob = len(tables.levels), np.float64(tables.unigrams[symbol, LOG_PROB])
    weights[0], taken[0] = tables.unigrams[symbol, BACK_OFF], tables.unigrams[symbol, TAKEN]
    node = np.int64(symbol)
    for level in range(2, min(order, len(context) + 1) + 1):
        begin, end = _children(tables, level - 1, node)
        place = _found(tables, begin, end, context[len(context) - level + 1])
        if place < 0:
            return level - 1, log_prob
        node, log_prob = place, np.float64(_log_prob(tables, level, place))
        if level < order:
            taken[level - 1] = _taken(tables, place)
            weights[level - 1] = _back_off(tables, level, place) - taken[level - 1]
    return min(order, len(context) + 1), log_prob


@njit(cache=True, nogil=True)
def distribution(tables: Any, context: np.ndarray, row: np.ndarray) -> None:
    """Fill `row` with every symbol's log-probability after some symbols, int64, oldest first."""
    order, length = len(tables.levels), 0
    weights, taken, unused = np.zeros(order), np.zeros(order), np.zeros(order)
    known = np.empty(len(context), np.int64)
    for i in range(len(context)):
        known[i] = _known(tables.unigrams, context[i])
    if len(known):
        reached, _ = _longest(tables, known[-1], known[:-1], weights, taken)
        length = min(reached, order - 1)
    recent = known[len(known) - length :]
    for symbol in range(len(row)):
        if np.isnan(tables.unigrams[symbol, LOG_PROB]):
            row[symbol] = -np.inf
        else:
            reached, log_prob = _longest(tables, symbol, recent, unused, unused)
            row[symbol] = _with_back_offs(log_prob, weights, taken, length, reached)
