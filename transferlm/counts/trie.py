"""The n-grams of every order that a table of counts holds, as levels of nodes that know parent, children and suffix."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from transferlm.counts._trie_kernels import fill_levels, find_suffixes, level_sizes
from transferlm.counts.table import CountTable
from transferlm.errors import DataError, SettingError

__all__ = ["Trie"]


@dataclass(frozen=True, eq=False)
class Trie:
    """Levels of nodes, one an order: level k holds the distinct n-grams of k symbols in lexicographic order.

    NOTHING is in no n-gram. Each list has an array a level, for k = 1 to `order`.

    Attributes:
        symbols: uint32 (nodes,), the last symbol of each n-gram.
        parents: uint32 (nodes,), where the n-gram without its last symbol stands in level k - 1; 0 for k = 1.
        first: int64 (nodes + 1,), the children of node j are `first[j]` to `first[j + 1] - 1` in level k + 1, symbols
            ascending; no array for the last level.
        suffixes: uint32 (nodes,), where the n-gram without its first symbol stands in level k - 1; 0 for k = 1.
        counts: int64 or float64 (nodes,), how often each n-gram occurs.
    """

    symbols: list[np.ndarray]
    parents: list[np.ndarray]
    first: list[np.ndarray]
    suffixes: list[np.ndarray]
    counts: list[np.ndarray]

    @classmethod
    def of(cls, table: CountTable, threads: int = 1) -> Trie:
        """The trie of all n-grams in a table of windows, in time linear in its rows.

        Args:
            table: The windows.
            threads: How many work at it; the result is the same for any number.

        Raises:
            DataError: The rows are not sorted and distinct, hold something that is no window of a text, or hold an
                n-gram without its suffix (a table that was not counted from whole texts).
        """
        threads = max(1, threads)
        with ThreadPoolExecutor(threads) as pool:
            symbols, parents, first, counts = _levels(table, pool, threads)
            return cls(symbols, parents, first, _suffixes(symbols, parents, first, pool, threads), counts)

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.symbols)

    def nodes(self, order: int) -> int:
        """How many distinct n-grams of `order` symbols there are; 1 is the shortest."""
        return len(self.symbols[order - 1])

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
        parents, suffixes = [self.parents[0][kept[0]]], [self.suffixes[0][kept[0]]]
        for level in range(1, self.order):
            below = places[level - 1]
            parents.append(below[self.parents[level][kept[level]]].astype(np.uint32))
            suffixes.append(below[self.suffixes[level][kept[level]]].astype(np.uint32))
        bounds = [
            np.append(places[level + 1][first[:-1][kept[level]]], places[level + 1][-1])
            for level, first in enumerate(self.first)
        ]
        symbols = [values[marks] for values, marks in zip(self.symbols, kept, strict=True)]
        counts = [values[marks] for values, marks in zip(self.counts, kept, strict=True)]
        return Trie(symbols, parents, bounds, suffixes, counts)

    def pruned(self, minimum: Sequence[float]) -> Trie:
        """The trie without rare n-grams.

        Args:
            minimum: One count an order; an n-gram counted less often goes, unless a longer n-gram that stays begins or
                ends with it. The first must be 1: unigrams always stay.

        Raises:
            SettingError: As in `kept`.
        """
        return self.only(self.kept(minimum))


def _levels(table: CountTable, pool: Executor, threads: int) -> tuple[list[np.ndarray], ...]:
    """Symbols, parents, bounds of the children and counts of every level."""
    grams, order = table.grams, table.grams.shape[1]
    pieces = _pieces(grams[:, 0], threads)
    measured = list(pool.map(lambda piece: level_sizes(grams, *piece), pieces))
    for _, wrong in measured:
        if wrong >= 0:
            row = grams[wrong].tolist()
            raise DataError(f"row {wrong:,} {row} is out of order or no window of a text: count the texts again")
    made = np.cumsum([np.zeros(order, np.int64), *(sizes for sizes, _ in measured)], axis=0)
    bases = np.concatenate([[0], np.cumsum(made[-1])])
    total = int(bases[-1])
    symbols, parents = np.empty(total, np.uint32), np.empty(total, np.uint32)
    counts, first = np.empty(total, table.counts.dtype), np.zeros(total + order, np.int64)

    def fill(piece: tuple[int, int], before: np.ndarray) -> None:
        fill_levels(grams, table.counts, *piece, before.copy(), bases, symbols, parents, first, counts)

    list(pool.map(fill, pieces, made[:-1]))
    levels = list(pairwise(bases.tolist()))
    bounds = [first[begin + k : end + k + 1] for k, (begin, end) in enumerate(levels[:-1])]
    for level, bound in enumerate(bounds):
        bound[-1] = made[-1][level + 1]
    return (
        [symbols[begin:end] for begin, end in levels],
        [parents[begin:end] for begin, end in levels],
        bounds,
        [counts[begin:end] for begin, end in levels],
    )


def _pieces(symbols: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Rows in `count` pieces of like size, some maybe empty, that begin where the first symbol changes."""
    borders = [0]
    for piece in range(1, count):
        row = len(symbols) * piece // count
        border = int(np.searchsorted(symbols, symbols[row - 1], side="right")) if row else 0
        borders.append(max(border, borders[-1]))
    return list(pairwise([*borders, len(symbols)]))


def _suffixes(
    symbols: list[np.ndarray], parents: list[np.ndarray], first: list[np.ndarray], pool: Executor, threads: int
) -> list[np.ndarray]:
    """The suffixes of every level, each from those of the level below."""
    suffixes = [np.zeros(len(symbols[0]), np.uint32)]
    bounds = [np.array([0, len(symbols[0])], np.int64), *first]
    for level in range(1, len(symbols)):
        found = np.empty(len(symbols[level]), np.uint32)
        arrays = symbols[level], parents[level], suffixes[level - 1], bounds[level - 1], symbols[level - 1], found
        borders = [len(found) * piece // threads for piece in range(threads + 1)]
        for wrong in pool.map(partial(find_suffixes, *arrays), borders[:-1], borders[1:]):
            if wrong >= 0:
                symbol, size = int(symbols[level][wrong]), level + 1
                raise DataError(
                    f"n-gram {wrong:,} of order {size}, ending in symbol {symbol}, occurs and its last {level} symbols "
                    "do not: the counts are not those of whole texts, count them again"
                )
        suffixes.append(found)
    return suffixes
