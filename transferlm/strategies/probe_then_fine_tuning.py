"""Train the head on frozen states first, then every layer from that head."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from transferlm.errors import SettingError
from transferlm.neural.loop import Group
from transferlm.neural.settings import Settings
from transferlm.strategies._training import Tuned, Tuning

__all__ = ["ProbeThenFineTuning"]


@dataclass(frozen=True)
class ProbeThenFineTuning(Tuned):
    """A linear probe, then fine-tuning from its head (LP-FT, Kumar et al. 2022, section 3.4).

    A head that says nothing bends the layers below it while it learns; one that is right already leaves them nearer to
    where they were, which shows on texts unlike those trained on. The probe reads each text once: its states are kept.
    """

    probe_learning_rate: float = 1e-2
    """Peak step size of the probe's head."""
    probe_epochs: int = 20
    """Passes of the probe, more where `minimum_steps` asks for them; they cost little."""
    frozen_memory: float = 2.0
    """GiB that the probe's states may take; beyond that they are computed anew in each pass."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probe_epochs < 1:
            raise SettingError(f"probe_epochs {self.probe_epochs}: give 1 or more")
        if not (self.probe_learning_rate > 0 and math.isfinite(self.probe_learning_rate)):
            raise SettingError(f"probe_learning_rate {self.probe_learning_rate}: give a number above 0")
        if not 0 <= self.frozen_memory < math.inf:
            raise SettingError(f"frozen_memory {self.frozen_memory}: give GiB, 0 or more")

    def tune(self, tuning: Tuning) -> None:
        """The head alone, then all."""
        everything = len(tuning.layers)
        probe = [Group(list(tuning.head.parameters()))]
        tuning.fit(probe, self._probing(tuning), frozen=lambda _: everything, memory=self.frozen_memory, part="probe")
        tuning.fit()

    def _probing(self, tuning: Tuning) -> Settings:
        own = replace(self, learning_rate=self.probe_learning_rate, epochs=self.probe_epochs, weight_decay=0.0)
        return replace(tuning.settings(own), patience=None)
