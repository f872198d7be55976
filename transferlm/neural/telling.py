"""How a run goes, told while it goes: a line of progress, a line in the log, a point on a curve."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from transferlm.neural.training_log import Mean
from transferlm.progress import Progress

__all__ = ["Telling"]


class _Listener(Protocol):
    """A log, or a board of curves."""

    def add(self, line: Mapping[str, float]) -> None:
        """Take one line more."""


class Telling:
    """The mean loss and the speed since the line before, given to whoever listens.

    Args:
        progress: The line that a person sees.
        unit: What is counted: `tokens` or `batches`.
        device: Where losses are.
    """

    def __init__(self, progress: Progress, unit: str, device: torch.device) -> None:
        self.progress, self.unit, self.mean = progress, unit, Mean(device)
        self.listeners: Sequence[_Listener] = ()
        self.restart()

    def restart(self) -> None:
        """Take the time from now on: what was done before, or an evaluation in between, is no training."""
        self._since, self._done = time.perf_counter(), 0.0

    def advance(self, size: float) -> None:
        """So much more is trained on."""
        self._done += size
        self.progress.advance(size)

    def measured(self) -> dict[str, float]:
        """The mean loss and the speed since the line before."""
        speed = self._done / max(time.perf_counter() - self._since, 1e-9)
        return {"loss": self.mean.of_line(), f"{self.unit}_a_second": round(speed, 3)}

    def tell(
        self, place: Mapping[str, float], measured: Mapping[str, float] | None = None, held_out: float | None = None
    ) -> None:
        """One line.

        Args:
            place: Step, epoch, learning rate and whatever else is known.
            measured: What `measured` gave, where that was asked already.
            held_out: The loss of an evaluation, nats.
        """
        line = {**place, **(measured or self.measured())}
        note = f"loss {line['loss'] / math.log(2):.3f} bits"
        if held_out is not None:
            line["held_out"] = held_out
            note += f", held out {held_out / math.log(2):.3f} bits"
        self.progress.advance(0, note=note)
        for listener in self.listeners:
            listener.add(line)
        self.restart()
