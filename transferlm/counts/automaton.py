"""A back-off model as an automaton: the probability of a symbol in one lookup where the model knows the n-gram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np

from transferlm.counts import _automaton_kernels as kernels
from transferlm.counts.back_off import BackOff
from transferlm.counts.levels import Levels
from transferlm.counts.pieces import even, even_borders, in_pieces
from transferlm.counts.scorer import Scorer, frozen, in_threads, texts_in
from transferlm.counts.symbols import BEGIN, FIRST_WORD, NOTHING, UNKNOWN
from transferlm.errors import ModelFolderError

__all__ = ["Automaton"]

_BLOCK = 1 << 14
"""N-grams a block of the hash table, about half of them with a slot: 16 bytes each, well within a second cache."""

_STRETCH = 1 << 14
"""Most positions worked on in one go: short enough that all lanes have work, long beside the context read twice."""


@dataclass(frozen=True, eq=False)
class Automaton(Scorer):
    """States are contexts, numbered level after level from 1; state 0 is the empty context.

    A state stands for the longest context that still matters: one without children and with a back-off weight of 1 is
    passed over in favour of its suffix, which changes no probability and saves its lookup. A symbol without a
    unigram is UNKNOWN.

    Attributes:
        slots: uint32 (slots, 4), an open-addressing hash table of the children that have siblings: state (0 where
            empty), symbol, the state after them, and their log-probability as float32 bits. The halves of the table are
            filled apart; at most two thirds full.
        states: uint32 (states, 5): the state of the shorter context, the back-off weight's natural log as float32
            bits, and of a state with one child alone, as more than half of them are, what a slot would tell: symbol
            (NOTHING for any other state), the state after it and log-probability.
        unigrams: uint32 (vocabulary, 3), indexed by symbol: the symbol it counts as, the state after it alone, and its
            log-probability as float32 bits.
        levels: int64 (order,): where the states of each level begin, and where the last end.
        first: uint32 (states + 1,): where the children of each state begin in `symbols`; none for state 0.
        symbols: uint32 (n-grams of two symbols and more,): last symbols.
        log_probs: float32, beside `symbols`: natural logs of their probabilities.
    """

    slots: np.ndarray
    states: np.ndarray
    first: np.ndarray
    symbols: np.ndarray
    log_probs: np.ndarray

    kind: ClassVar[str] = "automaton"

    @classmethod
    def of(cls, back_off: BackOff, threads: int = 1, vocabulary: int = 0) -> Automaton:
        """The automaton of a model whose arrays fit together (`BackOff.check`).

        Args:
            back_off: The model.
            threads: How many work at it; the result is the same.
            vocabulary: Symbols there are, if more than the highest with a unigram tells.
        """
        levels = np.cumsum([1] + [back_off.nodes(level) for level in range(1, back_off.order)], dtype=np.int64)
        states, after = _states(back_off, levels, threads)
        unigrams = _unigrams(back_off, after[0], vocabulary)
        symbols, log_probs = (_beyond_unigrams(arrays) for arrays in (back_off.symbols, back_off.log_probs))
        first = _first(back_off, len(states))
        del back_off  # the table of slots needs more memory than all before
        slots = _slots(first, symbols, _beyond_unigrams(after), log_probs, states, threads)
        return cls(unigrams, levels, slots, states, first, symbols, log_probs)

    @property
    def goes_on_after_unknown(self) -> bool:
        """Whether UNKNOWN has a state, as each context has that something was seen after."""
        return bool(self.unigrams[UNKNOWN, 1] > 0)

    def state(self, context: np.ndarray) -> int:
        """The state after some symbols, oldest first; BEGIN has to be among them to count."""
        state = 0
        for symbol in np.asarray(context)[-self.order :].tolist():
            known = int(self.unigrams[symbol if symbol < self.vocabulary else UNKNOWN, 0])
            state = self._after(state, known)
        return state

    def next_log_probs(self, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """The whole distribution of the next symbol after each context (see `Scorer`)."""
        rows = np.tile(self._unigram_row(), (len(contexts), 1))
        for row, context in zip(rows, contexts, strict=True):
            for state in reversed(self._path(self.state(context))):
                row += self.states.view(np.float32)[state, kernels.BACK_OFF]
                begin, end = self.first[state : state + 2].tolist()
                kernels.override(row, frozen(self.symbols), frozen(self.log_probs), begin, end)
        rows[:, [NOTHING, BEGIN]] = -np.inf
        return rows

    def _walk(
        self, ids: np.ndarray, starts: np.ndarray, threads: int, *, orders: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        ids, starts = texts_in(ids, starts)
        found = np.zeros(len(ids)), np.zeros(len(ids) if orders else 0, np.uint8)
        tables, walk = self._tables(), cast(Any, kernels.walk)
        length = min(_STRETCH, max(128, -(-len(ids) // (threads * kernels.LANES))))

        def work(first: int, last: int) -> None:
            walk(*tables, ids, starts, *found, first, last, length)

        in_threads(work, -(-len(ids) // length), threads)
        return found

    def _tables(self) -> list[Any]:
        tables = [frozen(self.slots), frozen(self.states), frozen(self.unigrams)]
        return [*(view for table in tables for view in (table, table.view(np.float32))), frozen(self.levels)]

    def _after(self, state: int, symbol: int) -> int:
        for context in self._path(state):
            found = int(kernels.child(frozen(self.slots), frozen(self.states), context, symbol))
            if found >= 0:
                return found if found < len(self.states) else 0
        found = int(self.unigrams[symbol if symbol < self.vocabulary else UNKNOWN, 1])
        return found if found < len(self.states) else 0

    def _path(self, state: int) -> list[int]:
        """A state and those of its shorter contexts, but that of the empty one."""
        path: list[int] = []
        while state > 0 and (not path or state < path[-1]):
            path.append(state)
            state = int(self.states[state, kernels.SUFFIX])
        return path

    def _unigram_row(self) -> np.ndarray:
        own = self.unigrams[:, 0] == np.arange(self.vocabulary)
        return np.where(own, self.unigrams.view(np.float32)[:, 2].astype(np.float64), -np.inf)

    def _check(self) -> None:
        states, ngrams = len(self.states), len(self.symbols)
        self._check_shapes(
            {
                "slots": (np.uint32, (max(2, len(self.slots) // 2 * 2), 4)),
                "states": (np.uint32, (max(1, states), 5)),
                "unigrams": (np.uint32, (max(FIRST_WORD, len(self.unigrams)), 3)),
                "levels": (np.int64, (min(max(1, len(self.levels)), 255),)),
                "first": (np.uint32, (states + 1,)),
                "symbols": (np.uint32, (ngrams,)),
                "log_probs": (np.float32, (ngrams,)),
            }
        )
        if self.levels[-1] != states:
            raise ModelFolderError(f"the automaton's levels end at {self.levels[-1]:,}, its states at {states:,}")


def _states(back_off: BackOff, levels: np.ndarray, threads: int) -> tuple[np.ndarray, Levels]:
    """The table of states, and the state after each n-gram."""
    states = np.zeros((levels[-1], 5), np.uint32)
    after = Levels.empty([back_off.nodes(level + 1) for level in range(back_off.order)], np.uint32)
    below = np.zeros(1, np.uint32)
    for at, (first, weights) in enumerate(zip(back_off.first, back_off.back_offs, strict=True)):
        known = first, weights, back_off.suffixes[at], below, int(levels[at])
        enter = partial(kernels.enter_states, *known, states, states.view(np.float32), after[at])
        in_pieces(enter, even(len(weights), threads))
        below = after[at]
    enter = partial(kernels.enter_last, back_off.suffixes[-1], below, after[-1])
    in_pieces(enter, even(len(after[-1]), threads))
    return states, after


def _beyond_unigrams(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The arrays of the levels from the second on as one."""
    levels = Levels.of(arrays)
    return levels.joined[levels.borders[1] :]


def _slots(
    first: np.ndarray, symbols: np.ndarray, after: np.ndarray, log_probs: np.ndarray, states: np.ndarray, threads: int
) -> np.ndarray:
    """The hash table; a state's only child is written into `states` instead.

    Keys are first brought together by blocks of the table that fit a cache, then put in, half by half.
    """
    blocks = 2 * (1 + len(symbols) // (2 * _BLOCK))
    borders = even_borders(first, threads)
    sizes = np.array(in_pieces(partial(kernels.block_sizes, first, symbols, blocks), borders))
    ends = np.cumsum(sizes.T).reshape(blocks, len(sizes)).T
    places, keys = dict(zip(borders, ends - sizes, strict=False)), int(ends[-1, -1])
    rows = np.empty((keys, 4), np.uint32)
    tables = states, states.view(np.float32), rows, rows.view(np.float32)

    def scatter(begin: int, end: int) -> None:
        kernels.scatter(first, symbols, after, log_probs, *tables[:2], places[begin], *tables[2:], begin, end)

    in_pieces(scatter, borders)
    middle = int(ends[-1, blocks // 2 - 1])
    half = max(middle, keys - middle) * 8 // 5 + 1
    slots = np.zeros((2 * half, 4), np.uint32)
    put = partial(kernels.fill, slots, rows)
    if threads == 1:
        put(0, middle)
        put(middle, keys)
    else:
        in_pieces(put, [0, middle, keys])
    return slots


def _unigrams(back_off: BackOff, after: np.ndarray, vocabulary: int) -> np.ndarray:
    listed = back_off.symbols[0]
    highest = int(listed[-1]) + 1 if len(listed) else 0
    unigrams = np.zeros((max(FIRST_WORD, highest, vocabulary), 3), np.uint32)
    values = unigrams.view(np.float32)
    unigrams[BEGIN, 0], values[BEGIN, 2] = BEGIN, -np.inf
    unigrams[UNKNOWN, 0], values[UNKNOWN, 2] = UNKNOWN, back_off.unknown
    unigrams[listed, 0], unigrams[listed, 1], values[listed, 2] = listed, after, back_off.log_probs[0]
    unlisted = unigrams[:, 0] == NOTHING
    unigrams[unlisted] = unigrams[UNKNOWN]
    return unigrams


def _first(back_off: BackOff, states: int) -> np.ndarray:
    """Where the children of each state begin among the n-grams of two symbols and more."""
    found, state, offset = np.zeros(states + 1, np.uint32), 1, 0
    for level, bounds in enumerate(back_off.first, 2):
        np.add(bounds, np.uint32(offset), out=found[state : state + len(bounds)])
        state, offset = state + len(bounds) - 1, offset + back_off.nodes(level)
    return found
