"""Learning-rate schedules: the factor on the learning rate after a share of the steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from transferlm.errors import SettingError

__all__ = ["Schedule", "factor"]

Schedule = Literal["linear", "cosine", "constant"]

_DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda left: left,
    "cosine": lambda left: 0.5 * (1 - math.cos(math.pi * left)),
    "constant": lambda left: 1.0,  # noqa: ARG005
}


def factor(step: int, steps: int, schedule: Schedule = "linear", warmup: float = 0.0) -> float:
    """The factor on the learning rate at `step` of `steps`, counted from 0.

    It rises linearly over the first `warmup` share of the steps, then decays towards 0 (or stays, for `constant`).
    The first step already moves: its factor is 1 / (warm-up steps).

    >>> [round(factor(step, 10, "linear", warmup=0.2), 3) for step in range(10)]
    [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]

    Raises:
        SettingError: An unknown schedule, or a warm-up share outside 0 to 1.
    """
    if schedule not in _DECAYS:
        raise SettingError(f"schedule {schedule!r}: choose one of {', '.join(_DECAYS)}")
    if not 0 <= warmup <= 1:
        raise SettingError(f"warmup {warmup}: give a share of the steps between 0 and 1")
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return _DECAYS[schedule]((steps - step) / max(1, steps - rising))
