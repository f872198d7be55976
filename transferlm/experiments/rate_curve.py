"""The curve of a learning-rate range test as a drawing (SVG), alone or on a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from transferlm.errors import SettingError
from transferlm.experiments.curves import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, Axis

if TYPE_CHECKING:
    from transferlm.neural.learning_rate_finder import LearningRates

__all__ = ["check_place", "write_curve"]

_RIGHT = WIDTH - 16
_INK, _PALE, _MARK = "#1f2933", "#9fb3c8", "#c2410c"


def check_place(place: str | Path) -> Path:
    """The file as a path, if a curve can be drawn into it.

    Raises:
        SettingError: Its name ends neither in .svg nor in .html.
    """
    path = Path(place)
    if path.suffix.lower() not in (".svg", ".html"):
        raise SettingError(f"{path}: a curve is drawn into a file whose name ends in .svg or .html")
    return path


def write_curve(curve: LearningRates, title: str, place: str | Path) -> None:
    """Draw loss, in bits, against rate, with the suggestion.

    Args:
        curve: What the range test found.
        title: What was trained.
        place: A file whose name ends in `.svg` or `.html`.

    Raises:
        SettingError: Its name ends otherwise.
    """
    path, drawing = check_place(place), _svg(curve, title)
    if path.suffix.lower() == ".html":
        drawing = f'<!doctype html>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n{drawing}'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drawing, encoding="utf-8")


def _svg(curve: LearningRates, title: str) -> str:
    x = Axis(curve.rates[0], curve.rates[-1], LEFT, _RIGHT, logarithmic=True)
    bits = [loss / math.log(2) for loss in curve.smoothed]
    low, high = min(bits), max(bits)
    y = Axis(low - 0.05 * (high - low or 1), high, HEIGHT - BOTTOM, TOP, logarithmic=False)
    raw = [(x.at(rate), y.at(loss / math.log(2))) for rate, loss in zip(curve.rates, curve.losses, strict=True)]
    path = [(x.at(rate), y.at(loss)) for rate, loss in zip(curve.rates, bits, strict=True)]
    marked, foot = x.at(curve.suggestion), HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_across(x),
        *_upward(y),
        _line(raw, _PALE, 1),
        _line(path, _INK, 2),
        f'<line x1="{marked}" x2="{marked}" y1="{TOP}" y2="{foot}" stroke="{_MARK}" stroke-dasharray="4 3"/>',
        f'<text x="{marked + 4}" y="{TOP + 10}" fill="{_MARK}">{curve.suggestion:.2g}</text>',
        f'<text x="{(LEFT + _RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">learning rate</text>',
        f'<text x="14" y="{(foot + TOP) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(foot + TOP) / 2})">loss, bits</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _line(points: Sequence[tuple[float, float]], colour: str, width: int) -> str:
    places = " ".join(f"{across},{down}" for across, down in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _across(axis: Axis) -> list[str]:
    """A tick at each power of ten."""
    powers = range(math.ceil(math.log10(axis.low) - 1e-9), math.floor(math.log10(axis.high) + 1e-9) + 1)
    foot = HEIGHT - BOTTOM
    return [f'<line x1="{LEFT}" x2="{_RIGHT}" y1="{foot}" y2="{foot}" stroke="{_PALE}"/>'] + [
        f'<text x="{axis.at(10.0**power)}" y="{foot + 16}" text-anchor="middle">{10.0**power:g}</text>'
        for power in powers
    ]


def _upward(axis: Axis) -> list[str]:
    """Five ticks, evenly spread."""
    values = [axis.low + share * (axis.high - axis.low) / 4 for share in range(5)]
    return [f'<text x="{LEFT - 6}" y="{axis.at(value) + 4}" text-anchor="end">{value:.2f}</text>' for value in values]
