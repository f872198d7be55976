"""What is predicted: how labelled examples are read, how scores become predictions, and how those are judged."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from transferlm import catalog
from transferlm.errors import DataError
from transferlm.outputs import Output

__all__ = ["Examples", "Prediction", "Task"]


@dataclass(frozen=True)
class Prediction:
    """What a task model says of one text.

    Attributes:
        label: The predicted label.
        probability: Its probability, between 0 and 1.
    """

    label: str
    probability: float


@dataclass(frozen=True)
class Examples:
    """Labelled texts of one task.

    Attributes:
        task: The task they were read for.
        texts: The texts.
        targets: int64 of shape (texts,), indices into `labels`.
        labels: Label names in the order of their indices.
        name: Where they come from, for cards and errors.
        notes: Repairs made while reading, one sentence each; empty when nothing was repaired.
    """

    task: Task
    texts: Sequence[str]
    targets: np.ndarray
    labels: tuple[str, ...]
    name: str = "examples"
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def hash(self) -> str:
        """SHA-256 over texts and labels in order: the same data has the same one, wherever it lies."""
        digest = hashlib.sha256()
        for text, target in zip(self.texts, self.targets, strict=True):
            digest.update(json.dumps([text, self.labels[target]]).encode() + b"\n")
        return digest.hexdigest()

    def subset(self, rows: np.ndarray, name: str | None = None) -> Examples:
        """The examples at these row numbers, in this order; labels keep their indices."""
        texts = [self.texts[row] for row in rows]
        return replace(self, texts=texts, targets=self.targets[rows], name=name or self.name)

    def split(self, test: float = 0.2, seed: int = 0) -> tuple[Examples, Examples]:
        """A training and a test part: duplicates removed first, then stratified by label.

        Args:
            test: Share of the rows that become the test part.
            seed: The same seed gives the same parts.
        """
        from transferlm.text.splits import split

        made = split(self.texts, [self.labels[t] for t in self.targets], [1 - test, test], seed)
        train_part, test_part = (self.subset(rows) for rows in made.parts)
        notes = (*self.notes, *made.notes)
        return (
            replace(train_part, name=f"{self.name} (train)", notes=notes),
            replace(test_part, name=f"{self.name} (test)", notes=notes),
        )

    def described(self) -> dict[str, Any]:
        """What lineage and reports keep of these examples."""
        return {"name": self.name, "hash": self.hash, "texts": len(self)}


class Task(ABC):
    """One kind of prediction: a dataclass of settings."""

    headline: ClassVar[str] = "accuracy"
    """The metric that tables lead with."""

    def settings(self) -> dict[str, Any]:
        """Field name -> value, as given to the constructor."""
        return catalog.values_of(self)

    @abstractmethod
    def read(self, source: Any, labels: Sequence[str] | None = None) -> Examples:
        """Read labelled examples from a file, frame or dataset.

        Args:
            source: A path, a `pandas.DataFrame` or a `datasets.Dataset`.
            labels: Labels fixed by the training part; any other label found is an error.
        """

    @abstractmethod
    def labelled(self, source: Any) -> tuple[list[str], list[str]]:
        """Texts and labels as they stand in the file, bad rows too, for `transferlm check`."""

    @abstractmethod
    def output(self, labels: Sequence[str]) -> Output:
        """The scores this task needs for these labels."""

    @abstractmethod
    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Scores (texts, size) as probabilities of the same shape."""

    @abstractmethod
    def decode(self, probabilities: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """Probabilities as predictions."""

    @abstractmethod
    def metrics(self, targets: np.ndarray, predicted: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
        """Every metric of the task by name, each between 0 and 1."""

    def weights(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray | None:  # noqa: ARG002
        """One loss weight a label, float64 of shape (labels,), or None where all weigh the same."""
        return None


def unknown_label(label: str, labels: Sequence[str], path: str | Path, line: int) -> DataError:
    """The error for a label in a test part that training never saw."""
    shown = ", ".join(repr(known) for known in labels[:12]) + (" ..." if len(labels) > 12 else "")
    return DataError(f"label {label!r} is not among the training labels ({shown})", path=path, line=line)
