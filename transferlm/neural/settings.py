"""How to train, whatever is trained: plain values, checked before any work."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch

from transferlm.errors import SettingError
from transferlm.neural.precision import Precision, autocast
from transferlm.neural.schedules import Schedule, factor

__all__ = ["OptimizerName", "Settings"]

OptimizerName = Literal["adamw", "sgd", "averaged_sgd", "nt_averaged_sgd"]


@dataclass(frozen=True)
class Settings:
    """How to train, whatever is trained.

    Attributes:
        epochs: Passes over the data.
        learning_rate: Peak step size.
        weight_decay: Shrinkage of weight matrices; never of biases, norms and embeddings.
        warmup: Share of the steps over which the learning rate rises.
        schedule: How it falls afterwards (`neural/schedules.py`).
        clip: Largest global gradient norm, or None; 1.0 is the field's default.
        accumulate: Batches whose gradients are added before a step.
        patience: Evaluations without a better one before stopping, or None to run to the end.
        precision: See `neural/precision.py`.
        betas: Decay rates of AdamW's two averages.
        steps: Optimizer steps to take, however many epochs that is; None takes `epochs`.
        evaluate_every: Optimizer steps between evaluations; None evaluates after each epoch.
        optimizer: What moves the weights (`neural/optimizers.py`).
        non_monotone: Evaluations that the loss may stand still before `nt_averaged_sgd` begins to average.
    """

    epochs: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: Schedule = "linear"
    clip: float | None = 1.0
    accumulate: int = 1
    patience: int | None = None
    precision: Precision = "auto"
    betas: tuple[float, float] = (0.9, 0.999)
    steps: int | None = None
    evaluate_every: int | None = None
    optimizer: OptimizerName = "adamw"
    non_monotone: int = 5

    @classmethod
    def of(cls, plug_in: object, **changes: Any) -> Settings:
        """A plug-in's hyper-parameters of the same names; `changes` adds the others and replaces some."""
        own = {f.name: getattr(plug_in, f.name) for f in fields(cls) if hasattr(plug_in, f.name)}
        return cls(**{**own, **changes})

    @property
    def judged(self) -> bool:
        """Whether evaluations decide how the training goes on, so that it can't do without them."""
        return self.optimizer == "nt_averaged_sgd" or self.schedule == "reduce_on_plateau"

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "steps", "evaluate_every", "non_monotone"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"{name} {value}: give 1 or more")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise SettingError(f"learning_rate {self.learning_rate}: give a number above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise SettingError(f"weight_decay {self.weight_decay}: give 0 or more")
        if self.clip is not None and not self.clip > 0:
            raise SettingError(f"clip {self.clip}: give a number above 0")
        if self.patience is not None and self.patience < 1:
            raise SettingError(f"patience {self.patience}: give 1 or more, or none")
        if self.optimizer not in get_args(OptimizerName):
            raise SettingError(f"optimizer {self.optimizer!r}: choose {', '.join(get_args(OptimizerName))}")
        autocast(torch.device("cpu"), self.precision)
        factor(0, 1, self.schedule, self.warmup)
