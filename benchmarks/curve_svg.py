"""A figure of curves as one SVG file, drawn from the report's own geometry."""

from __future__ import annotations

from html import escape

from transferlm.experiments.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, Panel

__all__ = ["svg"]

COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
"""Okabe & Ito's, which colour-blind readers tell apart."""
MARGIN = 50
"""Room for names that are longer than a report's."""


def svg(panel: Panel, across: str, upward: str) -> str:
    """The figure; a line's colour is its style's hue.

    Args:
        panel: Lines, axes and their ticks in pixels.
        across: What the horizontal axis tells.
        upward: What the vertical axis tells.
    """
    foot, end = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + MARGIN} {HEIGHT}" font-family="sans-serif"'
        f' font-size="11" role="img" aria-label="{escape(panel.title)}">',
        f"<title>{escape(panel.title)}</title>",
        f'<rect width="{WIDTH + MARGIN}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for tick in panel.y.ticks:
        parts.append(f'<path d="M{LEFT} {tick.at}H{end}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{tick.at + 4}" text-anchor="end">{tick.text}</text>')
    parts += [f'<text x="{tick.at}" y="{foot + 16}" text-anchor="middle">{tick.text}</text>' for tick in panel.x.ticks]
    parts.append(f'<text x="{(LEFT + end) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>')
    middle = (TOP + foot) / 2
    parts.append(
        f'<text x="12" y="{middle}" transform="rotate(-90 12 {middle})" text-anchor="middle">{escape(upward)}</text>'
    )
    parts += [_drawn(line, end) for line in panel.lines]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(line: Line, end: int) -> str:
    colour = COLOURS[line.style.hue]
    marks = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"><title>{escape(text)}</title></circle>'
        for x, y, text in line.marks
    )
    return (
        f'<polygon points="{line.band}" fill="{colour}" opacity="0.15"/>'
        f'<polyline points="{line.path}" fill="none" stroke="{colour}" stroke-width="1.5"/>{marks}'
        f'<path d="M{line.end_at[0]} {line.end_at[1]}L{end + 8} {line.label_at}" stroke="{colour}" opacity="0.4"/>'
        f'<text x="{end + 10}" y="{line.label_at + 4}">{escape(line.end)}</text>'
    )
