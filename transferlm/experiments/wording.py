"""Figures of a comparison as a person reads them."""

from __future__ import annotations

from transferlm.measure.intervals import Interval
from transferlm.progress import duration

__all__ = [
    "better",
    "figure",
    "lowest",
    "megabytes",
    "name_of_metric",
    "points",
    "signed_points",
    "sized",
    "spent",
    "tabled",
    "titled",
    "unit_of",
]

_NAMES = {
    "f1": "F1",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "lrap": "label ranking average precision",
}

_CORRELATIONS = frozenset({"spearman", "pearson"})

_ERRORS = frozenset({"rmse", "mae"})
"""Metrics in the units of the examples, of which less is better; all others lie in 0 to 1 (correlations in -1 to 1)."""


def name_of_metric(metric: str) -> str:
    """As it stands within a sentence.

    >>> name_of_metric("macro_f1"), name_of_metric("exact_match")
    ('macro-F1', 'exact match')
    """
    return _NAMES.get(metric, metric.replace("_", " "))


def titled(metric: str, unit: str = "") -> str:
    """As it stands at the head of a column, with the unit of its figures, or another.

    >>> titled("macro_f1"), titled("spearman"), titled("mae"), titled("f1", "points")
    ('Macro-F1, %', 'Spearman correlation × 100', 'Mean absolute error', 'F1, points')
    """
    name = name_of_metric(metric)
    name = f"{name[:1].upper()}{name[1:]}"
    if unit:
        return f"{name}, {unit}"
    return name if metric in _ERRORS else f"{name} × 100" if metric in _CORRELATIONS else f"{name}, %"


def figure(metric: str, score: float) -> str:
    """A score within a sentence.

    >>> figure("accuracy", 0.8936), figure("spearman", 0.8341), figure("rmse", 12.345)
    ('89.4%', '0.834', '12.35')
    """
    if metric in _CORRELATIONS:
        return f"{score:.3f}"
    return f"{score:.4g}" if metric in _ERRORS else f"{100 * score:.1f}%"


def tabled(metric: str, score: float) -> str:
    """A score under the title of its column.

    >>> tabled("accuracy", 0.8936), tabled("spearman", 0.8341), tabled("rmse", 12.345)
    ('89.4', '83.4', '12.35')
    """
    return figure(metric, score) if metric in _ERRORS else f"{100 * score:.1f}"


def better(metric: str, score: float) -> float:
    """The score, or its negative where less is better: the greater, the better."""
    return -score if metric in _ERRORS else score


def lowest(metric: str) -> float:
    """The least score that there can be."""
    return -1.0 if metric in _CORRELATIONS else 0.0


def unit_of(per_class: bool) -> str:
    """What sizes of training parts count."""
    return "labels a class" if per_class else "examples"


def sized(count: int, per_class: bool) -> str:
    """A size of training parts.

    >>> sized(1, True), sized(64, True), sized(1000, False)
    ('1 label a class', '64 labels a class', '1,000 examples')
    """
    if per_class:
        return f"{count:,} {'label' if count == 1 else 'labels'} a class"
    return f"{count:,} {'example' if count == 1 else 'examples'}"


def points(interval: Interval) -> str:
    """The size of a difference in points with its interval, its sign left to the words around it.

    >>> points(Interval(-0.05, -0.08, -0.02, 0.95, 5, 500, 0, 0, 0))
    '5.0 points [2.0, 8.0]'
    """
    sign = -1 if interval.mean < 0 else 1
    low, high = sorted((sign * interval.low, sign * interval.high))
    return f"{_hundredfold(sign * interval.mean)} points [{_hundredfold(low)}, {_hundredfold(high)}]"


def signed_points(interval: Interval) -> str:
    """A difference in points with its sign and its interval, for tables.

    >>> signed_points(Interval(0.006, -0.012, 0.024, 0.95, 5, 500, 0, 0, 0))
    '+0.6 [-1.2, +2.4]'
    """
    return " ".join(
        (
            _hundredfold(interval.mean, "+"),
            f"[{_hundredfold(interval.low, '+')}, {_hundredfold(interval.high, '+')}]",
        )
    )


def spent(seconds: float) -> str:
    """Wall time, with a decimal below ten seconds.

    >>> spent(0.42), spent(42.0)
    ('0.4 s', '42 s')
    """
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def megabytes(count: float) -> str:
    """Bytes in decimal megabytes or gigabytes.

    >>> megabytes(532_000_000), megabytes(1_640_000_000)
    ('532 MB', '1.6 GB')
    """
    return f"{count / 1e6:.0f} MB" if count < 999.5e6 else f"{count / 1e9:.1f} GB"


def _hundredfold(share: float, sign: str = "") -> str:
    """A share in points with one decimal; a zero has no sign."""
    rounded = round(100 * share, 1) + 0.0
    return f"{rounded:{sign if rounded else ''}.1f}"
