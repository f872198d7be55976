"""The loops behind the smoothings: over all contexts of one order and the symbols that followed each."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

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


@njit(cache=True, nogil=True)
def left_neighbours(suffixes: np.ndarray, nodes: int) -> np.ndarray:
    """How many n-grams end in each of the n-grams one symbol shorter: float64 (nodes,)."""
    found = np.zeros(nodes, np.float64)
    for node in range(len(suffixes)):
        found[suffixes[node]] += 1.0
    return found


@njit(cache=True, nogil=True)
def counts_of_counts(values: np.ndarray, top: int) -> np.ndarray:
    """How many values, rounded up, are 1 to `top`: int64 (top + 1,), the first of them 0."""
    found = np.zeros(top + 1, np.int64)
    for value in values:
        if 0.0 < value <= top:
            found[math.ceil(value)] += 1
    return found


@njit(cache=True, nogil=True)
def interpolate_discounted(
    values: np.ndarray,
    first: np.ndarray,
    kept: np.ndarray,
    amounts: np.ndarray,
    suffixes: np.ndarray,
    lower: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities after absolute discounts `amounts` (0, 1, 2, 3+), and the mass each context leaves to the shorter.

    What is not `kept` has its whole value in the mass left.
    """
    probabilities, left = np.empty(len(values), np.float64), np.ones(len(first) - 1, np.float64)
    for context in range(len(first) - 1):
        total = remaining = 0.0
        for child in range(first[context], first[context + 1]):
            total += values[child]
            discount = min(amounts[min(math.ceil(values[child]), 3)], values[child])
            remaining += discount if kept[child] else values[child]
        if total == 0.0:
            total = remaining = 1.0
        left[context] = remaining / total
        for child in range(first[context], first[context + 1]):
            discount = min(amounts[min(math.ceil(values[child]), 3)], values[child])
            probabilities[child] = (values[child] - discount) / total + left[context] * lower[suffixes[child]]
    return probabilities, left


@njit(cache=True, nogil=True)
def interpolate_pseudo_counts(
    values: np.ndarray,
    first: np.ndarray,
    per_type: float,
    per_context: float,
    suffixes: np.ndarray,
    lower: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities after pseudo-counts spread by the shorter context, and the share of them in each context."""
    probabilities, left = np.empty(len(values), np.float64), np.ones(len(first) - 1, np.float64)
    for context in range(len(first) - 1):
        total, added = 0.0, per_context
        for child in range(first[context], first[context + 1]):
            total += values[child]
            if values[child] > 0.0:
                added += per_type
        if total == 0.0:
            added = max(added, 1.0)
        left[context] = added / (total + added)
        for child in range(first[context], first[context + 1]):
            probabilities[child] = values[child] / (total + added) + left[context] * lower[suffixes[child]]
    return probabilities, left


@njit(cache=True, nogil=True)
def padded_total(total: float, explicit: float) -> float:
    """A total raised by whole ones until explicit / total is at most 1 - 3e-6 (SRILM: "incrementing denominator")."""
    if explicit <= (1.0 - _EPSILON) * total:
        return total
    return total + max(1.0, math.ceil(explicit / (1.0 - _EPSILON) - total))


@njit(cache=True, nogil=True)
def back_off_katz(
    values: np.ndarray,
    first: np.ndarray,
    kept: np.ndarray,
    coefficients: np.ndarray,
    vocabulary: int,
    suffixes: np.ndarray,
    lower: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities after multiplying counts by `coefficients`, and the back-off weight of each context.

    What is not `kept` has probability 0. The coefficient of a count, rounded up, beyond the array is 1.
    """
    probabilities, left = np.zeros(len(values), np.float64), np.ones(len(first) - 1, np.float64)
    for context in range(len(first) - 1):
        begin, end = first[context], first[context + 1]
        total = explicit = below = 0.0
        for child in range(begin, end):
            value = values[child]
            total += value
            if kept[child]:
                size = math.ceil(min(value, len(coefficients)))
                probabilities[child] = value * coefficients[size] if size < len(coefficients) else value
                explicit += probabilities[child]
                below += lower[suffixes[child]]
        if explicit == 0.0:
            continue
        if end - begin < vocabulary:
            total = padded_total(total, explicit)
        if 1.0 - below < _NONE_LEFT:
            total = explicit
        for child in range(begin, end):
            probabilities[child] /= total
        left[context] = (total - explicit) / total / (1.0 - below) if total > explicit else 0.0
    return probabilities, left


@njit(cache=True, nogil=True)
def leave_one_out(values: np.ndarray, first: np.ndarray, base: np.ndarray, concentration: float) -> tuple[float, float]:
    """The two sums whose ratio is Minka's leave-one-out step for the concentration (Minka 2000, section 3)."""
    above = below = 0.0
    for context in range(len(first) - 1):
        total = 0.0
        for child in range(first[context], first[context + 1]):
            value = values[child]
            total += value
            if value > 0.0 and base[child] > 0.0:
                above += value * base[child] / (max(value - 1.0, 0.0) + concentration * base[child])
        if total > 0.0:
            below += total / (max(total - 1.0, 0.0) + concentration)
    return above, below
