"""What the report's page shows: every figure worded and placed, so that the template only draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from transferlm.experiments import curves
from transferlm.experiments.cells import Arm, Cell, by_arm
from transferlm.experiments.curves import Axis, Panel, Point, Style, linear_axis, log_axis, panel, styles
from transferlm.experiments.gains import BASELINE, Band, Gain, is_transfer, judged_by
from transferlm.experiments.verdict import Verdict
from transferlm.experiments.wording import (
    better,
    figure,
    lowest,
    megabytes,
    signed_points,
    sized,
    spent,
    tabled,
    titled,
    unit_of,
)
from transferlm.measure.intervals import Interval

__all__ = ["Facts", "best_first", "mean_of_cells", "page"]

Facts = Mapping[str, Any]
"""What a reader should know besides, by name: text, or a mapping of further facts."""

Groups = dict[Arm, list[Cell]]
Looks = dict[tuple[str, str], Style]
Intervals = dict[tuple[Arm, str], Interval]

STRIP = 180
"""Width in pixels of an interval drawn in a table of scores."""

FOREST = 380
"""Width in pixels of the drawing of gains."""


@dataclass(frozen=True)
class Strip:
    """An interval drawn in a table, in pixels, its words, and what it shows: `above`, `below` or `level`."""

    low: float
    middle: float
    high: float
    text: str
    shows: str = ""


@dataclass(frozen=True)
class Column:
    """Something measured of every arm: its title, how an arm's point is read, and the axis it is drawn on."""

    title: str
    point: Callable[[Arm], Point]
    axis: Callable[[Sequence[float], float, float], Axis]

    def axis_of(self, arms: Sequence[Arm], start: float, end: float) -> Axis:
        """The axis that holds the intervals of all `arms`."""
        points = [self.point(arm) for arm in arms]
        return self.axis([value for point in points for value in (point.low, point.high)], start, end)


def page(
    title: str,
    cells: Sequence[Cell],
    gains: Sequence[Gain],
    verdict: Verdict,
    facts: Facts,
    bands: Sequence[Band],
) -> dict[str, Any]:
    """The variables of `report.html`."""
    groups = by_arm(cells)
    looks = styles(list(groups))
    intervals = {(band.arm, band.metric): band.interval for band in bands}
    metrics = judged_by(cells)
    counts = sorted({arm.labels for arm in groups})
    columns = [*(_score_column(metric, groups, intervals) for metric in metrics), *_cost_columns(groups)]
    return {
        "title": title,
        "unit": unit_of(cells[0].per_class),
        "verdict": verdict,
        "summary": _summary(groups),
        "size": {name: getattr(curves, name) for name in ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "TOP", "BOTTOM")},
        "strip": STRIP,
        "key": [(style, Arm(*pair, 0).name) for pair, style in looks.items()],
        "panels": _panels(groups, looks, columns) if len(counts) > 1 else [],
        "dots": _dots(groups, looks, columns[: len(metrics) + 1]) if len(counts) == 1 else None,
        "table": _table(groups, looks, intervals, metrics),
        "forest": _forest(gains, looks, metrics),
        "notes": sorted({gain.note for gain in gains if gain.note}),
        "facts": facts,
    }


def mean_of_cells(cells: Sequence[Cell], metric: str) -> float:
    """The mean over seeds of one score."""
    return float(np.mean([cell.scores[metric] for cell in cells]))


def best_first(groups: Groups) -> list[Arm]:
    """Arms from the largest size to the smallest, then from the best score in the headline to the least."""
    metric = judged_by([cell for cells in groups.values() for cell in cells])[0]

    def place(arm: Arm) -> tuple[int, float]:
        return -arm.labels, -mean_of_cells(groups[arm], metric)

    return sorted(groups, key=place)


def _summary(groups: Groups) -> str:
    counts = sorted({arm.labels for arm in groups})
    seeds = sorted({len(cells) for cells in groups.values()})
    first = next(iter(groups.values()))[0]
    arms = len({(arm.source, arm.strategy) for arm in groups})
    each = "–".join(str(number) for number in dict.fromkeys((seeds[0], seeds[-1])))
    return (
        f"{arms} {'arm' if arms == 1 else 'arms'} · {', '.join(map(str, counts))} {unit_of(first.per_class)}"
        f" · {each} {'seed' if each == '1' else 'seeds'} · {first.examples:,} test examples"
    )


def _score_column(metric: str, groups: Groups, intervals: Intervals) -> Column:
    def point(arm: Arm) -> Point:
        mean = mean_of_cells(groups[arm], metric)
        interval = intervals.get((arm, metric))
        low, high = (interval.low, interval.high) if interval else (mean, mean)
        text = f"{arm.name}, {sized(arm.labels, groups[arm][0].per_class)}: {figure(metric, mean)}"
        text += f" [{figure(metric, low)}, {figure(metric, high)}]" if interval else ""
        return Point(arm.labels, mean, low, high, tabled(metric, mean), text)

    return Column(titled(metric), point, partial(_score_axis, lowest(metric)))


def _score_axis(least: float, values: Sequence[float], start: float, end: float) -> Axis:
    """Scores end at 100% and at the least that there can be, whatever the interval says."""
    steps = 4 if abs(end - start) < STRIP else 6
    return linear_axis([min(max(value, least), 1.0) for value in values], start, end, steps=steps)


def _cost_columns(groups: Groups) -> list[Column]:
    def cost(title: str, costs: Callable[[Cell], float], worded: Callable[[float], str]) -> Column:
        def point(arm: Arm) -> Point:
            each = [costs(cell) for cell in groups[arm]]
            mean, least, most = float(np.mean(each)), min(each), max(each)
            text = f"{arm.name}, {sized(arm.labels, groups[arm][0].per_class)}: "
            text += f"{worded(mean)} ({worded(least)} to {worded(most)})"
            return Point(arm.labels, mean, least, most, f"{mean:,.{1 if mean < 10 else 0}f}", text)

        return Column(title, point, log_axis)

    return [
        cost("Time a run, seconds", lambda cell: cell.seconds, spent),
        cost("Peak memory, MB", lambda cell: cell.peak_bytes / 1e6, lambda count: megabytes(count * 1e6)),
    ]


def _panels(groups: Groups, looks: Looks, columns: Sequence[Column]) -> list[Panel]:
    panels = []
    for column in columns:
        series: dict[Style, list[Point]] = {}
        for arm in sorted(groups, key=lambda arm: arm.labels):
            series.setdefault(looks[arm.source, arm.strategy], []).append(column.point(arm))
        axis = column.axis_of(list(groups), curves.HEIGHT - curves.BOTTOM, curves.TOP)
        panels.append(panel(column.title, series, axis))
    return panels


def _dots(groups: Groups, looks: Looks, columns: Sequence[Column]) -> dict[str, Any]:
    """One size draws no curve: a row an arm, best first, a dot with its interval in each column."""
    arms = best_first(groups)
    axes = [column.axis_of(arms, 18, STRIP - 18) for column in columns]
    rows = []
    for arm in arms:
        strips = []
        for column, axis in zip(columns, axes, strict=True):
            point = column.point(arm)
            strips.append(Strip(axis.at(point.low), axis.at(point.value), axis.at(point.high), point.label))
        rows.append((looks[arm.source, arm.strategy], arm, strips))
    return {"titles": [column.title for column in columns], "axes": axes, "rows": rows}


def _table(groups: Groups, looks: Looks, intervals: Intervals, metrics: Sequence[str]) -> dict[str, Any]:
    """Scores and costs of every arm, the largest size first; the best score of each size is marked."""
    first = next(iter(groups.values()))[0].scores
    names = [name for name in first if all(name in cell.scores for cells in groups.values() for cell in cells)]
    names.sort(key=lambda name: (name not in metrics, list(first).index(name)))
    sections: dict[int, list[dict[str, Any]]] = {}
    for arm in best_first(groups):
        peers = [cells for other, cells in groups.items() if other.labels == arm.labels]
        scores = []
        for name in names:
            mean = mean_of_cells(groups[arm], name)
            interval = intervals.get((arm, name))
            width = f"± {100 * interval.half_width:.1f}" if interval else ""
            best = max(better(name, mean_of_cells(cells, name)) for cells in peers)
            scores.append((tabled(name, mean), width, better(name, mean) >= best))
        row = {
            "style": looks[arm.source, arm.strategy],
            "arm": arm,
            "scores": scores,
            "seconds": spent(float(np.mean([cell.seconds for cell in groups[arm]]))),
            "memory": megabytes(max(cell.peak_bytes for cell in groups[arm])),
            "seeds": len(groups[arm]),
        }
        sections.setdefault(arm.labels, []).append(row)
    return {"titles": [titled(name) for name in names], "sections": sections}


def _forest(gains: Sequence[Gain], looks: Looks, metrics: Sequence[str]) -> dict[str, Any]:
    """A row for each arm and rival: the largest size first, transfer arms first; the first metric is drawn too."""
    shown = [gain for gain in gains if gain.metric in metrics]
    lead = metrics[0] if metrics else ""
    drawn = [value for gain in shown if gain.metric == lead for value in (gain.low, gain.high)]
    axis = linear_axis(drawn or [0.0], 18, FOREST - 18, signed=True)
    sections: dict[int, dict[tuple[Arm, str], dict[str, Any]]] = {}
    for gain in sorted(shown, key=lambda gain: (-gain.labels, not is_transfer(gain.source))):
        row = sections.setdefault(gain.labels, {}).setdefault(
            (gain.arm, gain.against),
            {
                "style": looks[gain.source, gain.strategy],
                "arm": gain.arm,
                "against": BASELINE if gain.against == BASELINE else "untrained",
                "strip": None,
                "texts": dict.fromkeys(metrics, ""),
            },
        )
        row["texts"][gain.metric] = signed_points(gain.interval)
        if gain.metric == lead:
            shows = "above" if gain.low > 0 else "below" if gain.high < 0 else "level"
            ends = axis.at(gain.low), axis.at(gain.gain), axis.at(gain.high)
            row["strip"] = Strip(*ends, signed_points(gain.interval), shows)
    return {
        "titles": [titled(metric, "points") for metric in metrics],
        "axis": axis,
        "zero": axis.at(0.0),
        "width": FOREST,
        "sections": {labels: list(rows.values()) for labels, rows in sections.items()},
    }
