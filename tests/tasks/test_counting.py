"""The confusion matrix and the figures by label beside scikit-learn's."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix as reference
from sklearn.metrics import precision_recall_fscore_support

from transferlm.tasks._counting import confusion_matrix, counts_by_label


def test_it_is_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    targets, predicted = draw.integers(0, 4, 200), draw.integers(0, 3, 200)
    found = confusion_matrix(targets, predicted, 5)
    assert np.array_equal(found, reference(targets, predicted, labels=range(5)))
    rows = counts_by_label(np.diag(found), found.sum(axis=1), found.sum(axis=0), list("abcde"), "texts")
    expected = precision_recall_fscore_support(targets, predicted, labels=range(5), zero_division=0.0)
    for place, name in enumerate(("precision", "recall", "f1", "texts")):
        assert np.allclose([row[name] for row in rows.values()], expected[place])
    assert list(rows) == list("abcde")
