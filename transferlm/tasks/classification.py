"""One label a text: topics, question types, spam, and sentiment as one of its uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.outputs import Output
from transferlm.tasks.base import Examples, Prediction, Task, unknown_label
from transferlm.text.readers import read_rows

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification(Task):
    """One of two or more labels a text; sentiment is one of its uses.

    Files are CSV, TSV, JSONL, Parquet or fastText lines (`__label__x text`), each with named columns. Scores are
    softmax logits (texts, labels); metrics are scikit-learn's accuracy and macro-averaged precision, recall and F1.
    """

    text_column: str = "text"
    """Name of the column that holds the text."""
    label_column: str = "label"
    """Name of the column that holds the label."""
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    """Weight of each class in the loss: `balanced` (inverse to its frequency), `spam=3,ham=1`, or none."""
    encoding: str = "utf-8"
    """Character encoding of text files."""

    def __post_init__(self) -> None:
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
        where = _place(source)
        texts: list[str] = []
        names: list[str] = []
        lines: list[int] = []
        for line, text, label in self._rows(source):
            for column, value in ((self.text_column, text), (self.label_column, label)):
                if not value:
                    raise DataError("it is empty: fill it or delete the row", path=where, line=line, column=column)
            texts.append(text)
            names.append(label)
            lines.append(line)
        if not texts:
            raise DataError("no examples: the file has a header and no rows", path=where)
        order = tuple(labels) if labels is not None else tuple(sorted(set(names)))
        index = {name: i for i, name in enumerate(order)}
        for name, line in zip(names, lines, strict=True):
            if name not in index:
                raise unknown_label(name, order, where, line)
        if len(order) < 2:
            raise DataError(f"only one label, {order[0]!r}: classification needs two or more", path=where)
        targets = np.array([index[name] for name in names], dtype=np.int64)
        shown = Path(where).name
        return Examples(self, texts, targets, order, name=shown)

    def labelled(self, source: Any) -> tuple[list[str], list[str]]:
        """Texts and labels as they stand in the file, empty ones too: what `transferlm check` looks at."""
        rows = list(self._rows(source))
        return [text for _, text, _ in rows], [label for _, _, label in rows]

    def _rows(self, source: Any) -> Iterator[tuple[int, str, str]]:
        """Line, text and label of each row; a missing value, or one of white space alone, is empty."""
        for row in read_rows(source, columns=(self.text_column, self.label_column), encoding=self.encoding):
            text, label = row.values[self.text_column] or "", row.values[self.label_column] or ""
            yield row.line, text if text.strip() else "", label.strip()

    def output(self, labels: Sequence[str]) -> Output:
        """One softmax over the labels a text."""
        return Output("text", len(labels), "softmax")

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Softmax over the last axis, in float64."""
        shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def decode(self, probabilities: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """The most probable label of each text with its probability."""
        best = probabilities.argmax(axis=1)
        return [Prediction(labels[k], float(row[k])) for k, row in zip(best, probabilities, strict=True)]

    def metrics(self, targets: np.ndarray, predicted: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
        """Accuracy, and precision, recall and F1 averaged over all labels alike (a label never predicted counts 0)."""
        from sklearn.metrics import accuracy_score, precision_recall_fscore_support

        macro = precision_recall_fscore_support(
            targets, predicted, labels=range(len(labels)), average="macro", zero_division=0.0
        )
        return {
            "accuracy": float(accuracy_score(targets, predicted)),
            "macro_precision": float(macro[0]),
            "macro_recall": float(macro[1]),
            "macro_f1": float(macro[2]),
        }

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


def _place(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else type(source).__name__
