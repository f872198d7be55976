"""Train further, with the weights held near to where they were."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transferlm.errors import SettingError
from transferlm.models.base import SelfSupervised
from transferlm.neural.anchor import Anchor
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import Course, FurtherTraining

__all__ = ["DistanceToStart"]


@dataclass(frozen=True)
class DistanceToStart(FurtherTraining):
    """The model's own loss, and half the squared distance to the old weights (L2-SP, Li et al. 2018, eq. 2).

    It needs no old text. Every weight is held alike, whether the old text depends on it or not.
    """

    strength: float = 0.01
    """Weight of the penalty beside the mean loss of a token; 0 holds nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.strength >= 0 and math.isfinite(self.strength)):
            raise SettingError(f"strength {self.strength}: give a number of 0 or more")

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:
        """The model's own loss, pulled back."""
        course = super().course(model, new, old, seed)
        course.pull = Anchor(list(course.objective.module.parameters()), float(self.strength)).pull
        return course
