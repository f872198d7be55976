"""Train every layer of the model together with a new head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from transferlm.models.base import Encoder, GradientTrained, Model
from transferlm.strategies._settings import TrainingSettings
from transferlm.strategies._training import ANY_OUTPUT, trained
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["FineTuning"]


@dataclass(frozen=True)
class FineTuning(TrainingSettings, Strategy):
    """All layers and a linear head trained by AdamW with warm-up and decay (Devlin et al. 2019; Mosbach et al. 2021).

    The weights with the lowest loss on a held-out part are kept.
    """

    requires: ClassVar[tuple[type, ...]] = (Encoder, GradientTrained)
    learns: ClassVar[frozenset[str]] = ANY_OUTPUT
    frozen: ClassVar[bool] = False

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:
        """Train a copy of the model; its embedding table moves only in the rows that the examples use."""
        return trained(self, model, model.copy(), examples, seed, checkpoints)
