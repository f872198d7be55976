"""Where the lines, bands, ticks and labels of the report's figures stand: geometry alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transferlm.experiments.cells import Arm
from transferlm.experiments.gains import BASELINE, UNTRAINED

__all__ = ["Axis", "Line", "Panel", "Point", "Style", "Tick", "linear_axis", "log_axis", "panel", "styles"]

HUES = 6
"""Colours that the page's style sheet defines, told apart by colour-blind readers as well."""

WIDTH, HEIGHT = 540, 330
LEFT, RIGHT, TOP, BOTTOM = 52, 64, 14, 44
LINE_HEIGHT = 15.0
"""Distance that two labels at the end of lines keep from each other."""


@dataclass(frozen=True)
class Style:
    """How an arm looks in every figure: an untrained twin has its source's hue, dashed and hollow.

    Attributes:
        hue: Index of the colour, or -1 for the neutral one of the baseline.
        shape: Index of the marker.
        untrained: Whether it is drawn dashed and hollow.
    """

    hue: int
    shape: int
    untrained: bool


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in pixels, and its words."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool
    ticks: tuple[Tick, ...] = ()

    def at(self, value: float) -> float:
        """Pixels of `value`, held within the axis and rounded to a tenth."""
        low, high, here = (
            (math.log(self.low), math.log(self.high), math.log(max(value, self.low)))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        share = (here - low) / (high - low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)

    @property
    def readable(self) -> tuple[Tick, ...]:
        """The ticks whose words keep apart when they stand side by side, from the last back."""
        kept: list[Tick] = []
        for tick in reversed(self.ticks):
            if not kept or kept[-1].at - tick.at > 4 * (len(tick.text) + len(kept[-1].text)) + 6:
                kept.append(tick)
        return tuple(kept)


@dataclass(frozen=True)
class Point:
    """One measured place: values, its short label, and the words shown when the pointer rests on it."""

    labels: int
    value: float
    low: float
    high: float
    label: str
    text: str


@dataclass(frozen=True)
class Line:
    """An arm's curve in pixels: `path` through its points, `band` around them, a label beside the last."""

    style: Style
    path: str
    band: str
    marks: tuple[tuple[float, float, str], ...]
    end: str
    end_at: tuple[float, float]
    label_at: float


@dataclass(frozen=True)
class Panel:
    """One figure: score or cost against the size of training parts on a logarithmic axis."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]


def styles(arms: Sequence[Arm]) -> dict[tuple[str, str], Style]:
    """A style for each (source, strategy), in the order of `arms`; the same arms always look the same."""
    hues: dict[tuple[str, str], int] = {}
    found = {}
    for arm in arms:
        source = arm.source.removesuffix(UNTRAINED)
        hue = -1 if source == BASELINE else hues.setdefault((source, arm.strategy), len(hues))
        # Past the last colour the shapes move on, so that a colour used twice still has two markers.
        shape = 4 if hue < 0 else (hue + hue // HUES) % 4
        found[arm.source, arm.strategy] = Style(hue % HUES if hue >= 0 else -1, shape, source != arm.source)
    return found


def linear_axis(
    values: Sequence[float], start: float, end: float, signed: bool = False, steps: int = 6, scale: float = 100
) -> Axis:
    """An axis of scores (or of gains, when `signed`) around `values`: some `steps` round ticks in percent (`scale` 100)
    or as they are (1).

    >>> [tick.text for tick in linear_axis([0.62, 0.91], 0, 100).ticks]
    ['60', '65', '70', '75', '80', '85', '90', '95']
    """
    low, high = min(values), max(values)
    if signed:
        low, high = min(low, 0.0), max(high, 0.0)
    step = _round_step(max(high - low, 0.01) / steps)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    axis = Axis(first * step, last * step, start, end, logarithmic=False)
    digits = max(0, math.ceil(-math.log10(step * scale) - 1e-9))
    sign = "+" if signed else ""
    ticks = [
        Tick(axis.at(count * step), f"{scale * count * step:{sign if count else ''}.{digits}f}")
        for count in range(first, last + 1)
    ]
    return replace(axis, ticks=tuple(ticks))


def log_axis(values: Sequence[float], start: float, end: float, unit: str = "") -> Axis:
    """An axis of positive values with ticks at 1, 2 and 5 times powers of ten (powers alone over three
    decades).

    >>> [tick.text for tick in log_axis([0.3, 42.0], 0, 100, " s").ticks]
    ['0.2 s', '0.5 s', '1 s', '2 s', '5 s', '10 s', '20 s', '50 s']
    """
    low, high = max(min(values), 1e-3), max(*values, 1e-3)
    leads = (1, 2, 5) if high / low < 1000 else (1,)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    steps = [lead * 10.0**power for power in powers for lead in leads]
    bottom = max(step for step in steps if step <= low * 1.0001)
    top = min(step for step in steps if step >= high * 0.9999 and step > bottom)
    axis = Axis(bottom, top, start, end, logarithmic=True)
    ticks = tuple(Tick(axis.at(step), f"{step:,.6g}{unit}") for step in steps if bottom <= step <= top)
    return replace(axis, ticks=ticks)


def panel(title: str, series: dict[Style, list[Point]], y: Axis) -> Panel:
    """A figure of lines over two sizes or more, from the smallest to the largest."""
    x = _label_axis(sorted({point.labels for points in series.values() for point in points}))
    lines = []
    for style, points in series.items():
        places = [(x.at(point.labels), y.at(point.value)) for point in points]
        upper = [f"{x.at(point.labels)},{y.at(point.high)}" for point in points]
        lower = [f"{x.at(point.labels)},{y.at(point.low)}" for point in reversed(points)]
        marks = tuple((*place, point.text) for place, point in zip(places, points, strict=True))
        path = " ".join(f"{across},{down}" for across, down in places)
        lines.append(Line(style, path, " ".join(upper + lower), marks, points[-1].label, places[-1], 0.0))
    apart = _spread([line.end_at[1] for line in lines])
    return Panel(title, x, y, tuple(replace(line, label_at=at) for line, at in zip(lines, apart, strict=True)))


def _label_axis(counts: list[int]) -> Axis:
    """Sizes, a tick at each one that was measured as long as the words keep apart."""
    axis = Axis(counts[0], counts[-1], LEFT + 16, WIDTH - RIGHT - 8, logarithmic=True)
    ticks = tuple(Tick(axis.at(count), f"{count:,}") for count in counts)
    return replace(axis, ticks=replace(axis, ticks=ticks).readable)


def _spread(places: Sequence[float]) -> list[float]:
    """Places moved as little as keeps them LINE_HEIGHT apart and within the panel, in the order given."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    gap = min(LINE_HEIGHT, (HEIGHT - BOTTOM - TOP) / max(len(places) - 1, 1))
    floor = float(TOP)
    for index in order:
        moved[index] = max(moved[index], floor)
        floor = moved[index] + gap
    ceiling = float(HEIGHT - BOTTOM)
    for index in reversed(order):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    return moved


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(lead * power for lead in (1, 2, 5, 10) if lead * power >= rough * 0.999)
