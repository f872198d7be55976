"""Katz back-off with Good-Turing discounts, as SRILM's ngram-count does it when asked for nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transferlm.counts.trie import Trie
from transferlm.errors import SettingError
from transferlm.models._discounting import (
    Estimate,
    Level,
    build,
    event_counts,
    fraction_notes,
    over_contexts,
    statistics_of,
    vocabulary_size,
)
from transferlm.models._discounting_kernels import back_off_katz, padded_total

__all__ = ["coefficients", "estimate"]

_EPSILON = 3e-6


def estimate(trie: Trie, maximum: int = 7, minimum: Sequence[float] | None = None) -> Estimate:
    """Katz back-off (Katz 1987) with the details of SRILM (Stolcke 2002, `GoodTuring` and `Ngram::estimate`).

    Unigrams keep relative frequencies. In higher orders counts up to `maximum` are discounted; what is rarer than
    `minimum` is left out and leaves its mass to the shorter context. A context that would leave nothing to unseen
    words has its total raised by one (SRILM's "incrementing denominator"), unless it saw the whole vocabulary; where
    UNKNOWN was not counted this is what gives it mass. Unlike SRILM, the total is raised also in an order without any
    discounts, so that a small corpus too leaves something.

    Args:
        trie: The counted n-grams. Counts that are not whole are discounted like the next whole number, and noted.
        maximum: The highest count that is discounted (`-gtNmax`), in orders from 2 on.
        minimum: The least count that is kept, one an order, the first of them 1 (`-gtNmin`). None is 1 for unigrams and
            bigrams and 2 beyond, as in SRILM.

    Raises:
        DataError: Nothing was counted.
        SettingError: `maximum` below 0, or a `minimum` that does not fit the orders.
    """
    if maximum < 0:
        raise SettingError(f"a highest discounted count of {maximum}: give 0 (no discounts) or more")
    least = list(minimum) if minimum is not None else [1, 1, *[2] * trie.order][: trie.order]
    kept = trie.kept(least)
    values = [event_counts(trie, order) for order in range(1, trie.order + 1)]
    vocabulary = vocabulary_size(trie)
    statistics = [statistics_of(found, maximum + 1) for found in values]
    ratios, notes = _all_coefficients(statistics)

    def weigh(level: Level) -> tuple[np.ndarray, np.ndarray]:
        counts = values[level.order - 1]
        if level.order == 1:
            return _unigrams(counts, vocabulary)
        ratio, stays = np.array(ratios[level.order - 1]), kept[level.order - 1]
        return over_contexts(back_off_katz, level, counts, stays, ratio, vocabulary)

    facts = {
        "smoothing": "good_turing",
        "coefficients": [ratio[1:] for ratio in ratios],
        "counts_of_counts": [found[1:] for found in statistics],
        "minimum": least,
        "maximum": maximum,
    }
    return build(trie, weigh, facts, notes + fraction_notes(trie), kept)


def coefficients(counts_of_counts: Sequence[int]) -> tuple[list[float], list[str]]:
    """What each count is multiplied by, and a sentence for whatever could not be discounted.

    d_r = (r* / r - t) / (1 - t) with r* = (r + 1) n_{r+1} / n_r and t = (k + 1) n_{k+1} / n_1 (Katz 1987, eq. 15).

    Args:
        counts_of_counts: n_0 (unused) to n_{k+1}, k being the highest count that is discounted. It is lowered while
            n_{k+1} is 0.

    Returns:
        d_0 (unused) to d_k; 1 where d_r would not be above 0 and at most 1, or r* is above r.

    >>> [round(ratio, 3) for ratio in coefficients([0, 100, 40, 20])[0]]
    [1.0, 0.5, 0.375]
    """
    n, top = counts_of_counts, len(counts_of_counts) - 2
    if top < 1:
        return [1.0], []
    if not n[1]:
        return [1.0], ["no n-gram is counted once, so none is discounted."]
    while top and not n[top + 1]:
        top -= 1
    problems = [f"counts above {top} are not discounted."] if top < len(n) - 2 else []
    shared = (top + 1) * n[top + 1] / n[1]
    found = [1.0]
    for r in range(1, top + 1):
        ratio = (r + 1) * n[r + 1] / (r * n[r]) if n[r] else np.inf
        coefficient = (ratio - shared) / (1 - shared) if ratio <= 1 and shared != 1 else 0.0
        if not _EPSILON < coefficient <= 1:
            problems.append(f"the discount of count {r} is not usable, so it is not discounted.")
            coefficient = 1.0
        found.append(coefficient)
    return found, problems


def _all_coefficients(statistics: Sequence[Sequence[int]]) -> tuple[list[list[float]], list[str]]:
    """The coefficients of every order, none for unigrams, and what could not be discounted."""
    ratios, notes = [[1.0]], []
    for order, statistic in enumerate(statistics[1:], 2):
        found, problems = coefficients(statistic)
        ratios.append(found)
        notes += [f"Order {order}: {problem}" for problem in problems]
    return ratios, notes


def _unigrams(counts: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Relative frequencies, and what is left for UNKNOWN where it was not counted, in units of 1 / vocabulary."""
    explicit = float(counts.sum())
    whole = np.count_nonzero(counts) == vocabulary
    total = explicit if whole else padded_total(explicit, explicit)
    return counts / total, np.array([(total - explicit) / total * vocabulary])
