"""What a comparison found, for people and programs: one HTML page that opens offline, a table, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferlm.experiments.cells import Cell, by_arm
from transferlm.experiments.gains import BASELINE, Gain, bands, judged_by
from transferlm.experiments.page import Facts, best_first, mean_of_cells, page
from transferlm.experiments.templates import write_page
from transferlm.experiments.verdict import Verdict
from transferlm.experiments.wording import megabytes, name_of_metric, signed_points, spent, tabled, titled, unit_of

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
) -> None:
    """Write the comparison as one self-contained HTML file: no script, no request, nothing but the file.

    Args:
        path: Where to; its folder is made, and a report that stands there is replaced in one step.
        title: Heading of the page.
        cells: Finished cells of one test part.
        gains: Gains over the untrained twins and over `tfidf`.
        verdict: The answer.
        facts: What else a reader should know, by name: hashes, rows, versions, machine, what was capped.

    Raises:
        SettingError: The file can't be written.
    """
    write_page(path, "report.html", page(title, cells, gains, verdict, facts, bands(cells)))


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
    """A `rich` table for the terminal: one row an arm and size, gains in points of the headline metric."""
    from rich.table import Table
    from rich.text import Text

    metrics, unit = judged_by(cells), unit_of(cells[0].per_class)
    table = Table(title=f"Means over seeds; gains in points of {name_of_metric(metrics[0])} with 95% intervals")
    for heading in (unit, "source", "strategy"):
        table.add_column(heading, justify="right" if heading == unit else "left", overflow="fold")
    for heading in (*map(titled, metrics), "over untrained", "over tfidf", "time", "memory"):
        table.add_column(heading, justify="right")
    groups = by_arm(cells)
    for arm in best_first(groups):
        group = groups[arm]
        over = {
            gain.against: signed_points(gain.interval)
            for gain in gains
            if gain.arm == arm and gain.metric == metrics[0]
        }
        twin = next((text for against, text in over.items() if against != BASELINE), "")
        scores = [tabled(metric, mean_of_cells(group, metric)) for metric in metrics]
        cost = (
            spent(sum(cell.seconds for cell in group) / len(group)),
            megabytes(max(cell.peak_bytes for cell in group)),
        )
        row = (f"{arm.labels}", arm.source, arm.strategy, *scores, twin, over.get(BASELINE, ""), *cost)
        # Text, not a plain string: a name with square brackets is no markup.
        table.add_row(*(Text(text) for text in row))
    return table
