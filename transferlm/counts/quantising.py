"""Log-probabilities and back-off weights as codes of a few bits, and what that does to sums of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.sums import joint_probabilities, sums_of_children
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
        unigram_back_offs: float32 (unigrams,), as they are.
        log_prob_values: float32 (orders from the second, 2 ** bits), or no columns.
        back_off_values: Likewise; the last row is not used.
    """

    log_probs: Sequence[np.ndarray]
    back_offs: Sequence[np.ndarray]
    unigram_back_offs: np.ndarray
    log_prob_values: np.ndarray
    back_off_values: np.ndarray

    @property
    def bits(self) -> int | None:
        """Width of a code, None where values are kept to the bit."""
        return self.log_prob_values.shape[1].bit_length() - 1 if self.log_prob_values.shape[1] else None

    def decoded(self, model: BackOff) -> BackOff:
        """The model that they came from, with the values that they stand for in the place of its own."""
        log_probs, back_offs = (
            [row[codes] if len(row) else codes.view(np.float32) for row, codes in zip(table, orders, strict=False)]
            for table, orders in ((self.log_prob_values, self.log_probs), (self.back_off_values, self.back_offs))
        )
        weights = [self.unigram_back_offs, *back_offs][: model.order - 1]
        return replace(model, log_probs=[model.log_probs[0], *log_probs], back_offs=weights)


def check_bits(bits: int | None) -> None:
    """See that codes may have this width.

    Raises:
        SettingError: They may not.
    """
    if bits is not None and not FEWEST_BITS <= bits <= MOST_BITS:
        raise SettingError(f"bits {bits}: give {FEWEST_BITS} to {MOST_BITS}, or none to lose nothing")


def coded(model: BackOff, bits: int | None) -> Coded:
    """The values of a model in codes of `bits` bits, those of unigrams as they are.

    Probabilities get their codebook first (`codebook`), where an n-gram weighs as much as it occurs in running text.
    Then the back-off weight of each context is moved so that the probabilities after it have the sum they had, and gets
    its code; how near they stay to it tells `sums.probability_sums`.

    Args:
        model: Any model.
        bits: 2 to 16; none keeps every value to the bit.

    Raises:
        SettingError: `bits` is out of its range.
    """
    check_bits(bits)
    orders = range(1, model.order)
    if bits is None:
        log_probs, back_offs = (
            [values.view(np.uint32) for values in lists[1:]] for lists in (model.log_probs, model.back_offs)
        )
        tables = [np.zeros((len(orders), 0), np.float32)] * 2
        return Coded(log_probs, back_offs, _of_unigrams(model, model.back_offs), *tables)
    weights = joint_probabilities(model)
    first = [codebook(model.log_probs[order], weights[order], bits) for order in orders]
    moved = _moved(model, [model.log_probs[0], *(values[codes] for values, codes in first)])
    second = [codebook(moved[order], weights[order], bits) for order in orders[:-1]]
    tables = [np.zeros((len(orders), 2**bits), np.float32) for _ in range(2)]
    for table, books in zip(tables, (first, second), strict=True):
        for row, (values, _) in enumerate(books):
            table[row] = values
    return Coded([codes for _, codes in first], [codes for _, codes in second], _of_unigrams(model, moved), *tables)


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
        float32 (2 ** bits,), unused ones 0; uint32 (n,).

    >>> values, codes = codebook(np.float32([-1, -1.5, -9, 0, -np.inf]), np.ones(5), 2)
    >>> values[codes].tolist()
    [-1.25, -1.25, -9.0, 0.0, -inf]
    """
    exact = np.isneginf(values) | (values == 0)
    kept = np.unique(values[exact])
    centres = _centres(values[~exact].astype(np.float64), weights[~exact], 2**bits - len(kept))
    table = np.zeros(2**bits, np.float32)
    table[: len(kept)], table[len(kept) : len(kept) + len(centres)] = kept, centres
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


def _moved(model: BackOff, log_probs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The model's back-off weights, moved as much as others in place of its log-probabilities ask for."""
    moved = []
    for level, weights in enumerate(model.back_offs, start=1):
        before, after = (_left(model, level, values) for values in (model.log_probs, log_probs))
        with np.errstate(invalid="ignore", divide="ignore"):
            step = np.log(after) - np.log(before)
        step[~np.isfinite(step) | (weights == 0)] = 0
        moved.append((weights + step).astype(np.float32))
    return moved


def _left(model: BackOff, level: int, log_probs: Sequence[np.ndarray]) -> np.ndarray:
    """The back-off weights with which the probabilities after each n-gram of `level` symbols have the sum 1."""
    longer, shorter = sums_of_children(replace(model, log_probs=log_probs), level)
    with np.errstate(invalid="ignore", divide="ignore"):
        left: np.ndarray = (1 - longer) / (1 - shorter)
    return left


def _of_unigrams(model: BackOff, back_offs: Sequence[np.ndarray]) -> np.ndarray:
    return back_offs[0] if len(back_offs) else np.zeros(model.nodes(1), np.float32)
