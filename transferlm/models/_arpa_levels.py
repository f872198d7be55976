"""N-grams in any order, some of whose beginnings and ends may be missing, linked into a back-off model."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import UNKNOWN

__all__ = ["AboveOneError", "Level", "linked", "sorting"]

_ROUNDING = 1e-4
"""Nats by which decimals may bring a probability of 1 above it."""


class AboveOneError(ValueError):
    """Backing off gives an n-gram that is not listed a probability above 1.

    Args:
        gram: uint32 (order,): its symbols.
    """

    def __init__(self, gram: np.ndarray) -> None:
        super().__init__("a probability above 1")
        self.gram = gram


class Level(NamedTuple):
    """Distinct n-grams of one order, sorted: uint32 (n, order), and float32 natural logs, NaN where still unknown."""

    grams: np.ndarray
    log_probs: np.ndarray
    back_offs: np.ndarray


class _Links(NamedTuple):
    """Nodes of one level: each one's parent, suffix, and both in one key (parent, last symbol), ascending."""

    parents: np.ndarray
    suffixes: np.ndarray
    keys: np.ndarray


def linked(levels: list[Level]) -> BackOff:
    """The model of these n-grams; the first level lists every symbol that another one holds.

    An n-gram whose beginning or end is missing one level lower gets it, with the probability of backing off.

    Raises:
        AboveOneError: That is none.
    """
    links: list[_Links] = []
    while len(links) < len(levels):
        links.append(_links(levels, links))
        lacking = _lacking(levels, links)
        if len(lacking):
            links = links[:-2]
            levels[len(links)] = _with(levels[len(links)], lacking)
    log_probs = _completed(levels, links)
    unknown = levels[0].log_probs[levels[0].grams[:, 0] == UNKNOWN]
    return BackOff(
        symbols=[np.ascontiguousarray(level.grams[:, -1]) for level in levels],
        parents=[link.parents.astype(np.uint32) for link in links],
        first=[_first(len(below.parents), link.parents) for below, link in pairwise(links)],
        suffixes=[link.suffixes.astype(np.uint32) for link in links],
        log_probs=log_probs,
        back_offs=[level.back_offs for level in levels[:-1]],
        unknown=float(unknown[0]) if len(unknown) else -np.inf,
    )


def sorting(grams: np.ndarray) -> np.ndarray:
    """The stable permutation that sorts rows of symbols."""
    bits = int(grams.max(initial=1)).bit_length()
    packed = 64 // bits
    keys = []
    for begin in range(0, grams.shape[1], packed):
        key = np.zeros(len(grams), np.uint64)
        for column in grams[:, begin : begin + packed].T:
            key = key << np.uint64(bits) | column
        keys.append(key)
    return np.lexsort(keys[::-1])


def _links(levels: list[Level], links: list[_Links]) -> _Links:
    """Parents and suffixes of the level after `links`; -1 where one is missing."""
    grams = levels[len(links)].grams
    if not links:
        nothing = np.zeros(len(grams), np.int64)
        return _Links(nothing, nothing, grams[:, 0].astype(np.uint64))
    parents = _found(links[0].keys, grams[:, 0].astype(np.uint64))
    for below, column in zip(links[1:], grams[:, 1:].T, strict=False):
        parents = _found(below.keys, _keys(parents, column))
    above = np.append(links[-1].suffixes, -1)[parents]
    suffixes = _found(links[-1].keys, _keys(above, grams[:, -1]))
    return _Links(parents, suffixes, _keys(parents, grams[:, -1]))


def _keys(parents: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    keys: np.ndarray = parents.astype(np.int64).view(np.uint64) << np.uint64(32) | symbols
    return keys


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted key stands among sorted ones, int64; -1 where it doesn't."""
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def _lacking(levels: list[Level], links: list[_Links]) -> np.ndarray:
    """The distinct n-grams that the last level of `links` needs one level lower and that aren't there, sorted."""
    grams, last = levels[len(links) - 1].grams, links[-1]
    beginnings = grams[last.parents < 0, :-1]
    ends = grams[(last.parents >= 0) & (last.suffixes < 0), 1:]
    return np.unique(np.concatenate([beginnings, ends]), axis=0)


def _with(level: Level, grams: np.ndarray) -> Level:
    """The level and these n-grams, whose probability is to be found."""
    gathered = np.concatenate([level.grams, grams])
    log_probs = np.concatenate([level.log_probs, np.full(len(grams), np.nan, np.float32)])
    back_offs = np.concatenate([level.back_offs, np.zeros(len(grams), np.float32)])
    rows = sorting(gathered)
    return Level(gathered[rows], log_probs[rows], back_offs[rows])


def _completed(levels: list[Level], links: list[_Links]) -> list[np.ndarray]:
    """Log-probabilities, those of added n-grams by backing off: weight of the context times the shorter n-gram's."""
    completed = [levels[0].log_probs]
    for below, level, link in zip(levels, levels[1:], links[1:], strict=False):
        shorter = completed[-1][link.suffixes]
        shorter = below.back_offs[link.parents] + shorter
        above = np.flatnonzero(np.isnan(level.log_probs) & (shorter > _ROUNDING))
        if len(above):
            raise AboveOneError(level.grams[above[0]])
        shorter = np.minimum(shorter, 0)
        completed.append(np.where(np.isnan(level.log_probs), shorter, level.log_probs))
    return completed


def _first(nodes: int, parents: np.ndarray) -> np.ndarray:
    return np.searchsorted(parents, np.arange(nodes + 1)).astype(np.uint32)
