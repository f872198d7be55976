"""Any number of labels a text: topics of an article, faults in a review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.outputs import Output
from transferlm.tasks._contributions import f1_without, pseudo_values
from transferlm.tasks._counting import counts_by_label
from transferlm.tasks._tables import LabelledRow, Table, place_of
from transferlm.tasks._text_task import TextTask
from transferlm.tasks.base import Examples, LabelSet, Prediction, probabilities, unknown_label
from transferlm.text.checks import Labelled
from transferlm.text.framing import Text, flat
from transferlm.text.json_lines import json_of

__all__ = ["Multilabel"]


@dataclass(frozen=True)
class Multilabel(TextTask):
    """Any number of labels a text, none among them.

    Files are CSV, TSV, JSONL, Parquet or fastText lines (`__label__x __label__y text`). A cell holds its labels parted
    by `separator`, or a JSON list; an empty one means no label. Scores are sigmoid logits (texts, labels); metrics are
    scikit-learn's micro- and macro-averaged F1, subset accuracy (all labels of a text right) and label ranking average
    precision, which needs no threshold.
    """

    labels_column: str = "labels"
    """Name of the column that holds the labels (`label` for fastText lines)."""
    separator: str = ","
    """What parts the labels in a cell that holds no JSON list."""
    threshold: float | None = 0.5
    """Probability from which a label is given; none takes the one with the best micro-F1 on held-out examples."""
    headline: ClassVar[str] = "micro_f1"
    predicts: ClassVar[type[Prediction]] = LabelSet

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.separator:
            raise SettingError("separator is empty: give the character between two labels")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise SettingError(f"threshold {self.threshold}: give a probability between 0 and 1, or none to fit it")

    def _table(self, source: Any) -> Table:
        lines = isinstance(source, str | Path) and Path(source).name.removesuffix(".gz").endswith((".ft", ".txt"))
        return self.table("label" if lines else self.labels_column, several=True)

    def read(self, source: Any, labels: Sequence[str] | None = None) -> Examples:
        """Read examples from a path, a frame or a dataset; labels are sorted.

        Raises:
            DataError: An empty text, a cell that is no list of labels, a label not in `labels`, no rows, or no label.
        """
        where, rows = place_of(source), self._table(source).whole_rows(source)
        named = [self._labels(row, where) for row in rows]
        order = tuple(labels) if labels is not None else tuple(sorted({name for names in named for name in names}))
        if not order:
            raise DataError("no text has a label: there is nothing to learn", path=where)
        index = {name: i for i, name in enumerate(order)}
        targets = np.zeros((len(rows), len(order)), dtype=bool)
        for place, (row, names) in enumerate(zip(rows, named, strict=True)):
            for name in names:
                if name not in index:
                    raise unknown_label(name, order, where, row.line)
                targets[place, index[name]] = True
        return Examples(self, [row.text for row in rows], targets, order, name=Path(where).name)

    def labelled(self, source: Any) -> Labelled:
        """Texts and how often each label stands there; cells that are no list of labels are among the faults."""
        table, where = self._table(source), place_of(source)
        rows = list(table.rows(source))
        counts: Counter[str] = Counter()

        def wrong(row: LabelledRow) -> str | None:
            try:
                counts.update(self._labels(row, where))
            except DataError as error:
                return str(error).partition(": ")[2]
            return None

        faults = list(table.faults(rows, wrong))
        faults[:0] = [] if counts else ["No text has a label."]
        return Labelled([flat(row.text) for row in rows], counted=dict(counts), faults=faults)

    def _labels(self, row: LabelledRow, where: str) -> list[str]:
        """The distinct labels of a row."""
        names: list[Any] = row.label.split(self.separator)
        if row.label.startswith("["):
            names = json_of(row.label, where, row.line)
            if not all(isinstance(name, str) for name in names):
                raise DataError(f"{row.label[:80]} is no list of labels", path=where, line=row.line)
        return list(dict.fromkeys(name.strip() for name in names if name.strip()))

    def output(self, labels: Sequence[str]) -> Output:
        """A sigmoid a label and text."""
        return Output("text", len(labels), "sigmoid")

    def decode(self, scores: np.ndarray, texts: Sequence[Text], labels: Sequence[str]) -> list[LabelSet]:  # noqa: ARG002
        """The labels whose probability reaches the threshold (0.5 where none is set); scores are (texts, labels)."""
        least = 0.5 if self.threshold is None else self.threshold
        table = probabilities(self.output(labels), scores)
        return [
            LabelSet(
                tuple(label for label, chance in zip(labels, row, strict=True) if chance >= least),
                {label: float(chance) for label, chance in zip(labels, row, strict=True)},
            )
            for row in table
        ]

    def metrics(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, float]:
        """Micro- and macro-F1, subset accuracy, and label ranking average precision."""
        from sklearn.metrics import accuracy_score, f1_score, label_ranking_average_precision_score

        said, chances = _said(predictions, labels)
        return {
            "micro_f1": float(f1_score(targets, said, average="micro", zero_division=0.0)),
            "macro_f1": float(f1_score(targets, said, average="macro", zero_division=0.0)),
            "subset_accuracy": float(accuracy_score(targets, said)),
            "lrap": float(label_ranking_average_precision_score(targets, chances)),
        }

    def contributions(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Micro- and macro-F1."""
        said, _ = _said(predictions, labels)
        counts = targets & said, targets, said
        return {f"{kind}_f1": pseudo_values(f1_without(*counts, kind)) for kind in ("micro", "macro")}

    def by_label(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """Label -> its precision, recall, F1 and number of texts; a share of nothing is 0."""
        said, _ = _said(predictions, labels)
        hits = (targets & said).sum(axis=0)
        return counts_by_label(hits, targets.sum(axis=0), said.sum(axis=0), labels, "texts")

    def labels_within(self, targets: np.ndarray, labels: Sequence[str]) -> list[list[str]]:
        """The labels of each text."""
        return self.plain(targets, labels)

    def plain(self, targets: np.ndarray, labels: Sequence[str]) -> list[list[str]]:
        """The labels of each text, sorted by name."""
        return [sorted(labels[int(place)] for place in np.flatnonzero(row)) for row in targets]

    def targets_of(self, plain: Sequence[Sequence[str]], labels: Sequence[str]) -> np.ndarray:
        """Which labels each text has, bool of shape (texts, labels)."""
        index = {label: place for place, label in enumerate(labels)}
        targets = np.zeros((len(plain), len(labels)), dtype=bool)
        for row, names in enumerate(plain):
            targets[row, [index[name] for name in names]] = True
        return targets

    def reordered(self, targets: np.ndarray, labels: Sequence[str], order: Sequence[str]) -> np.ndarray:
        """The same labels in the columns of another order; a label that is not among these stands nowhere."""
        own = np.zeros((len(targets), len(order)), dtype=bool)
        own[:, [list(order).index(label) for label in labels]] = targets
        return own

    def is_open(self, targets: np.ndarray) -> bool:  # noqa: ARG002
        """Whether the threshold is to be fitted."""
        return self.threshold is None

    def fitted(self, targets: np.ndarray, scores: np.ndarray, texts: Sequence[Text], labels: Sequence[str]) -> Self:  # noqa: ARG002
        """The task with the threshold that gives the best micro-F1 on these examples."""
        return replace(self, threshold=_best_threshold(targets, probabilities(self.output(labels), scores)))


def _best_threshold(targets: np.ndarray, chances: np.ndarray) -> float:
    """The probability at which to part labels given from labels left out, for the best micro-F1.

    It lies half-way between the least probability that is given and the next one.

    Args:
        targets: bool (texts, labels).
        chances: Probabilities of the same shape.

    >>> _best_threshold(np.array([[True, False], [True, False]]), np.array([[0.9, 0.1], [0.4, 0.2]]))
    0.3
    """
    order = np.argsort(-chances, axis=None, kind="stable")
    ranked = np.append(chances.ravel()[order], 0.0)
    hits = np.cumsum(targets.ravel()[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + max(1, int(hits[-1])))
    f1[ranked[:-1] == ranked[1:]] = -1.0  # two of one probability stay together
    best = int(np.argmax(f1))
    return float(np.clip((ranked[best] + ranked[best + 1]) / 2, 1e-6, 1 - 1e-6).round(12))


def _said(predictions: Sequence[Prediction], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """What was said, bool (texts, labels), and how probable it was."""
    found = [p for p in predictions if isinstance(p, LabelSet)]
    said = np.array([[label in p.labels for label in labels] for p in found], dtype=bool)
    return said.reshape(-1, len(labels)), np.array([[p.probabilities[label] for label in labels] for p in found])
