"""The back-off model that a compact trie holds, with the values that its codes stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from transferlm.counts import _compact_trie_kernels as kernels
from transferlm.counts._compact_trie_parts import numbers_of, width_of
from transferlm.counts.back_off import BackOff
from transferlm.counts.compact_trie import CompactTrie
from transferlm.counts.sums import STEP
from transferlm.counts.symbols import UNKNOWN
from transferlm.errors import ModelFolderError

__all__ = ["unpacked"]


class _Level(NamedTuple):
    """The n-grams of one order in lexicographic order: where each stands in the trie's order, and as in `BackOff`."""

    places: np.ndarray
    symbols: np.ndarray
    parents: np.ndarray
    suffixes: np.ndarray


def unpacked(trie: CompactTrie) -> BackOff:
    """A model with the same probabilities: to the bit where values are kept so, else within what float32 rounds.

    Raises:
        ModelFolderError: The trie's arrays don't fit together: its folder is damaged.
    """
    levels = list(_levels(trie))
    listed = levels[0].places
    sizes = [len(level.symbols) for level in levels]
    log_probs, back_offs = (
        [_values(trie, words, table, order)[level.places] for order, level in enumerate(levels[1:last], start=2)]
        for words, table, last in (
            (trie.log_probs, trie.log_prob_values, trie.order),
            (trie.back_offs, trie.back_off_values, trie.order - 1),
        )
    )
    taken = _taken(trie, levels)
    for level, own, values in zip(levels[1:], taken, log_probs, strict=False):
        values -= own[level.parents].astype(np.float32)
        np.minimum(values, 0, out=values)
    for own, values in zip(taken[1:], back_offs, strict=False):
        values -= own.astype(np.float32)
    model = BackOff(
        symbols=[level.symbols for level in levels],
        parents=[level.parents for level in levels],
        first=[
            np.searchsorted(level.parents, np.arange(size + 1)).astype(np.uint32)
            for size, level in zip(sizes, levels[1:], strict=False)
        ],
        suffixes=[level.suffixes for level in levels],
        log_probs=[trie.unigrams[listed, kernels.LOG_PROB], *log_probs],
        back_offs=[trie.unigrams[listed, kernels.BACK_OFF], *back_offs][: trie.order - 1],
        unknown=float(trie.unigrams[UNKNOWN, kernels.LOG_PROB]),
    )
    model.check()
    return model


def _levels(trie: CompactTrie) -> Iterator[_Level]:
    """Every order sorted anew: n-grams by their first symbol, then by the rest, which is sorted already.

    The n-gram without the last symbol is the one of the same first symbol and of the rest without its last symbol.
    """
    known = ~np.isnan(trie.unigrams[:, kernels.LOG_PROB])
    listed = np.flatnonzero(known)
    nothing = np.zeros(len(listed), np.uint32)
    level = _Level(listed, listed.astype(np.uint32), nothing, nothing)
    yield level
    ranks, keys = np.where(known, np.cumsum(known) - 1, -1), listed << 32
    for first_symbols, rest in _orders(trie):
        _demand(np.all(known[first_symbols]) and np.all(ranks[rest] >= 0))
        behind = ranks[rest]
        own = first_symbols << 32 | behind
        places = np.argsort(own, kind="stable")
        behind, begins = behind[places], first_symbols[places] << 32
        parents = np.searchsorted(keys, begins | level.parents[behind].astype(np.int64))
        level = _Level(places, level.symbols[behind], parents.astype(np.uint32), behind.astype(np.uint32))
        yield level
        keys, ranks = own[places], np.empty(len(places), np.int64)
        ranks[places] = np.arange(len(places))


def _orders(trie: CompactTrie) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of the n-grams of each order from the second on: their first symbols, and where each without it stands."""
    total = int(trie.levels[-1])
    symbols = numbers_of(trie.symbols, total, width_of(trie.vocabulary - 1))
    count = len(trie.groups) * kernels.GROUP
    first = np.repeat(trie.groups.astype(np.int64), kernels.GROUP)
    first += numbers_of(trie.first, count, (len(trie.first) - 1) // len(trie.groups))
    levels, bounds = trie.levels.tolist(), trie.unigram_first.astype(np.int64)
    for order in range(2, trie.order + 1):
        begin, end = levels[order - 2 : order]
        _demand(bounds[0] == begin and bounds[-1] == end and np.all(bounds[1:] >= bounds[:-1]))
        _demand(np.all(symbols[begin:end] < trie.vocabulary))
        yield symbols[begin:end], np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        if order < trie.order:
            bounds = first[begin : end + 1]


def _taken(trie: CompactTrie, levels: Sequence[_Level]) -> list[np.ndarray]:
    """Normalisers of the n-grams of every order but the highest, float64; none where values are kept to the bit."""
    if trie.bits is None:
        return []
    fewest, most = trie.normaliser_bounds.tolist()
    steps = fewest + numbers_of(trie.normalisers, int(trie.levels[max(trie.order - 2, 0)]), width_of(most - fewest))
    orders = zip(levels[1:], pairwise(trie.levels.tolist()), strict=False)
    beyond = [(STEP * steps[begin:end])[level.places] for level, (begin, end) in orders if end <= len(steps)]
    return [trie.unigrams[levels[0].places, kernels.TAKEN].astype(np.float64), *beyond]


def _values(trie: CompactTrie, words: np.ndarray, table: np.ndarray, order: int) -> np.ndarray:
    """What the codes of one order's n-grams stand for."""
    begin, end = trie.levels[order - 2 : order].tolist()
    if trie.bits is None:
        return words.view(np.float32)[begin:end]
    codes = numbers_of(words, end, width_of(table.shape[1] - 1))[begin:]
    _demand(codes.max(initial=0) < table.shape[1])
    found: np.ndarray = table[order - 2][codes]
    return found


def _demand(fits: bool | np.bool_) -> None:
    if not fits:
        raise ModelFolderError("the compact trie's arrays don't fit together: the folder is damaged, copy it again")
