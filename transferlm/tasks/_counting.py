"""Which labels are taken for which, and what follows a label: precision, recall and F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["confusion_matrix", "counts_by_label", "rates"]


def confusion_matrix(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of (true class, predicted class): int64 of shape (classes, classes), true classes in rows.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    pairs = np.asarray(targets, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def rates(hits: np.ndarray, true: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 from counts of what was right, what is true and what was said; a share of nothing is 0.

    >>> [float(rate) for rate in rates(np.array(1), np.array(2), np.array(1))]
    [1.0, 0.5, 0.6666666666666666]
    """
    return hits / np.maximum(said, 1), hits / np.maximum(true, 1), 2 * hits / np.maximum(said + true, 1)


def counts_by_label(
    hits: np.ndarray, true: np.ndarray, said: np.ndarray, labels: Sequence[str], unit: str
) -> dict[str, dict[str, float]]:
    """Label -> its precision, recall, F1 and how many of it there are.

    Args:
        hits: How often a label was said rightly, shape (labels,).
        true: How often it is true.
        said: How often it was said.
        labels: Names.
        unit: What is counted (`texts`, `entities`): the key of `true`.
    """
    columns = dict(zip(("precision", "recall", "f1"), rates(hits, true, said), strict=True))
    return {
        label: {**{name: float(column[k]) for name, column in columns.items()}, unit: int(true[k])}
        for k, label in enumerate(labels)
    }
