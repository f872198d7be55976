"""One label a text: topics, question types, spam, and sentiment as one of its uses."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.outputs import Output
from transferlm.tasks._contributions import f1_without, pseudo_values
from transferlm.tasks._counting import confusion_matrix, counts_by_label
from transferlm.tasks._tables import place_of
from transferlm.tasks._text_task import TextTask
from transferlm.tasks.base import Examples, LabelPrediction, Prediction, probabilities, unknown_label
from transferlm.text.checks import Labelled
from transferlm.text.framing import Text, flat

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification(TextTask):
    """One of two or more labels a text; sentiment is one of its uses.

    Files are CSV, TSV, JSONL, Parquet or fastText lines (`__label__x text`), each with named columns. Scores are
    softmax logits (texts, labels); metrics are scikit-learn's accuracy and macro-averaged precision, recall and F1.
    """

    label_column: str = "label"
    """Name of the column that holds the label."""
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    """Weight of each class in the loss: `balanced` (inverse to its frequency), `spam=3,ham=1`, or none."""

    forgetting_metric: ClassVar[str] = "macro_f1"
    """A label that is forgotten counts as much as any other, however few its texts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.class_weights, dict):
            for name, weight in self.class_weights.items():
                if not (weight > 0 and math.isfinite(weight)):
                    raise SettingError(f"class_weights: {name}={weight} is no finite number above 0")

    def read(self, source: Any, labels: Sequence[str] | None = None) -> Examples:
        """Read examples from a path, a frame or a dataset.

        A row without text or without label is an error that names its line: dropping it silently would change what is
        measured. Labels are sorted, so that their order does not depend on the order of rows.

        Raises:
            DataError: An empty text or label, a label not in `labels`, no rows, or one class only.
        """
        where, rows = place_of(source), self.table(self.label_column).whole_rows(source)
        order = tuple(labels) if labels is not None else tuple(sorted({row.label for row in rows}))
        index = {name: i for i, name in enumerate(order)}
        for row in rows:
            if row.label not in index:
                raise unknown_label(row.label, order, where, row.line)
        if len(order) < 2:
            raise DataError(f"only one label, {order[0]!r}: classification needs two or more", path=where)
        targets = np.array([index[row.label] for row in rows], dtype=np.int64)
        return Examples(self, [row.text for row in rows], targets, order, name=Path(where).name)

    def labelled(self, source: Any) -> Labelled:
        """Texts and labels as they stand in the file, empty ones too: what `transferlm check` looks at."""
        rows = list(self.table(self.label_column).rows(source))
        return Labelled([flat(row.text) for row in rows], [row.label for row in rows])

    def output(self, labels: Sequence[str]) -> Output:
        """One softmax over the labels a text."""
        return Output("text", len(labels), "softmax")

    def decode(self, scores: np.ndarray, texts: Sequence[Text], labels: Sequence[str]) -> list[LabelPrediction]:  # noqa: ARG002
        """The most probable label of each text with its probability; scores are (texts, labels)."""
        rows = probabilities(self.output(labels), scores)
        return [LabelPrediction(labels[k], float(row[k])) for k, row in zip(rows.argmax(axis=1), rows, strict=True)]

    def metrics(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, float]:
        """Accuracy, and precision, recall and F1 averaged over all labels alike (a label never predicted counts 0)."""
        from sklearn.metrics import accuracy_score, precision_recall_fscore_support

        predicted = _indices(predictions, labels)
        macro = precision_recall_fscore_support(
            targets, predicted, labels=range(len(labels)), average="macro", zero_division=0.0
        )
        return {
            "accuracy": float(accuracy_score(targets, predicted)),
            "macro_precision": float(macro[0]),
            "macro_recall": float(macro[1]),
            "macro_f1": float(macro[2]),
        }

    def contributions(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Accuracy and macro-F1."""
        identity = np.eye(len(labels))
        predicted = _indices(predictions, labels)
        right = predicted == targets
        true, said = identity[targets], identity[predicted]
        macro = pseudo_values(f1_without(true * right[:, None], true, said, "macro"))
        return {"accuracy": right.astype(np.float64), "macro_f1": macro}

    def by_label(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """Label -> its precision, recall, F1 and number of texts; a share of nothing is 0, as in the macro averages."""
        counts = confusion_matrix(targets, _indices(predictions, labels), len(labels))
        return counts_by_label(np.diag(counts), counts.sum(axis=1), counts.sum(axis=0), labels, "texts")

    def plain(self, targets: np.ndarray, labels: Sequence[str]) -> list[str]:
        """The label of each text."""
        return [labels[target] for target in targets]

    def targets_of(self, plain: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Indices of the labels, int64 of shape (texts,)."""
        index = {label: place for place, label in enumerate(labels)}
        return np.array([index[name] for name in plain], dtype=np.int64)

    def strata(self, targets: np.ndarray, labels: Sequence[str]) -> list[Hashable]:
        """The label of each text."""
        return [labels[target] for target in targets]

    def reordered(self, targets: np.ndarray, labels: Sequence[str], order: Sequence[str]) -> np.ndarray:
        """The same classes under the indices of another order."""
        places = np.array([list(order).index(label) for label in labels], dtype=np.int64)
        own: np.ndarray = places[targets]
        return own

    def weights(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray | None:
        """One loss weight a label, float64 of shape (labels,), as `class_weights` says; None for none.

        `balanced` is n / (labels * count), scikit-learn's rule (King & Zeng 2001).

        >>> task = Classification(class_weights="balanced")
        >>> task.weights(np.array([0, 0, 0, 1]), ("ham", "spam")).round(3).tolist()
        [0.667, 2.0]
        """
        if self.class_weights is None:
            return None
        if self.class_weights == "balanced":
            counts = np.bincount(targets, minlength=len(labels))
            return len(targets) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        strangers = sorted(set(self.class_weights) - set(labels))
        if strangers:
            raise SettingError(
                f"class_weights name {strangers[0]!r}, which is no label; labels are {', '.join(labels)}"
            )
        return np.array([float(self.class_weights.get(name, 1.0)) for name in labels])


def _indices(predictions: Sequence[Prediction], labels: Sequence[str]) -> np.ndarray:
    index = {label: place for place, label in enumerate(labels)}
    return np.array([index[p.label] for p in predictions if isinstance(p, LabelPrediction)], dtype=np.int64)
