"""Interpolated modified Kneser-Ney smoothing, as KenLM's lmplz does it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from transferlm.counts.pieces import THREADS, even, in_pieces
from transferlm.counts.symbols import BEGIN
from transferlm.counts.trie import Trie
from transferlm.models._discounting import (
    Estimate,
    Level,
    build,
    event_counts,
    fraction_notes,
    over_contexts,
    statistics_of,
)
from transferlm.models._discounting_kernels import interpolate_discounted, left_neighbours

__all__ = ["discounts", "estimate"]

_FALLBACK = (0.5, 1.0, 1.5)


def estimate(trie: Trie, pruning: Sequence[float] | None = None) -> Estimate:
    """Interpolated modified Kneser-Ney (Chen & Goodman 1999, section 4.1.6; Heafield et al. 2013).

    Below the highest order an n-gram counts as often as it has distinct left neighbours, unless it begins a text.
    Unigrams are interpolated with the uniform distribution over the words that occur, END and UNKNOWN. Where an order's
    discounts can't be estimated, 0.5, 1 and 1.5 stand in and a note says so (`--discount_fallback` of lmplz).

    Args:
        trie: The counted n-grams. Counts that are not whole are classed as rounded up, discounted by no more than
            themselves, and noted.
        pruning: One minimum count an order, the first of them 1, as in `Trie.pruned`. What is pruned is left out after
            all the discounts are known and leaves its mass to the shorter context. None prunes nothing.

    Raises:
        DataError: Nothing was counted.
        SettingError: `pruning` does not fit the orders.
    """
    kept = trie.kept(pruning) if pruning is not None else None
    facts: dict[str, Any] = {
        "smoothing": "kneser_ney",
        "discounts": [],
        "counts_of_counts": [],
        "fallback_orders": [],
        "pruning": list(pruning) if pruning is not None else None,
    }
    notes: list[str] = []

    def weigh(level: Level) -> tuple[np.ndarray, np.ndarray]:
        counts = _adjusted(trie, level.order)
        amounts = _told(level.order, counts, facts, notes)
        stays = kept[level.order - 1] if kept is not None else np.zeros(0, np.bool_)
        return over_contexts(interpolate_discounted, level, counts, stays, np.array([0.0, *amounts]))

    estimate = build(trie, weigh, facts, notes, kept)
    notes += fraction_notes(trie)
    return estimate


def _told(order: int, counts: np.ndarray, facts: dict[str, Any], notes: list[str]) -> Sequence[float]:
    """The discounts of an order, which join facts and notes."""
    statistics = statistics_of(counts, 4)[1:]
    amounts = discounts(statistics)
    if amounts is None:
        facts["fallback_orders"].append(order)
        notes.append(_fallback_note(order, statistics))
    facts["counts_of_counts"].append(statistics)
    facts["discounts"].append(list(amounts or _FALLBACK))
    return amounts or _FALLBACK


def discounts(counts_of_counts: Sequence[int]) -> tuple[float, float, float] | None:
    """D1, D2 and D3+ from the numbers of n-grams counted 1, 2, 3 and 4 times (Chen & Goodman 1999, eq. 26).

    Returns:
        None where they can't be estimated, or D_k is outside 0 to k.

    >>> discounts([100, 50, 20, 10])
    (0.5, 1.4, 2.0)
    >>> discounts([5, 1, 0, 0]) is None
    True
    """
    n = [0, *counts_of_counts]
    if not all(n[1:4]):
        return None
    y = n[1] / (n[1] + 2 * n[2])
    found = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
    if not all(0 <= amount <= k for k, amount in enumerate(found, 1)):
        return None
    return found[0], found[1], found[2]


def _fallback_note(order: int, counts_of_counts: Sequence[int]) -> str:
    numbers = ", ".join(f"{number:,}" for number in counts_of_counts)
    return (
        f"Order {order}: {numbers} n-grams counted 1, 2, 3 and 4 times give no usable discounts; 0.5, 1 and 1.5 were "
        "taken."
    )


def _adjusted(trie: Trie, order: int) -> np.ndarray:
    """Distinct left neighbours; raw counts for the highest order and for what begins with BEGIN, but 0 for BEGIN."""
    if order == trie.order:
        return event_counts(trie, order)
    values = np.empty(trie.nodes(order), np.float64)
    in_pieces(partial(left_neighbours, trie.suffixes[order], values), even(len(values), THREADS))
    beginning = _beginning(trie, order)
    values[:beginning] = trie.first_counts(order, beginning) if order > 1 else 0
    return values


def _beginning(trie: Trie, order: int) -> int:
    """How many n-grams begin with BEGIN: they stand before all others, as no node has a smaller symbol."""
    count = int(np.count_nonzero(trie.symbols[0][:1] == BEGIN))
    for level in range(order - 1):
        count = int(trie.first[level][count])
    return count
