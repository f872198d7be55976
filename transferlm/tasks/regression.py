"""A number a text or a pair of texts: ratings, and how alike two texts are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from transferlm.errors import DataError
from transferlm.outputs import Output
from transferlm.tasks._contributions import correlation, correlation_without, pseudo_values, rank_correlation_without
from transferlm.tasks._tables import LabelledRow, place_of
from transferlm.tasks._text_task import TextTask
from transferlm.tasks.base import Examples, Number, Prediction
from transferlm.text.checks import Labelled
from transferlm.text.framing import Text, flat

__all__ = ["Regression"]


@dataclass(frozen=True)
class Regression(TextTask):
    """A number a text (a rating), or a pair of texts (how alike they are).

    Files are CSV, TSV, JSONL or Parquet with named columns. What is learnt is the standardised number, by squared loss;
    predictions are in the units of the examples and are not clipped to their range, so that a model that is wrong about
    it is seen to be. Metrics are Pearson's and Spearman's correlation (0 where all predictions or all targets are
    alike), the root mean squared error and the mean absolute error.
    """

    score_column: str = "score"
    """Name of the column that holds the number."""
    headline: ClassVar[str] = "spearman"
    predicts: ClassVar[type[Prediction]] = Number

    def read(self, source: Any, labels: Sequence[str] | None = None) -> Examples:
        """Read examples from a path, a frame or a dataset.

        Raises:
            DataError: An empty text, a value that is no finite number, no rows, or one number throughout, from which
                nothing can be learnt (a test part, for which `labels` are given, may be of one number).
        """
        where, rows, values = place_of(source), self.table(self.score_column).whole_rows(source), []
        for row in rows:
            if (value := _number(row.label)) is None:
                message = f"{row.label!r} is no finite number"
                raise DataError(message, path=where, line=row.line, column=self.score_column)
            values.append(value)
        if labels is None and len(set(values)) == 1:
            message = f"every row has the number {values[0]:g}: there is nothing to learn"
            raise DataError(message, path=where, column=self.score_column)
        targets = np.array(values, dtype=np.float64)
        return Examples(self, [row.text for row in rows], targets, (), name=Path(where).name)

    def labelled(self, source: Any) -> Labelled:
        """Texts as they stand in the file, numbers that are none among the faults: what `transferlm check` looks at."""
        table = self.table(self.score_column)
        rows = list(table.rows(source))
        numbers = {_number(row.label) for row in rows}
        alike = [f"Every row has the number {rows[0].label}."] if len(numbers) == 1 and None not in numbers else []
        return Labelled([flat(row.text) for row in rows], faults=[*alike, *table.faults(rows, _wrong)])

    def output(self, labels: Sequence[str]) -> Output:  # noqa: ARG002
        """One number a text."""
        return Output("text", 1, "squared")

    def decode(self, scores: np.ndarray, texts: Sequence[Text], labels: Sequence[str]) -> list[Number]:  # noqa: ARG002
        """Scores (texts, 1) as numbers, in the units of the examples."""
        return [Number(float(value)) for value in scores[:, 0]]

    def metrics(
        self,
        targets: np.ndarray,
        predictions: Sequence[Prediction],
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, float]:
        """Pearson's and Spearman's correlation, root mean squared error and mean absolute error.

        The last two are in the units of the examples.
        """
        from scipy.stats import rankdata

        values = np.array([p.value for p in predictions if isinstance(p, Number)])
        errors = values - targets
        return {
            "spearman": correlation(rankdata(targets), rankdata(values)),
            "pearson": correlation(targets, values),
            "rmse": float(np.sqrt(np.mean(errors**2))),
            "mae": float(np.mean(np.abs(errors))),
        }

    def contributions(
        self,
        targets: np.ndarray,
        predictions: Sequence[Prediction],
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, np.ndarray]:
        """Spearman's and Pearson's correlation."""
        values = np.array([p.value for p in predictions if isinstance(p, Number)])
        return {
            "spearman": pseudo_values(rank_correlation_without(targets, values)),
            "pearson": pseudo_values(correlation_without(targets, values)),
        }

    def plain(self, targets: np.ndarray, labels: Sequence[str]) -> list[float]:  # noqa: ARG002
        """The numbers."""
        return [float(value) for value in targets]

    def targets_of(self, plain: Sequence[float], labels: Sequence[str]) -> np.ndarray:  # noqa: ARG002
        """The numbers, float64 of shape (texts,)."""
        return np.array(plain, dtype=np.float64)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _wrong(row: LabelledRow) -> str | None:
    return None if _number(row.label) is not None else f"{row.label!r} is no finite number"
