"""Train the head first, then one more layer an epoch from the top down, lower layers at lower rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from transferlm.errors import SettingError
from transferlm.neural.loop import Group
from transferlm.strategies._training import Tuned, Tuning

__all__ = ["GradualUnfreezing"]


@dataclass(frozen=True)
class GradualUnfreezing(Tuned):
    """Layers thawed one by one from the top, each at a lower rate than the one above (ULMFiT, Howard & Ruder 2018).

    In the first epoch the head alone is trained, in each of the next one layer more, the embeddings last. The head's
    rate is `learning_rate`, that of each layer below 1 / `rate_decay` of the one above it (section 3.3), and all follow
    one slanted triangle over the whole training (eq. 3): with 100 steps and a `warmup` of 0.1 the factor on them is
    0.031 at step 0, 0.516 at 5, 1 at 10, 0.516 at 55 and 0.042 at 99. At 2.6 a model of two layers has the rates

    >>> [round(0.01 / 2.6**below, 5) for below in range(4)]  # head, upper and lower layer, embeddings
    [0.01, 0.00385, 0.00148, 0.00057]

    Frozen layers read as in prediction, nothing dropped, so their states are computed once a text, and an epoch passes
    through nothing but the layers that move: six epochs over six layers are the work of three of fine-tuning.
    """

    learning_rate: float = 1e-3
    """Peak step size of the head; layers have theirs from it."""
    epochs: int = 6
    """Passes over the examples; each thaws a layer until all move."""
    schedule: Literal["slanted_triangular", "linear", "cosine", "constant"] = "slanted_triangular"  # type: ignore[assignment]
    """How the learning rate rises and falls."""
    rate_decay: float = 2.6
    """By how much a layer's rate is lower than that of the layer above; 1 gives all the same."""
    layers_an_epoch: int = 1
    """Layers thawed at the start of every epoch after the first."""
    frozen_memory: float = 2.0
    """GiB that the states of frozen layers may take; what finds no room is computed anew in each epoch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.rate_decay >= 1 and math.isfinite(self.rate_decay)):
            raise SettingError(f"rate_decay {self.rate_decay}: give a number of 1 or more")
        if self.layers_an_epoch < 1:
            raise SettingError(f"layers_an_epoch {self.layers_an_epoch}: give 1 or more")
        if not 0 <= self.frozen_memory < math.inf:
            raise SettingError(f"frozen_memory {self.frozen_memory}: give GiB, 0 or more")

    def tune(self, tuning: Tuning) -> None:
        """Train with fewer groups of layers frozen in each epoch."""
        count = len(tuning.layers)
        groups = [Group(layer, self.rate_decay ** (place - count)) for place, layer in enumerate(tuning.layers)]
        tuning.fit(
            [*groups, Group(list(tuning.head.parameters()))],
            frozen=lambda epoch: max(0, count - epoch * self.layers_an_epoch),
            memory=self.frozen_memory,
        )
