"""What the page of a stream shows: every figure worded and placed, so that the template only draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferlm.experiments.curves import Axis, Tick, linear_axis
from transferlm.experiments.stream_result import Stream
from transferlm.experiments.wording import megabytes, spent

__all__ = ["variables"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1080, 320, 64, 24, 14, 44
CELL_HEIGHT, NAMES = 26, 92
NUMBERS_TO = 15
"""Columns up to which the figures are written into the cells of the heat map; beyond, the pointer shows them."""
STRONGEST = 0.75
"""Opacity of the cell that changed most."""


@dataclass(frozen=True)
class Cell:
    """A cell of the heat map, in pixels.

    Attributes:
        x: Left edge.
        y: Upper edge.
        shows: `above` where the loss is lower than the model given has it, `below` where it is higher.
        strength: Opacity: how much, beside the largest change anywhere.
        text: The loss, where there is room for it.
        words: What the pointer shows.
        learnt: Whether the row's period was learnt by then.
    """

    x: float
    y: float
    shows: str
    strength: float
    text: str
    words: str
    learnt: bool


def variables(stream: Stream, title: str) -> dict[str, Any]:
    """The variables of `stream.html`."""
    gap = stream.gap
    return {
        "title": title,
        "summary": _summary(stream),
        "kind": "use" if gap.low > 0 else "hurts" if gap.high < 0 else "plain",
        "verdict": f"{stream.verdict[:1].upper()}{stream.verdict[1:]}",
        "unit": stream.unit,
        "measures": _measures(stream),
        "alarms": [str(alarm) for alarm in stream.alarms],
        "size": {"WIDTH": WIDTH, "HEIGHT": HEIGHT, "LEFT": LEFT, "RIGHT": RIGHT, "BOTTOM": BOTTOM},
        "chart": _chart(stream),
        "map": _heat_map(stream),
        "rows": _rows(stream),
        "facts": stream.facts,
    }


def _summary(stream: Stream) -> str:
    texts = sum(len(scores.costs) for scores in stream.served)
    method = dict(stream.facts.get("method", {})).get("name", "an update")
    span = f"{stream.periods[0]} to {stream.periods[-1]}"
    return f"{len(stream.periods)} periods, {span} · {texts:,} texts · {method} · lower is better: {stream.unit}"


def _measures(stream: Stream) -> list[tuple[str, str, str]]:
    """Name, figure and meaning of what the matrix says."""
    found = [
        (
            "Average forgetting",
            stream.average_forgetting,
            "how much worse earlier periods are at the end than at their best; above 0 something was forgotten",
        ),
        (
            "Backward transfer",
            stream.backward_transfer,
            "how much better earlier periods are at the end than when they were just learnt; above 0 is good",
        ),
        (
            "Forward transfer",
            stream.forward_transfer,
            "how much better a period is just before it is learnt than under the frozen model; above 0 is good",
        ),
    ]
    if stream.old is not None:
        rise = float(stream.old[-1] - stream.old[0])
        found.append(
            ("Old text", rise, f"rise of the old text's loss, from {stream.old[0]:.4f}; above 0 is forgetting")
        )
    return [(name, f"{figure:+.4f}", meaning) for name, figure, meaning in found]


def _chart(stream: Stream) -> dict[str, Any]:
    """Score over time: the updated model, the frozen one, and where an alarm was given."""
    count = len(stream.periods)
    lines = {"frozen": [s.mean for s in stream.frozen], "updated": [s.mean for s in stream.served]}
    y = linear_axis([value for line in lines.values() for value in line], HEIGHT - BOTTOM, TOP, scale=1)
    x = Axis(0, count - 1, LEFT + 16, WIDTH - RIGHT - 16, logarithmic=False)
    drawn = []
    for hue, (name, values) in zip((1, 0), lines.items(), strict=True):
        places = [(x.at(number), y.at(value)) for number, value in enumerate(values)]
        marks = [
            (*place, f"{period}, {name}: {value:.4f}")
            for place, period, value in zip(places, stream.periods, values, strict=True)
        ]
        drawn.append({"name": name, "hue": hue, "path": " ".join(f"{a},{b}" for a, b in places), "marks": marks})
    alarmed = {alarm.period: str(alarm) for alarm in stream.alarms}
    flags = [(x.at(stream.periods.index(period)), words) for period, words in alarmed.items()]
    ticks = tuple(Tick(x.at(number), period) for number, period in enumerate(stream.periods))
    return {"y": y, "ticks": _apart(ticks), "lines": drawn, "flags": flags}


def _apart(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """The ticks whose words keep apart."""
    return Axis(0, 1, 0, 1, logarithmic=False, ticks=tuple(ticks)).readable


def _heat_map(stream: Stream) -> dict[str, Any]:
    """The matrix, each loss coloured by how it differs from that of the model given; the old text is its first row."""
    rows, names = stream.matrix, list(stream.periods)
    if stream.old is not None:
        rows, names = np.vstack([stream.old, rows]), ["old text", *names]
    changes = rows[:, :1] - rows
    largest = float(np.abs(changes).max()) or 1.0
    columns = rows.shape[1]
    width = (WIDTH - NAMES) / columns
    cells = [
        _cell(stream, names, rows, changes, (row, column), width, largest)
        for row in range(len(rows))
        for column in range(columns)
    ]
    heads = tuple(
        Tick(NAMES + (column + 0.5) * width, "given" if not column else stream.periods[column - 1])
        for column in range(columns)
    )
    lines = [(name, (row + 0.5) * CELL_HEIGHT + 28) for row, name in enumerate(names)]
    return {
        "cells": cells,
        "heads": _apart(heads),
        "names": lines,
        "width": width,
        "height": 32 + len(rows) * CELL_HEIGHT,
    }


def _cell(
    stream: Stream,
    names: Sequence[str],
    rows: np.ndarray,
    changes: np.ndarray,
    place: tuple[int, int],
    width: float,
    largest: float,
) -> Cell:
    row, column = place
    change, loss = float(changes[place]), float(rows[place])
    when = f"after learning {stream.periods[column - 1]}" if column else "under the model given"
    period = row - (stream.old is not None)
    return Cell(
        x=round(NAMES + column * width, 1),
        y=24 + row * CELL_HEIGHT,
        shows="above" if change >= 0 else "below",
        strength=round(STRONGEST * abs(change) / largest, 3),
        text=f"{loss:.3f}" if rows.shape[1] <= NUMBERS_TO else "",
        words=f"{names[row]} {when}: {loss:.4f} ({-change:+.4f})",
        learnt=period < column,
    )


def _rows(stream: Stream) -> list[dict[str, str]]:
    """Score, gap and cost of each period."""
    alarmed = {alarm.period for alarm in stream.alarms}
    rows = []
    for number, period in enumerate(stream.periods):
        gap, cost = stream.gaps[number], stream.costs[number]
        rows.append(
            {
                "period": period,
                "texts": f"{len(stream.served[number].costs):,}",
                "updated": f"{stream.served[number].mean:.4f}",
                "frozen": f"{stream.frozen[number].mean:.4f}",
                "gap": "" if gap is None else f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]",
                "alarm": "alarm" if period in alarmed else "",
                "seconds": spent(cost.seconds),
                "memory": megabytes(cost.peak_bytes),
                "added": f"{cost.added_bytes / 1e6:+,.2f} MB",
            }
        )
    return rows
