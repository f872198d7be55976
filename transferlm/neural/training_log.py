"""What happened in a training run, and a file that tells it while it happens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["History", "TrainingLog"]


@dataclass
class History:
    """What happened.

    Attributes:
        losses: Mean training loss since the evaluation (or epoch) before, nats.
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


class TrainingLog:
    """`log.jsonl` in a folder: one line of JSON an evaluation, to follow a long run from another terminal."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "log.jsonl"

    def add(self, history: History, epoch: int, running: float) -> None:
        """Tell of the last evaluation; `running` seconds have passed beside those that the history counts."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line: dict[str, Any] = {"step": history.steps, "epoch": epoch, "loss": history.losses[-1]}
        if history.evaluations:
            line["held_out"] = history.evaluations[-1]
        line["seconds"] = round(history.seconds + running, 3)
        with self.file.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def forget(self, after: int) -> None:
        """Drop lines that an interrupted run wrote about steps that will be taken again."""
        if self.file.is_file():
            lines = [line for line in self.file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= after]
            self.file.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
