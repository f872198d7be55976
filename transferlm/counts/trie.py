"""The n-grams of every order that a table of counts holds, as levels of nodes that know parent, children and suffix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from transferlm.counts._trie_kernels import (
    add_counts,
    fill_levels,
    find_suffixes,
    find_suffixes_by_context,
    grouped,
    level_sizes,
)
from transferlm.counts.levels import Levels
from transferlm.counts.pieces import even, even_borders, in_pieces
from transferlm.counts.symbols import NOTHING
from transferlm.counts.table import CountTable
from transferlm.errors import DataError, SettingError

__all__ = ["Parents", "RowCounts", "Trie"]

_OF_FEW_CONTEXTS = 2
"""Up to this level, from 0, n-grams follow a context of few that have many children each: the empty one, or a word."""

_MOST_NODES = (1 << 32) - 2
"""Nodes are numbered in 32 bits."""


@dataclass(frozen=True, eq=False)
class Trie:
    """Levels of nodes, one an order: level k holds the distinct n-grams of k symbols in lexicographic order.

    NOTHING is in no n-gram. Each sequence has an array a level, for k = 1 to `order`.

    Attributes:
        symbols: uint32 (nodes,), the last symbol of each n-gram.
        first: uint32 (nodes + 1,), the children of node j are `first[j]` to `first[j + 1] - 1` in level k + 1, symbols
            ascending; no array for the last level.
        suffixes: uint32 (nodes,), where the n-gram without its first symbol stands in level k - 1; 0 for k = 1.
        counts: int64 or float64 (nodes,), how often each n-gram occurs.
    """

    symbols: Sequence[np.ndarray]
    first: Sequence[np.ndarray]
    suffixes: Sequence[np.ndarray]
    counts: Sequence[np.ndarray]

    @classmethod
    def of(cls, table: CountTable, threads: int = 1) -> Trie:
        """The trie of all n-grams in a table of windows, in time linear in its rows.

        Args:
            table: The windows.
            threads: How many work at it; the result is the same for any number.

        Raises:
            DataError: The rows are not sorted and distinct, hold something that is no window of a text or no count, or
                hold an n-gram without its suffix (a table that was not counted from whole texts).
        """
        spans = np.empty((len(table), 2), np.uint8)
        symbols, first = _levels(table, spans, threads)
        counts = RowCounts(table.counts, spans, list(map(len, symbols)))
        return cls(symbols, first, _suffixes(symbols, first, threads), counts)

    @property
    def parents(self) -> Sequence[np.ndarray]:
        """uint32 (nodes,), where the n-gram without its last symbol stands in level k - 1; 0 for k = 1."""
        return Parents(self.first, len(self.symbols[0]))

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.symbols)

    def nodes(self, order: int) -> int:
        """How many distinct n-grams of `order` symbols there are; 1 is the shortest."""
        return len(self.symbols[order - 1])

    def first_counts(self, order: int, nodes: int) -> np.ndarray:
        """The counts of the first nodes of the level of `order`."""
        if isinstance(self.counts, RowCounts):
            return self.counts.head(order - 1, nodes)
        return self.counts[order - 1][:nodes]

    def gram(self, order: int, node: int) -> tuple[int, ...]:
        """The symbols of a node of the level of `order`, first to last."""
        found: list[int] = []
        for level in reversed(range(order)):
            found.append(int(self.symbols[level][node]))
            node = int(self.parents[level][node])
        return tuple(reversed(found))

    def kept(self, minimum: Sequence[float]) -> list[np.ndarray]:
        """Which nodes `pruned` keeps: a bool array (nodes,) an order.

        Raises:
            SettingError: `minimum` has not one number an order, or does not begin with 1.
        """
        if len(minimum) != self.order:
            raise SettingError(f"{len(minimum)} minimum counts for {self.order} orders: give one an order")
        if minimum[0] != 1:
            raise SettingError(f"a minimum count of {minimum[0]} for unigrams: they are all kept, so give 1")
        kept = [counts >= least for counts, least in zip(self.counts, minimum, strict=True)]
        kept[0][:] = True
        for level in range(self.order - 1, 0, -1):
            kept[level - 1][self.parents[level][kept[level]]] = True
            kept[level - 1][self.suffixes[level][kept[level]]] = True
        return kept

    def only(self, kept: Sequence[np.ndarray]) -> Trie:
        """The trie of the nodes marked in `kept`, which must hold the parent and suffix of every node it holds."""
        places = [np.concatenate([[0], np.cumsum(marks)]) for marks in kept]
        suffixes = [self.suffixes[0][kept[0]]]
        for level in range(1, self.order):
            below = places[level - 1]
            suffixes.append(below[self.suffixes[level][kept[level]]].astype(np.uint32))
        bounds = [
            np.append(places[level + 1][first[:-1][kept[level]]], places[level + 1][-1]).astype(np.uint32)
            for level, first in enumerate(self.first)
        ]
        symbols = [values[marks] for values, marks in zip(self.symbols, kept, strict=True)]
        counts = [values[marks] for values, marks in zip(self.counts, kept, strict=True)]
        return Trie(symbols, bounds, suffixes, counts)

    def pruned(self, minimum: Sequence[float]) -> Trie:
        """The trie without rare n-grams.

        Args:
            minimum: One count an order; an n-gram counted less often goes, unless a longer n-gram that stays begins or
                ends with it. The first must be 1: unigrams always stay.

        Raises:
            SettingError: As in `kept`.
        """
        return self.only(self.kept(minimum))


@dataclass(frozen=True, eq=False)
class RowCounts(Sequence[np.ndarray]):
    """The counts of every level, summed from those of the rows when they are asked for.

    Attributes:
        rows: Counts of the windows.
        spans: uint8 (rows, 2), how many symbols each window shares with the one before, and how many it has.
        sizes: Nodes a level.
    """

    rows: np.ndarray
    spans: np.ndarray
    sizes: Sequence[int]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, level: int) -> np.ndarray:  # type: ignore[override]
        return self.head(level, self.sizes[level])

    def head(self, level: int, nodes: int) -> np.ndarray:
        """The counts of the first nodes of a level."""
        counts = np.empty(nodes, self.rows.dtype)
        add_counts(self.rows, self.spans, range(1, len(self) + 1)[level], counts)
        return counts


@dataclass(frozen=True, eq=False)
class Parents(Sequence[np.ndarray]):
    """The parents of every level, told from where children begin when they are asked for.

    Attributes:
        first: Where the children of each node begin, an array a level but the last.
        unigrams: Nodes of the first level.
    """

    first: Sequence[np.ndarray]
    unigrams: int

    def __len__(self) -> int:
        return len(self.first) + 1

    def __getitem__(self, level: int) -> np.ndarray:  # type: ignore[override]
        at = range(len(self))[level]
        if at == 0:
            return np.zeros(self.unigrams, np.uint32)
        bounds = self.first[at - 1]
        return np.repeat(np.arange(len(bounds) - 1, dtype=np.uint32), np.diff(bounds))


def _levels(table: CountTable, spans: np.ndarray, threads: int) -> tuple[Levels, list[np.ndarray]]:
    """Symbols and bounds of the children of every level; `spans` are written."""
    grams, order = table.grams, table.order
    borders = _borders(grams[:, 0], threads)
    measured = in_pieces(partial(level_sizes, grams, table.counts, spans), borders)
    for _, wrong in measured:
        if wrong >= 0:
            table.check()
            raise DataError(f"row {wrong:,} {grams[wrong].tolist()} is no window of a text: count the texts again")
    made = np.cumsum([np.zeros(order, np.int64), *(sizes for sizes, _ in measured)], axis=0)
    symbols = Levels.empty(made[-1].tolist(), np.uint32)
    total = symbols.borders[-1]
    if total > _MOST_NODES:
        raise DataError(f"{total:,} n-grams: there can be {_MOST_NODES:,}, count a lower order or less text")
    first, bases = np.empty(symbols.borders[-2] + order - 1, np.uint32), np.array(symbols.borders)
    before = dict(zip(borders, made.tolist(), strict=False))

    def fill(begin: int, end: int) -> None:
        fill_levels(grams, spans, begin, end, np.array(before[begin]), bases, symbols.joined, first)

    in_pieces(fill, borders)
    bounds = [first[begin + k : end + k + 1] for k, (begin, end) in enumerate(pairwise(symbols.borders[:-1]))]
    for level, bound in enumerate(bounds):
        bound[-1] = made[-1][level + 1]
    return symbols, bounds


def _borders(symbols: np.ndarray, threads: int) -> list[int]:
    """Borders between pieces of rows of like size, each standing where the first symbol changes."""
    inner = [int(np.searchsorted(symbols, symbols[row - 1], side="right")) for row in even(len(symbols), threads)[1:-1]]
    return [0, *inner, len(symbols)]


def _suffixes(symbols: Levels, first: Sequence[np.ndarray], threads: int) -> Levels:
    """The suffixes of every level, each from those of the level below."""
    suffixes = Levels.empty(list(map(len, symbols)), np.uint32)
    suffixes[0][:] = 0
    bounds = [np.array([0, len(symbols[0])], np.uint32), *first]
    for level in range(1, len(symbols)):
        find, borders = _finder(symbols, bounds, suffixes, level, threads)
        for wrong in in_pieces(find, borders):
            if wrong >= 0:
                symbol, size = int(symbols[level][wrong]), level + 1
                raise DataError(
                    f"n-gram {wrong:,} of order {size}, ending in symbol {symbol}, occurs and its last {level} symbols "
                    "do not: the counts are not those of whole texts, count them again"
                )
    return suffixes


def _finder(
    symbols: Levels, bounds: Sequence[np.ndarray], suffixes: Levels, level: int, threads: int
) -> tuple[Callable[[int, int], int], list[int]]:
    """What finds the suffixes of a level in pieces, and the borders of these."""
    own, contexts, below = bounds[level], bounds[level - 1], suffixes[level - 1]
    if level > _OF_FEW_CONTEXTS:
        arrays = symbols[level], own, below, contexts, symbols[level - 1], suffixes[level]
        return partial(find_suffixes, *arrays), even_borders(own, threads)
    begins, parents = grouped(below, len(contexts) - 1)
    vocabulary = int(symbols[0].max(initial=NOTHING)) + 1

    def find(begin: int, end: int) -> int:
        return find_suffixes_by_context(
            symbols[level], own, begins, parents, contexts, symbols[level - 1], vocabulary, suffixes[level], begin, end
        )

    return find, even_borders(begins, threads)
