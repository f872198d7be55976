"""What each input contributes to a metric: numbers whose mean is the metric, to take its interval from.

Of a metric that is a mean over inputs these are the scores averaged. Of any other, jackknife pseudo-values: `value +
(n - 1) (mean of the delete-one values - its own)` (Tukey 1958; Efron & Tibshirani 1993, ch. 11, centred so that their
mean is the metric itself).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["DeleteOne", "correlation", "correlation_without", "f1_without", "pseudo_values", "rank_correlation_without"]

DeleteOne = tuple[float, np.ndarray]
"""A metric on all n inputs, and float64 (n,) of its values with each input removed."""

_CELLS = 1 << 22
"""Places of a table of inputs by inputs that are worked on at once."""


def pseudo_values(found: DeleteOne) -> np.ndarray:
    """Each input's jackknife pseudo-value, float64 (n,); their mean is the metric.

    >>> pseudo_values((0.5, np.array([0.0, 1.0]))).tolist()
    [1.0, 0.0]
    """
    value, without = found
    return np.asarray(value + (len(without) - 1) * (without.mean() - without))


def f1_without(
    hits: np.ndarray, true: np.ndarray, said: np.ndarray, average: Literal["micro", "macro", "occurring"]
) -> DeleteOne:
    """F1 from counts of each input, and its values with each input removed, exactly.

    F1 is 2 hits / (true + said), 0 where that is 0/0.

    Args:
        hits: How often each label was said rightly in each input: numbers (n, labels).
        true: How often it is true there.
        said: How often it was said there.
        average: `micro` sums the counts of all labels first; `macro` is the mean over labels; `occurring` the mean over
            those that are true or said anywhere.

    >>> right = np.array([[1, 0], [0, 0], [0, 1], [0, 1]])
    >>> true, said = np.eye(2)[[0, 0, 1, 1]], np.eye(2)[[0, 1, 1, 1]]
    >>> value, without = f1_without(right, true, said, "macro")
    >>> round(value, 4), without.round(4).tolist()
    (0.7333, [0.4, 1.0, 0.6667, 0.6667])
    """
    mine, counted = np.asarray(hits, dtype=np.float64), np.asarray(true, dtype=np.float64) + said
    if average == "micro":
        mine, counted = mine.sum(axis=1, keepdims=True), counted.sum(axis=1, keepdims=True)
    value = _mean_f1(mine.sum(axis=0), counted.sum(axis=0), average)
    return float(value), _mean_f1(mine.sum(axis=0) - mine, counted.sum(axis=0) - counted, average)


def _mean_f1(hits: np.ndarray, counted: np.ndarray, average: str) -> np.ndarray:
    """F1 of each label in the last axis, averaged."""
    f1 = 2 * hits / np.maximum(counted, 1)
    over = (counted > 0).sum(axis=-1) if average == "occurring" else f1.shape[-1]
    return np.asarray(f1.sum(axis=-1) / np.maximum(over, 1))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation, 0 where one of the two does not vary.

    >>> round(correlation(np.array([1.0, 2, 3]), np.array([2.0, 4, 7])), 4), correlation(np.full(3, 0.1), np.arange(3))
    (0.9934, 0.0)
    """
    a, b = _centred(one), _centred(other)
    return float(_ratio((a * b).sum(), (a * a).sum(), (b * b).sum()))


def correlation_without(one: np.ndarray, other: np.ndarray) -> DeleteOne:
    """Pearson's correlation, and its values with each pair of numbers removed; 0 where one of the two does not vary.

    >>> value, without = correlation_without(np.array([1.0, 2, 3, 9]), np.array([2.0, 4, 7, 1]))
    >>> round(value, 4), round(float(without[3]), 4)
    (-0.4382, 0.9934)
    """
    a, b = _centred(one), _centred(other)
    count = max(1, len(a) - 1)
    # With pair i removed the mean moves by -a[i] / count, and each sum of products loses its share of that.
    products, *squares = [(x * y).sum() - x * y * (1 + 1 / count) for x, y in ((a, b), (a, a), (b, b))]
    # What is left of a square whose only varying number went is rounding.
    varying = [np.where(left > 1e-12 * (x * x).sum(), left, 0.0) for left, x in zip(squares, (a, b), strict=True)]
    return correlation(one, other), _ratio(products, *varying)


def rank_correlation_without(one: np.ndarray, other: np.ndarray) -> DeleteOne:
    """Spearman's correlation (ties have their mean rank), and its values with each pair of numbers removed.

    Ranks are taken anew for each: those above what is removed fall by one, those tied with it by a half. The time grows
    with the square of the pairs, a second for some thousands.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (one, other)]
    without = np.empty(len(one))
    step = max(1, _CELLS // len(one))
    for start in range(0, len(one), step):
        rows = np.arange(start, min(start + step, len(one)))
        # sign is 1 above what is removed and 0 where tied: half of (1 + sign) is what a rank falls by.
        kept = [rank - (1 + np.sign(rank - rank[rows, None])) / 2 - len(rank) / 2 for rank in ranks]
        for table in kept:
            table[np.arange(len(rows)), rows] = 0.0
        a, b = kept
        without[rows] = _ratio((a * b).sum(axis=1), (a * a).sum(axis=1), (b * b).sum(axis=1))
    return correlation(*ranks), without


def _centred(values: np.ndarray) -> np.ndarray:
    """Values less their mean; exactly 0 where they differ by no more than rounding."""
    moved = values - values.mean()
    return np.where(np.abs(moved).max() > 1e-12 * np.abs(values).max(), moved, 0.0)


def _ratio(products: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlations from sums of products and of squares; 0 where one of these is."""
    scale = np.sqrt(np.asarray(one * other, dtype=np.float64))
    return np.asarray(np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0))
