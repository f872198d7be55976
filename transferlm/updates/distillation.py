"""Train further, with the old model's predictions on the new text as a second teacher."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from transferlm.errors import SettingError
from transferlm.models.base import Model, Objective, SelfSupervised
from transferlm.neural.distillation import distilled
from transferlm.seeding import derive
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import Course, FurtherTraining
from transferlm.updates._pair import Pair

__all__ = ["Distillation"]


@dataclass(frozen=True)
class Distillation(FurtherTraining):
    """Learning without forgetting (Li & Hoiem 2016): what the old model predicts for the new text is learnt as well.

    The loss is (1 - share) of the tokens' own and a share of the divergence from the old model's distributions. It
    needs no old text, and a second forward pass a step.
    """

    share: float = 0.5
    """Weight of the old model's predictions beside the tokens themselves, 0 to below 1."""
    temperature: float = 2.0
    """Softens both distributions (Hinton, Vinyals & Dean 2015): 2, the paper's, lets the improbable count more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share < 1:
            raise SettingError(f"share {self.share}: give a number from 0 up to, not including, 1")
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise SettingError(f"temperature {self.temperature}: give a number above 0")

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:
        """The model's own loss beside the divergence from a copy of the model as it was."""
        course = super().course(model, new, old, seed)
        assert isinstance(model, Model)
        teacher: Any = model.copy()
        taught = teacher.objective(new, derive(seed, "body"), self.batch_size)
        taught.module.eval().requires_grad_(False)
        course.objective = _Taught(course.objective, taught, self.share, self.temperature)
        return course


class _Taught(Pair):
    """An objective and a teacher that reads the same batches."""

    def __init__(self, own: Objective, teacher: Objective, share: float, temperature: float) -> None:
        super().__init__(own, teacher)
        self.weight, self.temperature = share, temperature

    def loss(self, batch: Any) -> torch.Tensor:
        with torch.no_grad():
            taught = self.other.readout(batch)
        given = self.own.readout(batch)
        return (1 - self.weight) * given.mean() + self.weight * distilled(given, taught, self.temperature)
