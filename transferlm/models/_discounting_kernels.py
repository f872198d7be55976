"""The loops behind the smoothings: over all contexts of one order and the symbols that followed each."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from transferlm.counts.prefetch import prefetch

__all__ = [
    "back_off_katz",
    "counts_of_counts",
    "interpolate_discounted",
    "interpolate_pseudo_counts",
    "left_neighbours",
    "leave_one_out",
    "padded_total",
]

_EPSILON = 3e-6
_NONE_LEFT = 1e-12


_AHEAD = 16
"""N-grams looked ahead, so that the probabilities of their suffixes are there when it is their turn."""


@njit(cache=True, nogil=True)
def left_neighbours(suffixes: np.ndarray, found: np.ndarray, begin: int, end: int) -> None:
    """Write how many n-grams end in each of the n-grams `begin:end`, which are one symbol shorter."""
    found[begin:end] = 0.0
    for node in range(len(suffixes)):
        if begin <= suffixes[node] < end:
            found[suffixes[node]] += 1.0


@njit(cache=True, nogil=True)
def counts_of_counts(values: np.ndarray, top: int, begin: int, end: int) -> np.ndarray:
    """How many of the values `begin:end`, rounded up, are 1 to `top`: int64 (top + 1,), the first of them 0.

    Most values are 1: four sums are kept in turn, so that none waits for the one before.
    """
    found = np.zeros((4, top + 1), np.int64)
    for i in range(begin, end):
        if 0.0 < values[i] <= top:
            found[i % 4, math.ceil(values[i])] += 1
    summed: np.ndarray = found.sum(axis=0)
    return summed


@njit(cache=True, nogil=True)
def interpolate_discounted(
    values: np.ndarray,
    kept: np.ndarray,
    amounts: np.ndarray,
    first: np.ndarray,
    suffixes: np.ndarray,
    lower: np.ndarray,
    probabilities: np.ndarray,
    left: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Probabilities in contexts `begin:end` after absolute discounts `amounts` (0, 1, 2, 3+), and what is left to the
    shorter context.

    What is not `kept` has its whole value in the mass left; an empty `kept` keeps all.
    """
    all_kept = len(kept) == 0
    opens = np.int64(first[begin])
    for context in range(begin, end):
        closes = np.int64(first[context + 1])
        total = remaining = 0.0
        for child in range(opens, closes):
            value = values[child]
            discount = min(amounts[_class(value)], value)
            total += value
            remaining += discount if all_kept or kept[child] else value
            probabilities[child] = value - discount
        if total == 0.0:
            total = remaining = 1.0
        share = remaining / total
        left[context] = share
        for child in range(opens, closes):
            if child + _AHEAD < len(suffixes):
                prefetch(lower, np.int64(suffixes[child + _AHEAD]))
            probabilities[child] = probabilities[child] / total + share * lower[suffixes[child]]
        opens = closes


@njit(cache=True, nogil=True)
def _class(value: float) -> np.int64:
    """A count's class for discounting: the count rounded up, 3 for all above."""
    return np.int64(value > 0.0) + np.int64(value > 1.0) + np.int64(value > 2.0)


@njit(cache=True, nogil=True)
def interpolate_pseudo_counts(
    values: np.ndarray,
    per_type: float,
    per_context: float,
    first: np.ndarray,
    suffixes: np.ndarray,
    lower: np.ndarray,
    probabilities: np.ndarray,
    left: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Probabilities in contexts `begin:end` after pseudo-counts spread by the shorter one, and the share of them."""
    for context in range(begin, end):
        total, added = 0.0, per_context
        for child in range(np.int64(first[context]), np.int64(first[context + 1])):
            total += values[child]
            if values[child] > 0.0:
                added += per_type
        if total == 0.0:
            added = max(added, 1.0)
        left[context] = added / (total + added)
        for child in range(np.int64(first[context]), np.int64(first[context + 1])):
            probabilities[child] = values[child] / (total + added) + left[context] * lower[suffixes[child]]


@njit(cache=True, nogil=True)
def padded_total(total: float, explicit: float) -> float:
    """A total raised by whole ones until explicit / total is at most 1 - 3e-6 (SRILM: "incrementing denominator")."""
    if explicit <= (1.0 - _EPSILON) * total:
        return total
    return total + max(1.0, math.ceil(explicit / (1.0 - _EPSILON) - total))


@njit(cache=True, nogil=True)
def back_off_katz(
    values: np.ndarray,
    kept: np.ndarray,
    coefficients: np.ndarray,
    vocabulary: int,
    first: np.ndarray,
    suffixes: np.ndarray,
    lower: np.ndarray,
    probabilities: np.ndarray,
    left: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Probabilities in contexts `begin:end` after multiplying counts by `coefficients`, and their back-off weights.

    What is not `kept` has probability 0. The coefficient of a count, rounded up, beyond the array is 1.
    """
    for context in range(begin, end):
        opens, closes = np.int64(first[context]), np.int64(first[context + 1])
        total = explicit = below = 0.0
        for child in range(opens, closes):
            value = values[child]
            total += value
            probabilities[child] = 0.0
            if kept[child]:
                size = math.ceil(min(value, len(coefficients)))
                probabilities[child] = value * coefficients[size] if size < len(coefficients) else value
                explicit += probabilities[child]
                below += lower[suffixes[child]]
        left[context] = 1.0
        if explicit == 0.0:
            continue
        if closes - opens < vocabulary:
            total = padded_total(total, explicit)
        if 1.0 - below < _NONE_LEFT:
            total = explicit
        for child in range(opens, closes):
            probabilities[child] /= total
        left[context] = (total - explicit) / total / (1.0 - below) if total > explicit else 0.0


@njit(cache=True, nogil=True)
def leave_one_out(values: np.ndarray, first: np.ndarray, base: np.ndarray, concentration: float) -> tuple[float, float]:
    """The two sums whose ratio is Minka's leave-one-out step for the concentration (Minka 2000, section 3)."""
    above = below = 0.0
    for context in range(len(first) - 1):
        total = 0.0
        for child in range(np.int64(first[context]), np.int64(first[context + 1])):
            value = values[child]
            total += value
            if value > 0.0 and base[child] > 0.0:
                above += value * base[child] / (max(value - 1.0, 0.0) + concentration * base[child])
        if total > 0.0:
            below += total / (max(total - 1.0, 0.0) + concentration)
    return above, below
