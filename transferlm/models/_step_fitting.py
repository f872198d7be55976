"""Step sizes of dynamic evaluation fitted by trial: each trial reads a text once."""

from __future__ import annotations

import math
from collections.abc import Callable

from transferlm.progress import Progress, perplexity_note

__all__ = ["best_steps"]

Nats = Callable[[dict[str, float]], float]
"""Mean nats a token with these settings; infinite where weights ran away."""

_FACTORS = (3.0, 1.5)
"""By what settings are multiplied and divided: far steps first, then near ones."""


def best_steps(nats: Nats, start: dict[str, float]) -> tuple[dict[str, float], float]:
    """Learning rate and decay under which the text is most probable, from these on, and nats a token."""
    with Progress("fitting the dynamic evaluation", unit="trials") as progress:

        def told(trial: dict[str, float]) -> float:
            found = nats(trial)
            progress.advance(note=perplexity_note(found))
            return found

        best, lowest = start, told(start)
        for factor in _FACTORS:
            for name in ("learning_rate", "decay"):
                best, lowest = _descend(told, best, lowest, name, factor)
    return best, lowest


def _descend(
    nats: Nats, best: dict[str, float], lowest: float, name: str, factor: float
) -> tuple[dict[str, float], float]:
    """Multiply or divide one setting by `factor` for as long as that lowers the loss."""
    for step in (factor, 1 / factor):
        start = best
        while True:
            trial = {**best, name: best[name] * step}
            found = nats(trial) if name != "decay" or trial[name] <= 1 else math.inf
            if found >= lowest:
                break
            best, lowest = trial, found
        if best is not start:
            break
    return best, lowest
