"""Whole texts looked up in a trie of counts at once: what was counted of every n-gram that ends at every position."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import numpy as np

from transferlm.counts._lookup_kernels import extend
from transferlm.counts.pieces import THREADS, even, in_pieces
from transferlm.counts.scorer import frozen
from transferlm.counts.symbols import BEGIN
from transferlm.counts.trie import Trie

__all__ = ["Evidence", "Lookup"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was counted around each position: column k speaks of the k symbols before it, the empty context first.

    Attributes:
        counts: float64 (positions, order), how often the symbol followed that context.
        totals: float64 (positions, order), how often anything did; 0 for a context that was never seen, or that would
            reach over the beginning of its text.
        types: float64 (positions, order), how many different symbols did.
    """

    counts: np.ndarray
    totals: np.ndarray
    types: np.ndarray


@dataclass(frozen=True, eq=False)
class Lookup:
    """Counts of contexts, ready to be asked for whole texts.

    Args:
        trie: What was counted.
    """

    trie: Trie

    @cached_property
    def _counts(self) -> list[np.ndarray]:
        """The counts of the n-grams of each length."""
        return list(self.trie.counts)

    @cached_property
    def _contexts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Totals and types of the contexts of each length, float64 (nodes,); BEGIN follows nothing."""
        unigrams = self._counts[0].astype(np.float64)
        unigrams[self.trie.symbols[0] == BEGIN] = 0
        found = [(np.array([unigrams.sum()]), np.array([float(np.count_nonzero(unigrams))]))]
        for counts, first in zip(self._counts[1:], self.trie.first, strict=True):
            types = np.diff(first)
            contexts = np.repeat(np.arange(len(types)), types)
            found.append((np.bincount(contexts, counts, minlength=len(types)), types.astype(np.float64)))
        return found

    def nodes(self, ids: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Where the n-grams that end at each position stand in the trie.

        Args:
            ids: uint32 (positions,): texts one after the other, each from BEGIN to END.
            starts: int64 (texts + 1,): where each begins, and where the last ends.

        Returns:
            int64 (positions, order): column k has the node, in the level of k + 1 symbols, of those that end there; -1
            where they were not counted or would begin before the text.
        """
        trie = self.trie
        found = np.empty((trie.order, len(ids)), np.int64)
        ids = frozen(np.ascontiguousarray(ids, np.uint32))
        before = np.zeros(len(ids), np.int64)
        bounds = [np.array([0, trie.nodes(1)], np.uint32), *trie.first]
        for level in range(trie.order):
            arrays = before, frozen(bounds[level]), frozen(trie.symbols[level]), found[level]
            in_pieces(partial(cast(Any, extend), ids, *arrays), even(len(ids), THREADS))
            before = _shifted(found[level], starts)
        return found.T

    def evidence(self, ids: np.ndarray, starts: np.ndarray, counted: np.ndarray | None = None) -> Evidence:
        """What was counted around every position; a text's own BEGIN has counts of 0.

        Args:
            ids: As in `nodes`.
            starts: As in `nodes`.
            counted: bool (texts,), which of them are among the texts that were counted: these are told what would be
                there without them. None takes none for such a one.
        """
        texts = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        found = Evidence(*(np.zeros((len(ids), self.trie.order)) for _ in range(3)))
        nodes, context = self.nodes(ids, starts), _shifted(np.zeros(len(ids), np.int64), starts)
        for k in range(self.trie.order):
            own, seen = nodes[:, k], np.flatnonzero(context >= 0)
            known = np.flatnonzero((own >= 0) & (context >= 0))
            found.counts[known, k] = self._counts[k][own[known]]
            found.totals[seen, k] = self._contexts[k][0][context[seen]]
            found.types[seen, k] = self._contexts[k][1][context[seen]]
            if counted is not None:
                known = known[counted[texts[known]]]
                self._leave_out(k, known, (texts[known], context[known], own[known]), found)
            context = _shifted(own, starts)
        return found

    def _leave_out(self, k: int, places: np.ndarray, around: tuple[np.ndarray, ...], found: Evidence) -> None:
        """Take off what each text itself has counted at these places: text, context and n-gram of each."""
        texts, context, own = around
        _, first, gram_of, times = np.unique(
            texts * np.int64(len(self._counts[k])) + own, return_index=True, return_inverse=True, return_counts=True
        )
        _, context_of, uses = np.unique(
            texts * np.int64(len(self._contexts[k][0])) + context, return_inverse=True, return_counts=True
        )
        alone = times >= self._counts[k][own[first]]
        vanished = np.bincount(context_of[first], alone, minlength=len(uses))
        found.counts[places, k] -= times[gram_of]
        found.totals[places, k] -= uses[context_of]
        found.types[places, k] -= vanished[context_of]


def _shifted(nodes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Each position's context: the n-gram that ends just before it, -1 at the beginning of a text."""
    before = np.empty_like(nodes)
    before[1:] = nodes[:-1]
    before[starts[:-1][starts[:-1] < len(nodes)]] = -1
    return before
