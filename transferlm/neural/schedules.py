"""Learning-rate schedules: the factor on the learning rate after a share of the steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from transferlm.errors import SettingError

__all__ = ["Schedule", "factor", "on_plateau"]

Schedule = Literal["linear", "cosine", "constant", "slanted_triangular", "one_cycle", "geometric", "reduce_on_plateau"]

_RATIO = 32
"""How much smaller the smallest rate of a slanted triangle is than the peak (Howard & Ruder 2018)."""
_FIRST, _LAST = 1 / 25, 1e-4
"""Where one cycle begins and ends (Smith & Topin 2018; what fast.ai and torch settled on)."""
_STAYS = 33 / 39
"""Share of the steps left when a geometric schedule begins to fall: after 6 of 39 epochs (Zaremba et al. 2015)."""
_ENDS = 1.2**33
"""By how much it has fallen at the end: by 1.2 an epoch."""
_PATIENCE = 2
"""Evaluations without a better one before the rate is halved on a plateau."""

_DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda left: left,
    "cosine": lambda left: 0.5 * (1 - math.cos(math.pi * left)),
    "constant": lambda left: 1.0,  # noqa: ARG005
    "slanted_triangular": lambda left: (1 + left * (_RATIO - 1)) / _RATIO,
    "one_cycle": lambda left: _LAST + (1 - _LAST) * 0.5 * (1 - math.cos(math.pi * left)),
    "geometric": lambda left: _ENDS ** min(0.0, left / _STAYS - 1),
    "reduce_on_plateau": lambda left: 1.0,  # noqa: ARG005 - `on_plateau` says how it falls
}
_RISES: dict[str, Callable[[float], float]] = {
    "slanted_triangular": lambda risen: (1 + risen * (_RATIO - 1)) / _RATIO,
    "one_cycle": lambda risen: _FIRST + (1 - _FIRST) * 0.5 * (1 - math.cos(math.pi * risen)),
}
"""All others rise from nothing in a straight line."""


def factor(step: int, steps: int, schedule: Schedule = "linear", warmup: float = 0.0) -> float:
    """The factor on the learning rate at `step` of `steps`, counted from 0.

    It rises over the first `warmup` share of the steps, then decays towards 0 (or stays, for `constant`).
    The first step already moves: its factor is 1 / (warm-up steps).

    >>> [round(factor(step, 10, "linear", warmup=0.2), 3) for step in range(10)]
    [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]

    A slanted triangle (Howard & Ruder 2018, eq. 3) never falls below a 32nd of the peak. With T = 10 steps and
    cut_frac = 0.2 it has cut = 2 steps to rise; p = t / cut until then and 1 - (t - cut) / (cut (1 / cut_frac - 1))
    afterwards, and the factor is (1 + p (32 - 1)) / 32: at t = 1, p = 1/2 and 16.5 / 32 = 0.516; at t = 6, p = 1 - 4/8
    and 0.516 again.

    >>> [round(factor(step, 10, "slanted_triangular", warmup=0.2), 3) for step in range(10)]
    [0.031, 0.516, 1.0, 0.879, 0.758, 0.637, 0.516, 0.395, 0.273, 0.152]

    One cycle (Smith & Topin 2018) rises by half a cosine from a 25th of the peak and falls by one to a 10,000th;
    `geometric` stays and then falls by a constant factor a step, to a 410th (Zaremba et al. 2015).

    Raises:
        SettingError: An unknown schedule, or a warm-up share outside 0 to 1.
    """
    if schedule not in _DECAYS:
        raise SettingError(f"schedule {schedule!r}: choose one of {', '.join(_DECAYS)}")
    if not 0 <= warmup <= 1:
        raise SettingError(f"warmup {warmup}: give a share of the steps between 0 and 1")
    rising = math.ceil(warmup * steps)
    if step < rising:
        return _RISES[schedule](step / rising) if schedule in _RISES else (step + 1) / rising
    return _DECAYS[schedule]((steps - step) / max(1, steps - rising))


def on_plateau(evaluations: Sequence[float]) -> float:
    """The factor of `reduce_on_plateau`: halved whenever two evaluations have not been better than the best before.

    >>> [on_plateau([3.0, 2.0, 2.1, 2.2, 1.9, 2.0, 2.0, 2.0, 2.0][:count]) for count in range(1, 10)]
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    """
    best, waited, found = math.inf, 0, 1.0
    for value in evaluations:
        best, waited = (value, 0) if value < best else (best, waited + 1)
        if waited == _PATIENCE:
            found, waited = found / 2, 0
    return found
