"""Log-probabilities and back-off weights as codes of a few bits, and what keeps their sums as they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.sums import joint_probabilities, normalisers
from transferlm.errors import SettingError

__all__ = ["FEWEST_BITS", "MOST_BITS", "Coded", "check_bits", "codebook", "coded"]

FEWEST_BITS, MOST_BITS = 2, 16

_ROUNDS = 50
"""After so many the cost of a codebook no longer falls in its third digit."""

_STRIPS = 4096
"""Strips in which a density is taken."""


@dataclass(frozen=True, eq=False)
class Coded:
    """A back-off model's values as they are stored; a list holds an array an order, from n-grams of two symbols on.

    Attributes:
        log_probs: uint32 (n-grams,), codes: columns of their order's row of `log_prob_values`; where that has no
            columns, float32 bits.
        back_offs: The same for `back_off_values`; none for the highest order.
        normalisers: int64 (n-grams,), steps of `sums.STEP`, unigrams first, none for the highest order: what to take
            from all log-probabilities after the n-gram; no arrays where values are kept to the bit.
        log_prob_values: float32 (orders from the second, the most codes that one of them uses), or no columns.
        back_off_values: Likewise, without the highest order.
    """

    log_probs: Sequence[np.ndarray]
    back_offs: Sequence[np.ndarray]
    normalisers: Sequence[np.ndarray]
    log_prob_values: np.ndarray
    back_off_values: np.ndarray


def check_bits(bits: int | None) -> None:
    """See that codes may have this width.

    Raises:
        SettingError: They may not, or the width is no whole number.
    """
    if bits is not None and (type(bits) is not int or not FEWEST_BITS <= bits <= MOST_BITS):
        raise SettingError(f"bits {bits!r}: give {FEWEST_BITS} to {MOST_BITS}, or none to lose nothing")


def coded(model: BackOff, bits: int | None) -> Coded:
    """The values of a model in codes of `bits` bits, those of unigrams as they are.

    An n-gram weighs as much in the codebook of its order (`codebook`) as it occurs in running text. What codes add to
    the sum of the probabilities after a context, or take from it, goes into a normaliser of that context.

    Args:
        model: Any model.
        bits: 2 to 16; none keeps every value to the bit.

    Raises:
        SettingError: `bits` is out of its range.
    """
    check_bits(bits)
    order = model.order
    if bits is None:
        log_probs, back_offs = (
            [values.view(np.uint32) for values in lists[1:]] for lists in (model.log_probs, model.back_offs)
        )
        tables = [np.zeros((rows, 0), np.float32) for rows in (order - 1, max(order - 2, 0))]
        return Coded(log_probs, back_offs, [], *tables)
    weights = joint_probabilities(model)
    probabilities, shares = (
        [codebook(values[level], weights[level], bits) for level in range(1, len(values))]
        for values in (model.log_probs, model.back_offs)
    )
    told = replace(
        model,
        log_probs=[model.log_probs[0], *(values[codes] for values, codes in probabilities)],
        back_offs=[*model.back_offs[:1], *(values[codes] for values, codes in shares)],
    )
    return Coded(
        [codes for _, codes in probabilities],
        [codes for _, codes in shares],
        normalisers(told, model),
        _table([values for values, _ in probabilities]),
        _table([values for values, _ in shares]),
    )


def codebook(values: np.ndarray, weights: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Values to stand for others, and which of them stands for which.

    The bins with the least weighted squared error, as Lloyd's (1982) iteration finds them from where Panter & Dite
    (1951) would cut; a bin's value is its weighted mean. Bins of equal population (Federico & Bertoldi 2006) cost more
    perplexity (`benchmarks/LOG.md`). 0 and -inf are kept as they are, and all values where they are few.

    Args:
        values: float32 (n,), natural logs.
        weights: float64 (n,), above 0: how much an error in each matters.
        bits: 2 ** bits is the most values there may be.

    Returns:
        float32 (values that stand for others,); uint32 (n,).

    >>> values, codes = codebook(np.float32([-1, -1.5, -9, 0, -np.inf]), np.ones(5), 2)
    >>> values[codes].tolist()
    [-1.25, -1.25, -9.0, 0.0, -inf]
    """
    exact = np.isneginf(values) | (values == 0)
    kept = np.unique(values[exact])
    centres = _centres(values[~exact].astype(np.float64), weights[~exact], 2**bits - len(kept))
    table = np.concatenate([kept, centres]).astype(np.float32)
    codes = np.empty(len(values), np.uint32)
    codes[exact] = np.searchsorted(kept, values[exact])
    codes[~exact] = len(kept) + np.searchsorted((centres[1:] + centres[:-1]) / 2, values[~exact])
    return table, codes


def _centres(values: np.ndarray, weights: np.ndarray, most: int) -> np.ndarray:
    """At most so many values, ascending, whose weighted squared distance to the nearest is small."""
    distinct, which = np.unique(values, return_inverse=True)
    if len(distinct) <= most:
        return distinct
    weights = np.bincount(which, weights)
    edges = np.searchsorted(distinct, _cuts(distinct, weights, most))
    for _ in range(_ROUNDS):
        begins = np.unique(np.concatenate([[0], edges[edges < len(distinct)]]))
        mass, moment = (np.add.reduceat(sums, begins) for sums in (weights, weights * distinct))
        centres: np.ndarray = moment / mass  # bin by bin: of running sums a rare bin would keep only rounding errors
        before, edges = edges, np.searchsorted(distinct, (centres[1:] + centres[:-1]) / 2)
        if np.array_equal(before, edges):
            break
    return centres


def _cuts(values: np.ndarray, weights: np.ndarray, bins: int) -> np.ndarray:
    """Where to cut ascending values so that bins hold equal shares of the cube root of their density."""
    density, borders = np.histogram(values, _STRIPS, weights=weights)
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(density))])
    cuts: np.ndarray = np.interp(np.linspace(0, share[-1], bins + 1)[1:-1], share, borders)
    return cuts


def _table(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of several lengths as one array, and one column at least."""
    table = np.zeros((len(rows), max([1, *map(len, rows)])), np.float32)
    for own, row in zip(table, rows, strict=True):
        own[: len(row)] = row
    return table
