"""Which labels are taken for which, and what follows a label: precision, recall and F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["by_label", "confusion_matrix"]


def confusion_matrix(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of (true class, predicted class): int64 of shape (classes, classes), true classes in rows.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    pairs = np.asarray(targets, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def by_label(confusion: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Label -> its precision, recall, F1 and number of texts; a share of nothing is 0, as in the macro averages.

    Args:
        confusion: As `confusion_matrix` gives it.
        labels: The classes' names.
    """
    hits, true, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = hits / np.maximum(said, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(said + true, 1)
    columns = {"precision": precision, "recall": recall, "f1": f1}
    return {
        label: {**{name: float(column[k]) for name, column in columns.items()}, "texts": int(true[k])}
        for k, label in enumerate(labels)
    }
