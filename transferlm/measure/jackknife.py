"""What each test example contributes to a metric that is no mean over examples: jackknife pseudo-values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from transferlm.errors import SettingError

__all__ = ["DeleteOne", "delete_one_macro_f1", "pseudo_values", "ratio_pseudo_values"]

DeleteOne = Callable[[np.ndarray, np.ndarray, int], tuple[float, np.ndarray]]
"""A metric with its jackknife: (targets (n,), predicted (n,), classes) to the metric on all n examples, and
float64 (n,) of its values with example i removed."""


def delete_one_macro_f1(targets: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[float, np.ndarray]:
    """Macro-F1, and its values with each example removed, exactly and for all of them at once.

    F1 of a class is 2 TP / (predicted + true), and 0 where that is 0/0, averaged over all `classes`.
    Removing an example changes the counts of its true and its predicted class alone, so that the n values
    are classes^2 distinct ones.

    >>> targets, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    >>> value, without = delete_one_macro_f1(targets, predicted, 2)
    >>> round(value, 4), without.round(4).tolist()
    (0.7333, [0.4, 1.0, 0.6667, 0.6667])
    """
    true_count = np.bincount(targets, minlength=classes)
    predicted_count = np.bincount(predicted, minlength=classes)
    hits = np.bincount(targets[targets == predicted], minlength=classes)
    counted = predicted_count + true_count
    f1 = _f1(hits, counted)
    value = float(f1.mean())
    right_lost = _f1(hits - 1, counted - 2) - f1
    wrong_lost = _f1(hits, counted - 1) - f1
    change = np.where(targets == predicted, right_lost[targets], wrong_lost[targets] + wrong_lost[predicted])
    return value, value + change / classes


def _f1(hits: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """2 TP / (predicted + true) a class, 0 where no example of the class is left."""
    return np.where(counted > 0, 2.0 * hits / np.maximum(counted, 1), 0.0)


def pseudo_values(metric: DeleteOne, targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Jackknife pseudo-values (seeds, examples) of each seed's predictions; their mean is the metric."""
    truth, labels = np.asarray(targets), np.atleast_2d(np.asarray(predicted))
    if truth.ndim != 1 or labels.ndim != 2 or labels.shape[1] != len(truth):
        raise SettingError(f"predictions are (seeds, {len(truth)}) for {len(truth)} targets, not {labels.shape}")
    if len(truth) < 2:
        raise SettingError("an interval needs two test examples or more")
    if min(truth.min(), labels.min()) < 0 or max(truth.max(), labels.max()) >= classes:
        raise SettingError(f"class indices lie between 0 and {classes - 1}")
    rows = []
    for row in labels:
        value, without = metric(truth, row, classes)
        rows.append(value + (len(truth) - 1) * (without.mean() - without))
    return np.stack(rows)


def ratio_pseudo_values(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values (n,) of a ratio of two sums, such as bits by bytes; their mean is the ratio itself.

    >>> ratio_pseudo_values(np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 1.0])).round(6).tolist()
    [1.0, 2.0, 6.0]
    """
    if len(numerators) < 2:
        raise SettingError("an interval needs two test examples or more")
    total, size = numerators.sum(), denominators.sum()
    without = (total - numerators) / (size - denominators)
    values: np.ndarray = total / size + (len(numerators) - 1) * (without.mean() - without)
    return values
