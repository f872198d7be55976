"""What happened in a training run, and a file that tells it while it happens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

__all__ = ["History", "Mean", "TrainingLog"]


@dataclass
class History:
    """What happened.

    Attributes:
        losses: Mean training loss since the evaluation (or epoch) before, nats; every batch counts by its tokens.
        evaluations: What `evaluate` returned each time; lower is better.
        best: Index into `evaluations` of the weights that were kept.
        steps: Optimizer steps taken.
        seconds: Wall time, over all runs where it was interrupted.
    """

    losses: list[float] = field(default_factory=list)
    evaluations: list[float] = field(default_factory=list)
    best: int = 0
    steps: int = 0
    seconds: float = 0.0


class Mean:
    """The mean loss since the log's last line, and since the last evaluation; it stays on the device until it is asked.

    >>> mean = Mean(torch.device("cpu"))
    >>> for line in (1.0, 2.0), (6.0,):
    ...     for loss in line:
    ...         mean.add(torch.tensor(loss), 10)
    ...     print(mean.of_line())
    1.5
    6.0
    >>> mean.of_all()
    3.0
    """

    def __init__(self, device: torch.device) -> None:
        self.total = torch.zeros((), device=device, dtype=torch.float64)
        self.weight, self.before, self.weight_before = 0.0, 0.0, 0.0

    def add(self, loss: torch.Tensor, weight: float) -> None:
        """Count a loss with this weight."""
        self.total += loss.detach().double() * weight
        self.weight += weight

    def of_line(self) -> float:
        """The mean since this was asked last."""
        total, weight = float(self.total), self.weight
        self.before, self.weight_before = self.before + total, self.weight_before + weight
        self.total.zero_()
        self.weight = 0.0
        return total / weight

    def of_all(self) -> float:
        """The mean since this was asked last."""
        mean = (self.before + float(self.total)) / (self.weight_before + self.weight)
        self.__init__(self.total.device)  # type: ignore[misc]
        return mean


class TrainingLog:
    """`log.jsonl` in a folder: a line of JSON now and then, to follow a long run from another terminal.

    A line tells the `step` and the `epoch` that is reached, the mean training `loss` in nats since the line before, the
    `held_out` loss where there was an evaluation, the `learning_rate` of the step, `tokens_a_second` (or batches) since
    the line before or the evaluation after it, and `seconds` of wall time.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "log.jsonl"

    def add(self, line: Mapping[str, float]) -> None:
        """Tell one line more."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def forget(self, after: int) -> None:
        """Drop lines that an interrupted run wrote about steps that will be taken again."""
        if self.file.is_file():
            lines = [line for line in self.file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= after]
            partial = self.file.with_suffix(".partial")
            partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            partial.replace(self.file)
