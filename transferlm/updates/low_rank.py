"""Train further by low-rank adapters, which are merged into the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transferlm.errors import SettingError
from transferlm.models._added import Added
from transferlm.models._training import seeded
from transferlm.models.base import Model, SelfSupervised
from transferlm.neural.adapters import Adapters
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import FurtherTraining
from transferlm.updates.base import at_least

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LowRank"]


@dataclass(frozen=True)
class LowRank(FurtherTraining):
    """The model's own loss, each matrix of its layers moving by a product of two thin ones (LoRA, Hu et al. 2022).

    All else stands still: embeddings, biases, norms, the output (of a task model its head). It learns less and forgets
    less than all weights do (Biderman et al. 2024), and what it added can be kept apart, small, so that the update can
    be taken off again.
    """

    rank: int = 8
    """Rank of what is added to a matrix."""
    alpha: float = 16.0
    """Weight of the added product, over `rank`: twice the rank is the field's habit."""
    keep: bool = False
    """Whether what was added is kept with the model as well, so that `without_adapters` can take it off."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, rank=self.rank)
        if not (self.alpha > 0 and math.isfinite(self.alpha)):
            raise SettingError(f"alpha {self.alpha}: give a number above 0")

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:
        """Attach adapters, train them alone, merge them."""
        assert isinstance(model, SelfSupervised)
        assert isinstance(model, Model)
        module, earlier = model.module, Added.held(model)
        matrices = [p for group in model.layer_groups()[1:] for p in group if p.ndim == 2]
        with seeded(matrices[0].device, derive(seed, "adapters")):
            adapters = Adapters(module, matrices, self.rank, self.alpha)
        learnt = super().learn(model, new, old, seed, checkpoints)
        factors = adapters.merge()
        module.eval()
        learnt.scores["adapter numbers"] = float(sum(part.numel() for pair in factors.values() for part in pair))
        if self.keep:
            (earlier or Added({})).joined(factors).lay_with(model)
        return learnt

    def moving(self, module: nn.Module) -> list[nn.Parameter]:
        """The adapters alone, whatever else there is above them: a head that predicts tokens, say."""
        return [parameter for name, parameter in module.named_parameters() if ".lora_" in name]

    def default_rate(self, own: float) -> float:
        """Ten times that of all weights, which suits adapters of whatever rank (Schulman et al. 2025)."""
        return 10 * own
