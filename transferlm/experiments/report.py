"""What a comparison found, for people and programs: one HTML page that opens offline, a table, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferlm.experiments.cells import Cell, by_arm
from transferlm.experiments.gains import BASELINE, METRICS, Band, Gain, bands
from transferlm.experiments.page import Facts, best_first, mean_of_cells, page
from transferlm.experiments.templates import write_page
from transferlm.experiments.verdict import Verdict
from transferlm.experiments.wording import megabytes, percent, signed_points, spent

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["console_table", "result_json", "write_report"]


def write_report(
    path: str | Path,
    title: str,
    cells: Sequence[Cell],
    gains: Sequence[Gain],
    verdict: Verdict,
    facts: Facts,
    targets: np.ndarray,
    *,
    class_count: int | None = None,
) -> None:
    """Write the comparison as one self-contained HTML file: no script, no request, nothing but the file.

    Args:
        path: Where to; its folder is made, and a report that stands there is replaced in one step.
        title: Heading of the page.
        cells: Finished cells of one test part.
        gains: Gains over the untrained twins and over `tfidf`.
        verdict: The answer.
        facts: What else a reader should know, by name: hashes, rows, versions, machine, what was capped.
        targets: True class indices of the test examples (examples,), for the bands of the curves.
        class_count: Number of classes. Default: the highest index seen and one more, too few where the last
            classes are neither among the test examples nor predicted.

    Raises:
        SettingError: The file can't be written.
    """
    write_page(path, "report.html", page(title, cells, gains, verdict, facts, _bands(cells, targets, class_count)))


def _bands(cells: Sequence[Cell], targets: np.ndarray, class_count: int | None) -> list[Band]:
    if class_count is None:
        class_count = 1 + max(int(targets.max()), *(int(cell.predicted.max()) for cell in cells))
    return bands(cells, targets, class_count, [name for name in METRICS if all(name in cell.scores for cell in cells)])


def result_json(cells: Sequence[Cell], gains: Sequence[Gain], verdict: Verdict, facts: Facts) -> dict[str, Any]:
    """The comparison as `--json` prints it, figures unrounded."""
    return {
        "cells": [
            {
                "source": cell.source,
                "strategy": cell.strategy,
                "labels": cell.labels,
                "seed": cell.seed,
                "scores": dict(cell.scores),
                "seconds": cell.seconds,
                "peak_bytes": cell.peak_bytes,
            }
            for cell in cells
        ],
        "gains": [
            {
                "source": gain.source,
                "strategy": gain.strategy,
                "labels": gain.labels,
                "metric": gain.metric,
                "against": gain.against,
                "gain": gain.gain,
                "low": gain.low,
                "high": gain.high,
            }
            for gain in gains
        ],
        "verdict": str(verdict),
        "facts": dict(facts),
    }


def console_table(cells: Sequence[Cell], gains: Sequence[Gain]) -> Table:
    """A `rich` table for the terminal: one row an arm and label count, gains in points of accuracy."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Means over seeds; gains in points of accuracy with 95% intervals")
    for heading in ("labels a class", "source", "strategy"):
        table.add_column(heading, justify="right" if heading == "labels a class" else "left", overflow="fold")
    for heading in ("accuracy", "macro-F1", "over untrained", "over tfidf", "time", "memory"):
        table.add_column(heading, justify="right")
    groups = by_arm(cells)
    for arm in best_first(groups):
        group = groups[arm]
        over = {
            gain.against: signed_points(gain.interval)
            for gain in gains
            if gain.arm == arm and gain.metric == "accuracy"
        }
        twin = next((text for against, text in over.items() if against != BASELINE), "")
        scores = [percent(mean_of_cells(group, metric)) if metric in group[0].scores else "" for metric in METRICS]
        cost = (
            spent(sum(cell.seconds for cell in group) / len(group)),
            megabytes(max(cell.peak_bytes for cell in group)),
        )
        row = (f"{arm.labels}", arm.source, arm.strategy, *scores, twin, over.get(BASELINE, ""), *cost)
        # Text, not a plain string: a name with square brackets is no markup.
        table.add_row(*(Text(text) for text in row))
    return table
