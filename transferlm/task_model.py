"""A model, a head and a task: what a strategy makes, and what a person takes away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from transferlm import catalog, storage
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.measure.calibration import expected_calibration_error
from transferlm.measure.confusion import by_label, confusion_matrix
from transferlm.models.base import Encoder, Model, card
from transferlm.tasks.base import Examples, Prediction, Task
from transferlm.text.windows import windows

__all__ = ["Scores", "TaskModel", "body_of"]

HEAD = "head.safetensors"


@dataclass(frozen=True)
class Scores:
    """How a task model did on labelled examples.

    Attributes:
        metrics: Metric name -> value between 0 and 1.
        predicted: Predicted class indices, int64 of shape (texts,).
        probabilities: float64 of shape (texts, labels).
        share_read: Mean share of each text's characters that the model read.
        targets: True class indices, int64 of shape (texts,).
        labels: Label names in the order of their indices.
    """

    metrics: dict[str, float]
    predicted: np.ndarray
    probabilities: np.ndarray
    share_read: float
    targets: np.ndarray
    labels: tuple[str, ...]

    @property
    def confusion(self) -> np.ndarray:
        """Counts of (true label, predicted label): int64 of shape (labels, labels), true labels in rows."""
        return confusion_matrix(self.targets, self.predicted, len(self.labels))

    @property
    def by_label(self) -> dict[str, dict[str, float]]:
        """Label -> its precision, recall, F1 and number of texts."""
        return by_label(self.confusion, self.labels)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: how far confidence is from accuracy, between 0 and 1."""
        return expected_calibration_error(self.probabilities, self.targets)

    def to_json(self) -> dict[str, Any]:
        """Every figure as plain data."""
        return {
            "scores": self.metrics,
            "calibration_error": self.calibration_error,
            "share_read": self.share_read,
            "texts": len(self.targets),
            "labels": list(self.labels),
            "by_label": self.by_label,
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        read = "" if self.share_read == 1 else f", {self.share_read:.1%} of each text read"
        return ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items()) + read


@dataclass(eq=False)
class TaskModel:
    """Predicts a task's labels: scores are a linear function of the model's encoding of a text.

    Attributes:
        model: The encoder, fine-tuned or frozen.
        task: What is predicted.
        labels: Label names; their order is the order of the scores and lives in the saved folder.
        weights: float32 of shape (encoding width, labels).
        bias: float32 of shape (labels,).
        lineage: How it was made.
    """

    model: Model
    task: Task
    labels: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    lineage: storage.Lineage = field(default_factory=storage.Lineage)

    def __post_init__(self) -> None:
        if not isinstance(self.model, Encoder):
            raise ModelFolderError(f"a task model needs an encoder, {self.model.family} is none")
        expected = (self.model.encoding_width, len(self.labels))
        if self.weights.shape != expected or self.bias.shape != expected[1:]:
            raise ModelFolderError(f"the head has shape {self.weights.shape}, model and labels ask for {expected}")

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """The label of each text with its probability."""
        return self.task.decode(self.predict_proba(texts), self.labels)

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities of the labels: float64 of shape (texts, labels), columns in the order of `labels`."""
        return self._probabilities(texts)[0]

    def predict_stream(self, texts: Iterable[str], chunk: int = 1024) -> Iterator[tuple[str, Prediction | None]]:
        """Each text with its prediction, in order, in memory that does not grow with the stream; None for a blank one.

        Args:
            texts: Any iterable of texts, however long.
            chunk: Texts that are predicted together, so that texts of like length can share a batch; fewer where they
                are long.
        """
        for part in windows(texts, chunk, characters=1 << 20):
            answers = iter(self.predict([text for text in part if text.strip()]))
            for text in part:
                yield text, next(answers) if text.strip() else None

    def score(self, examples: Examples) -> Scores:
        """Every metric of the task on labelled examples.

        Raises:
            DataError: There are no examples, or their labels are not this model's.
        """
        if not len(examples):
            raise DataError(f"{examples.name}: no examples to score")
        targets = self._targets(examples)
        probabilities, read = self._probabilities(examples.texts)
        predicted = probabilities.argmax(axis=1)
        metrics = self.task.metrics(targets, predicted, self.labels)
        return Scores(metrics, predicted, probabilities, float(read.mean()), targets, self.labels)

    def save(self, folder: str | Path) -> None:
        """Write the model folder with head, task, labels, card and lineage: whole or not at all."""
        with storage.written_whole(folder) as scratch:
            self.model.write_whole(scratch)
            storage.save_tensors({"weights": self.weights, "bias": self.bias}, scratch / HEAD)
            storage.write_json(scratch / storage.MANIFEST, self._manifest())
            storage.write_json(scratch / storage.LINEAGE, dataclasses.asdict(self.lineage))
            (scratch / storage.CARD).write_text(self._card(), encoding="utf-8")

    @classmethod
    def read(cls, folder: storage.Folder, model: Model) -> Self:
        """The task model written there, around its already opened body.

        Raises:
            ModelFolderError: The head does not fit body and labels, or the task is unknown.
        """
        told = folder.said("task")
        try:
            task: Task = catalog.find("tasks", told["name"])(**told["settings"])
            labels = tuple(str(label) for label in told["labels"])
        except (KeyError, TypeError, SettingError) as error:
            raise ModelFolderError(f"{folder.path / storage.MANIFEST}: the task is not whole ({error})") from None
        head = folder.tensors(HEAD)
        if set(head) != {"weights", "bias"}:
            raise ModelFolderError(f"{folder.path / HEAD} holds {sorted(head)}, not weights and bias")
        return cls(model, task, labels, head["weights"], head["bias"], folder.lineage())

    def _probabilities(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        assert isinstance(self.model, Encoder)
        encoding = self.model.encode(texts)
        scores: np.ndarray = np.asarray(encoding.features @ self.weights) + self.bias
        probabilities: np.ndarray = self.task.probabilities(scores)
        return probabilities, encoding.read

    def _targets(self, examples: Examples) -> np.ndarray:
        if examples.labels == self.labels:
            return examples.targets
        index = {label: place for place, label in enumerate(self.labels)}
        strangers = [label for label in examples.labels if label not in index]
        if strangers:
            raise DataError(
                f"{examples.name}: label {strangers[0]!r} is not among this model's ({', '.join(self.labels)})"
            )
        places = np.array([index[label] for label in examples.labels], dtype=np.int64)
        own: np.ndarray = places[examples.targets]
        return own

    def _manifest(self) -> dict[str, Any]:
        task = {
            "name": catalog.name_of(self.task),
            "settings": self.task.settings(),
            "labels": list(self.labels),
        }
        return {**self.model.manifest(), "task": task}

    def _card(self) -> str:
        body = f"It predicts {catalog.name_of(self.task)}: {', '.join(self.labels)}."
        return card(self.model.family, self.lineage, body)


def body_of(source: Model | TaskModel) -> Model:
    """The language model in a source: of a task model its body, so that a task can be a step towards another."""
    return source.model if isinstance(source, TaskModel) else source
