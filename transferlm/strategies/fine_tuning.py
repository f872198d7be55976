"""Train every layer of the model together with a new head."""

from __future__ import annotations

from dataclasses import dataclass

from transferlm.strategies._training import Tuned

__all__ = ["FineTuning"]


@dataclass(frozen=True)
class FineTuning(Tuned):
    """All layers and a linear head trained by AdamW with warm-up and decay (Devlin et al. 2019; Mosbach et al. 2021).

    The weights with the lowest loss on a held-out part are kept.
    """
