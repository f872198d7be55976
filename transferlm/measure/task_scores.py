"""How a task model did on labelled examples: every figure, as data, as a line, and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transferlm.measure.calibration import expected_calibration_error
from transferlm.tasks._counting import confusion_matrix
from transferlm.tasks.base import Examples, Prediction, Task, gives_probabilities, probabilities

__all__ = ["ClassScores", "Scores", "score_of"]


@dataclass(frozen=True)
class Scores:
    """How a task model did on labelled examples.

    Attributes:
        metrics: Metric name -> value.
        predictions: One an input.
        share_read: Mean share of each input's characters that the model read.
        labels: Label names, in the order of the task model.
        by_label: Label -> its precision, recall, F1 and count; empty where the task has no labels.
    """

    metrics: dict[str, float]
    predictions: Sequence[Prediction]
    share_read: float
    labels: tuple[str, ...] = ()
    by_label: dict[str, dict[str, float]] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """Every single figure by the name that tables give it."""
        return {**self.metrics, "share read": self.share_read}

    def to_json(self) -> dict[str, Any]:
        """Every figure as plain data."""
        told: dict[str, Any] = {"scores": self.metrics, "share_read": self.share_read, "texts": len(self.predictions)}
        return {**told, "labels": list(self.labels), "by_label": self.by_label} if self.labels else told

    def __str__(self) -> str:
        read = "" if self.share_read == 1 else f", {self.share_read:.1%} of each text read"
        return ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items()) + read


@dataclass(frozen=True)
class ClassScores(Scores):
    """Scores of a task with one label a text: what is taken for what, and how far probabilities can be believed.

    Attributes:
        predicted: Predicted class indices, int64 of shape (texts,).
        probabilities: float64 of shape (texts, labels).
        targets: True class indices, int64 of shape (texts,).
    """

    predicted: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    probabilities: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    targets: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def confusion(self) -> np.ndarray:
        """Counts of (true label, predicted label): int64 of shape (labels, labels), true labels in rows."""
        return confusion_matrix(self.targets, self.predicted, len(self.labels))

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: how far confidence is from accuracy, between 0 and 1."""
        return expected_calibration_error(self.probabilities, self.targets)

    def figures(self) -> dict[str, float]:
        """Every single figure by the name that tables give it."""
        return {**self.metrics, "calibration error": self.calibration_error, "share read": self.share_read}

    def to_json(self) -> dict[str, Any]:
        """Every figure as plain data."""
        return {
            **super().to_json(),
            "calibration_error": self.calibration_error,
            "confusion": self.confusion.tolist(),
        }


def score_of(task: Task, examples: Examples, scores: Any, read: np.ndarray, labels: tuple[str, ...]) -> Scores:
    """The metrics of scores on labelled examples.

    Args:
        task: Decodes and judges.
        examples: What is true.
        scores: What the model gave, as `Task.decode` takes it.
        read: The share of each input that was read, float64 of shape (texts,).
        labels: Label names in the order of the scores.
    """
    targets = examples.targets
    if labels != examples.labels:
        targets = task.reordered(targets, examples.labels, labels)
    predictions = task.decode(scores, examples.texts, labels)
    plain = (task.metrics(targets, predictions, labels), predictions, float(read.mean()), labels)
    by_label, output = task.by_label(targets, predictions, labels), task.output(labels)
    if not (gives_probabilities(output) and output.link == "softmax"):
        return Scores(*plain, by_label)
    table = probabilities(output, scores)
    return ClassScores(*plain, by_label, table.argmax(axis=1), table, targets)
