"""One training on an objective: who shares it, what seeds it, where its state is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from transferlm.models.base import Objective
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.learning_rate_finder import LearningRates, Range, range_test
from transferlm.neural.loop import Group, History, Settings, fit
from transferlm.neural.processes import processes
from transferlm.seeding import derive

__all__ = ["Training", "seeded"]


@dataclass(frozen=True)
class Training:
    """How a module is trained on an objective; the arguments of `neural/loop.py` that an objective decides.

    Attributes:
        objective: Batches and their loss.
        settings: How to train.
        penalty: Added to every step's loss, or None.
        pull: Adds a penalty's gradient to the gradients of the weights, or None (`neural/loop.py`).
        pace: A batch's factor on the learning rate, or None for 1.
        groups: What is trained; None is all that requires gradients.
        description: What the progress line says.
    """

    objective: Objective
    settings: Settings
    penalty: Callable[[], torch.Tensor] | None = None
    pull: Callable[[Sequence[torch.Tensor]], None] | None = None
    pace: Callable[[Any], float] | None = None
    groups: Sequence[Group] | None = None
    description: str = "pretraining"

    def run(self, seed: int, checkpoints: Path | None, key: str, judge: Objective | None = None) -> History:
        """Train, and leave the best weights (without a judge the last ones) in the module.

        Of several processes each has its share of every batch, and dropout of its own. The caller's randomness is left
        as it was.

        Args:
            seed: Decides dropout.
            checkpoints: Folder for the state of the training and its log; None keeps none.
            key: Hash of everything that decides how the training goes.
            judge: Held-out text that chooses the best weights.
        """
        objective, together = self.objective, processes()
        if together.count > 1:
            objective.share(together.process, together.count)
        own = derive(seed, "dropout", together.process) if together.process else derive(seed, "dropout")
        with seeded(next(objective.module.parameters()).device, own):
            return fit(
                objective.module,
                objective.batches,
                objective.loss,
                self.settings,
                groups=self.groups,
                penalty=self.penalty,
                pull=self.pull,
                evaluate=None if judge is None else judge.mean_loss,
                checkpoint=None if checkpoints is None else Checkpoint(checkpoints, key, carried=objective),
                tokens=objective.tokens,
                pace=self.pace,
                shared=True,
                description=self.description,
            )

    def tried(
        self, seed: int, steps: int = 100, lowest: float | None = None, highest: float | None = None
    ) -> LearningRates:
        """The loss at rising learning rates (`neural/learning_rate_finder.py`); the module is left as it was.

        Args:
            seed: Decides dropout.
            steps: Most mini-batches, one a rate.
            lowest: The first rate; None is one that suits the optimizer, as for the last one.
            highest: The last one.
        """
        objective, rates = self.objective, Range.of(self.settings, steps, lowest, highest)
        with seeded(next(objective.module.parameters()).device, derive(seed, "dropout")):
            return range_test(
                objective.module,
                objective.batches,
                objective.loss,
                self.settings,
                rates,
                groups=self.groups,
                penalty=self.penalty,
                tokens=objective.tokens,
                pace=self.pace,
            )


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Within the block torch draws from this seed; after it, as if nothing had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
