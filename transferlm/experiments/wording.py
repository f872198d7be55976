"""Figures of a comparison as a person reads them."""

from __future__ import annotations

from transferlm.measure.intervals import Interval
from transferlm.progress import duration

__all__ = ["METRIC_NAMES", "megabytes", "percent", "points", "signed_points", "spent"]

METRIC_NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


def percent(score: float) -> str:
    """A score between 0 and 1 in percent.

    >>> percent(0.8936)
    '89.4%'
    """
    return f"{100 * score:.1f}%"


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
