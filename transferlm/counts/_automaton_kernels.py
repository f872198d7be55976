"""Kernels of the automaton: filling its hash table, walking texts through it, whole distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from transferlm.counts.prefetch import prefetch
from transferlm.counts.symbols import BEGIN, NOTHING, UNKNOWN

__all__ = ["LANES", "block_sizes", "child", "enter_last", "enter_states", "fill", "override", "scatter", "walk"]

LANES = 16
"""Texts walked in lockstep: enough that the memory of one answers while the others are worked on."""

NODE, SYMBOL, CHILD, LOG_PROB = range(4)
SUFFIX, BACK_OFF, ONLY, ONLY_CHILD, ONLY_LOG_PROB = range(5)
POSITION, BEGINS, ENDS, TEXT, STATE, NEXT, SLOT = range(7)
_SPREAD, _STIR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_WORD = np.uint64(32)


@njit(cache=True, nogil=True, forceinline=True)
def _slot(node: Any, symbol: Any, size: Any) -> Any:
    """Where the child of a node for a symbol is looked for first."""
    key = (np.uint64(node) << _WORD | np.uint64(symbol)) * _SPREAD
    key = (key ^ key >> _WORD) * _STIR
    return np.int64((key >> _WORD) * np.uint64(size) >> _WORD)


@njit(cache=True, nogil=True, forceinline=True)
def _after(slot: Any, half: Any) -> Any:
    """The next slot to look in: each half of the table is a ring of its own."""
    slot += 1
    if slot == half:
        return 0
    return half if slot == 2 * half else slot


@njit(cache=True, nogil=True)
def enter_states(
    first: np.ndarray,
    weights: np.ndarray,
    suffixes: np.ndarray,
    below: np.ndarray,
    base: int,
    states: np.ndarray,
    values: np.ndarray,
    after: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Write the states of nodes `begin:end` of a level, and the state after each: its own, or its suffix's where a
    context has neither children nor a weight; `below` holds those of the level below.
    """
    for node in range(begin, end):
        suffix = below[suffixes[node]]
        states[base + node, SUFFIX] = suffix
        values[base + node, BACK_OFF] = weights[node]
        matters = first[node + 1] > first[node] or weights[node] != 0.0
        after[node] = base + node if matters else suffix


@njit(cache=True, nogil=True)
def enter_last(suffixes: np.ndarray, below: np.ndarray, after: np.ndarray, begin: int, end: int) -> None:
    """Write the states after nodes `begin:end` of the last level, which are those after their suffixes."""
    for node in range(begin, end):
        after[node] = below[suffixes[node]]


@njit(cache=True, nogil=True)
def block_sizes(first: np.ndarray, symbols: np.ndarray, blocks: int, begin: int, end: int) -> np.ndarray:
    """How many children of the states `begin:end` belong into each block of the table: those that have a sibling."""
    sizes = np.zeros(blocks, np.int64)
    for state in range(begin, end):
        if first[state + 1] > first[state] + 1:
            for key in range(np.int64(first[state]), np.int64(first[state + 1])):
                sizes[_slot(state, symbols[key], blocks)] += 1
    return sizes


@njit(cache=True, nogil=True)
def scatter(
    first: np.ndarray,
    symbols: np.ndarray,
    children: np.ndarray,
    log_probs: np.ndarray,
    states: np.ndarray,
    states_values: np.ndarray,
    places: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Put the children of the states `begin:end` where their block's next row is, an only child into its state's row;
    `places` move.
    """
    for state in range(begin, end):
        key, last = np.int64(first[state]), np.int64(first[state + 1]) - 1
        if key == last:
            states[state, ONLY], states[state, ONLY_CHILD] = symbols[key], children[key]
            states_values[state, ONLY_LOG_PROB] = log_probs[key]
            continue
        while key <= last:
            block = _slot(state, symbols[key], len(places))
            row = places[block]
            places[block] = row + 1
            rows[row, NODE], rows[row, SYMBOL], rows[row, CHILD] = state, symbols[key], children[key]
            values[row, LOG_PROB] = log_probs[key]
            key += 1


@njit(cache=True, nogil=True)
def fill(slots: np.ndarray, rows: np.ndarray, begin: int, end: int) -> None:
    """Put rows into the table, in their order; those of one half alone."""
    size, half, ahead = len(slots), len(slots) // 2, 8
    for row in range(begin, end):
        if row + ahead < end:
            prefetch(slots, _slot(rows[row + ahead, NODE], rows[row + ahead, SYMBOL], size))
        slot = _slot(rows[row, NODE], rows[row, SYMBOL], size)
        while slots[slot, NODE] != 0:
            slot = _after(slot, half)
        for column in range(4):
            slots[slot, column] = rows[row, column]


@njit(cache=True, nogil=True, forceinline=True)
def _find(slots: Any, slot: Any, node: Any, symbol: Any) -> Any:
    """The slot that holds the child of a node for a symbol, looked for from `slot` on; -1 where there is none."""
    half = len(slots) // 2
    for _ in range(half):
        if slots[slot, NODE] == node and slots[slot, SYMBOL] == symbol:
            return slot
        if slots[slot, NODE] == 0:
            return -1
        slot = _after(slot, half)
    return -1


@njit(cache=True, nogil=True)
def child(slots: Any, states: Any, state: Any, symbol: Any) -> Any:
    """The state after a state's child for a symbol, -1 where there is none."""
    if states[state, ONLY] != NOTHING:
        return np.int64(states[state, ONLY_CHILD]) if states[state, ONLY] == symbol else -1
    slot = _find(slots, _slot(state, symbol, len(slots)), state, symbol)
    return np.int64(slots[slot, CHILD]) if slot >= 0 else -1


@njit(cache=True, nogil=True, forceinline=True)
def _order_of(levels: Any, state: Any) -> Any:
    """Symbols in a state's n-gram."""
    order = 0
    while order < len(levels) and state >= levels[order]:
        order += 1
    return order


@njit(cache=True, nogil=True, forceinline=True)
def _tell(log_probs: np.ndarray, orders: np.ndarray, lane: np.ndarray, log_prob: float, order: int) -> None:
    """Write what was found for a lane's position, unless it was only read to find the state, and step on."""
    position = lane[POSITION]
    if position >= lane[BEGINS]:
        log_probs[position] = log_prob
        if len(orders):
            orders[position] = order
    lane[POSITION] = position + 1


@njit(cache=True, nogil=True, forceinline=True)
def _enter(lane: np.ndarray, starts: np.ndarray, begin: int, end: int, reach: int) -> None:
    """Take up a stretch, reading from as far before as a context reaches."""
    text = np.searchsorted(starts, begin, side="right") - 1
    lane[POSITION], lane[BEGINS], lane[ENDS] = max(starts[text], begin - reach), begin, end
    lane[TEXT] = np.searchsorted(starts, lane[POSITION], side="left")


@njit(cache=True, nogil=True)
def walk(
    slots: Any,
    slots_values: Any,
    states: Any,
    states_values: Any,
    unigrams: Any,
    unigrams_values: Any,
    levels: Any,
    ids: Any,
    starts: Any,
    log_probs: Any,
    orders: Any,
    first: Any,
    last: Any,
    length: Any,
) -> None:
    """Tell the log-probabilities of the stretches `first` to `last`, each `length` positions, all lanes in lockstep.

    One long function on purpose: cut into a lookup and a step to the next symbol, it was measured three times slower.
    """
    lanes = np.zeros((LANES, 8), np.int64)
    carried = np.zeros(LANES)
    vocabulary, known, size = len(unigrams), len(states), len(slots)
    active = LANES
    while active > 0:
        active = 0
        for which in range(LANES):
            lane = lanes[which]
            state = lane[STATE]
            if state > 0:
                symbol = lane[NEXT]
                found, after, log_prob = False, np.int64(0), np.float32(0.0)
                if states[state, ONLY] != NOTHING:
                    found = np.int64(states[state, ONLY]) == symbol
                    after, log_prob = np.int64(states[state, ONLY_CHILD]), states_values[state, ONLY_LOG_PROB]
                else:
                    slot = _find(slots, lane[SLOT], state, symbol)
                    if slot >= 0:
                        found, after, log_prob = True, np.int64(slots[slot, CHILD]), slots_values[slot, LOG_PROB]
                if found:
                    order = _order_of(levels, state) + 1 if len(orders) else 0
                    _tell(log_probs, orders, lane, carried[which] + log_prob, order)
                    state = after
                else:
                    carried[which] += states_values[state, BACK_OFF]
                    shorter = np.int64(states[state, SUFFIX])
                    if 0 < shorter < state:
                        lane[STATE], lane[SLOT] = shorter, _slot(shorter, symbol, size)
                        prefetch(slots, lane[SLOT])
                        prefetch(states, shorter)
                        active += 1
                        continue
                    row = symbol if symbol < vocabulary else UNKNOWN
                    _tell(log_probs, orders, lane, carried[which] + unigrams_values[row, 2], 1)
                    state = np.int64(unigrams[row, 1])
                if state >= known:
                    state = 0
                carried[which] = 0.0
            while True:
                position = lane[POSITION]
                if position == lane[ENDS]:
                    state = 0
                    if first == last:
                        break
                    _enter(lane, starts, first * length, min(first * length + length, len(ids)), len(levels) - 1)
                    first += 1
                    continue
                symbol = np.int64(ids[position])
                if starts[lane[TEXT]] == position:
                    while starts[lane[TEXT]] == position:
                        lane[TEXT] += 1
                    state = 0
                    if symbol == BEGIN:
                        _tell(log_probs, orders, lane, 0.0, 0)
                        state = np.int64(unigrams[BEGIN, 1])
                        if state >= known:
                            state = 0
                        continue
                row = symbol if symbol < vocabulary else UNKNOWN
                if state > 0:
                    symbol = np.int64(unigrams[row, 0])
                    lane[NEXT], lane[SLOT] = symbol, _slot(state, symbol, size)
                    prefetch(slots, lane[SLOT])
                    prefetch(states, state)
                    active += 1
                    break
                _tell(log_probs, orders, lane, unigrams_values[row, 2], 1)
                state = np.int64(unigrams[row, 1])
                if state >= known:
                    state = 0
            lane[STATE] = state


@njit(cache=True, nogil=True)
def override(row: np.ndarray, symbols: np.ndarray, log_probs: np.ndarray, begin: int, end: int) -> None:
    """Put the log-probabilities of a node's children in the place of what backing off gives."""
    for i in range(max(begin, 0), min(end, len(symbols), len(log_probs))):
        if symbols[i] < len(row):
            row[symbols[i]] = log_probs[i]
