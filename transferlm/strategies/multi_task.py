"""Train one body on several tasks at once, with a head for each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from transferlm import catalog
from transferlm.errors import SettingError
from transferlm.labelled.trial import RowBatch, Trial
from transferlm.models.base import GradientTrained, Model, digest
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.embedding import only_rows
from transferlm.neural.loop import Group, fit
from transferlm.neural.task_mixing import batches_of_each, mixed, mixing_rates
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.strategies._training import Tuned, Tuning
from transferlm.task_models import TaskModels
from transferlm.tasks.base import Examples

__all__ = ["MultiTask"]


@dataclass(frozen=True)
class MultiTask(Tuned):
    """One body with a head a task, all trained together on batches of one task each (Caruana 1997; Liu et al. 2019).

    A task of n examples has a share of the batches proportional to min(n, limit)^(1 / temperature) (Raffel et al. 2020,
    section 3.5.2). The weights with the lowest geometric mean of the tasks' held-out losses are kept: losses of one
    task may be ten times another's, and so the same relative gain counts alike in each. With one task it is
    fine-tuning.
    """

    temperature: float = 2.0
    """How far small tasks are trained on more often than their size says: 1 not at all, at high values all alike."""
    limit: int = 65536
    """Examples from which a task counts as no larger."""

    several: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.temperature >= 1 and math.isfinite(self.temperature)):
            raise SettingError(f"temperature {self.temperature}: give a number from 1 up")
        if self.limit < 1:
            raise SettingError(f"limit {self.limit}: give 1 or more")

    def learn_several(
        self, model: Model, sets: Mapping[str, Examples], seed: int, checkpoints: Path | None = None
    ) -> TaskModels:
        """Train a copy of the model; its embedding table moves only in the rows that the examples use."""
        body = model.copy()
        assert isinstance(body, GradientTrained)
        tunings = {
            name: Tuning(self, model, body, examples, derive(seed, "task", name)) for name, examples in sets.items()
        }
        mixture = _Mixture(self, body, list(tunings.values()), seed)
        mixture.fit(checkpoints, digest(*(part for name, tuning in tunings.items() for part in (name, tuning.key))))
        scores = {
            f"{name} {what}": value
            for name, found in zip(tunings, mixture.scores, strict=True)
            for what, value in found.items()
        }
        notes = [
            f"of {len(mixture.counts)} tasks, batches an epoch: "
            + ", ".join(f"{name} {count}" for name, count in zip(tunings, mixture.counts, strict=True))
        ]
        made = {name: tuning.made() for name, tuning in tunings.items()}
        notes += [f"{name}: {note}" for name, one in made.items() for note in one.lineage.notes]
        return TaskModels(made, Lineage(scores=scores, notes=notes))


class _Mixture:
    """Several tasks' rows as one training: batches of each in random order.

    Args:
        strategy: Its hyper-parameters.
        body: Trained in place.
        tunings: Each task's rows, held-out part and head.
        seed: Decides the order.

    Attributes:
        counts: Batches an epoch of each task.
        scores: What is to be told of each task once it is trained.
    """

    def __init__(self, strategy: MultiTask, body: GradientTrained, tunings: list[Tuning], seed: int) -> None:
        self.strategy, self.body, self.tunings, self.seed = strategy, body, tunings, seed
        self.rows = sum(len(tuning.train) for tuning in tunings)
        rates = mixing_rates([len(tuning.train) for tuning in tunings], strategy.temperature, strategy.limit)
        self.counts = batches_of_each(rates, -(-self.rows // strategy.batch_size))
        self.scores: list[dict[str, float]] = []
        self._trials: list[Trial] = []
        self._passes: dict[tuple[int, int], list[RowBatch]] = {}

    def fit(self, checkpoints: Path | None, key: str) -> None:
        """Train body and heads, and leave the weights that are best on the held-out parts."""
        ids = [row for tuning in self.tunings for row in tuning.rows.ids]
        modules = nn.ModuleList([self.body.module, *(tuning.head for tuning in self.tunings)])
        held = any(len(tuning.held) for tuning in self.tunings)
        with only_rows(self.body.embedding, [np.array([self.body.pad_id]), *ids]) as renamed:
            self._trials = [
                Trial(self.body, tuning.head, tuning.rows, renamed, self.strategy.precision) for tuning in self.tunings
            ]
            torch.manual_seed(derive(self.seed, "dropout"))
            layers = [p for layer in self._trials[0].layers for p in layer]
            fit(
                modules,
                self._batches,
                lambda batch: self._trials[batch[0]].loss(batch[1]),
                self.strategy.settings(self.rows),
                groups=[Group(layers + [p for tuning in self.tunings for p in tuning.head.parameters()])],
                evaluate=self._evaluate if held else None,
                checkpoint=None if checkpoints is None else Checkpoint(checkpoints, key),
                description=catalog.name_of(self.strategy).replace("_", "-"),
            )
            self.scores = self._measured(modules)

    def _batches(self, epoch: int) -> list[tuple[int, RowBatch]]:
        return [(task, self._batch(task, number)) for task, number in mixed(self.counts, self.seed, epoch)]

    def _batch(self, task: int, number: int) -> RowBatch:
        """A task's batch by its number; a task that has shown all its rows begins anew in another order."""
        tuning, size = self.tunings[task], self.strategy.batch_size
        done, place = divmod(number, -(-len(tuning.train) // size))
        if (task, done) not in self._passes:
            self._passes = {at: batches for at, batches in self._passes.items() if at[0] != task}
            seed = derive(tuning.seed, "order", done)
            self._passes[task, done] = self._trials[task].batches(tuning.train, size, seed)
        return self._passes[task, done][place]

    def _evaluate(self) -> float:
        """The geometric mean of the losses on the tasks' held-out parts."""
        losses = [
            trial.mean_loss(tuning.rows.of(tuning.held))
            for trial, tuning in zip(self._trials, self.tunings, strict=True)
            if len(tuning.held)
        ]
        return math.exp(sum(math.log(max(loss, 1e-12)) for loss in losses) / len(losses))

    def _measured(self, modules: nn.Module) -> list[dict[str, float]]:
        """What is to be told of each task with the weights kept."""
        modules.eval()
        with torch.no_grad():
            return [
                {
                    **({"held_out_loss": trial.mean_loss(tuning.rows.of(tuning.held))} if len(tuning.held) else {}),
                    **tuning.scores(),
                }
                for trial, tuning in zip(self._trials, self.tunings, strict=True)
            ]
