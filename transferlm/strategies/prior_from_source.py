"""Train every layer, each weight held near to the source's as firmly as the source is sure of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from transferlm.errors import ModelFolderError, SettingError, UnsupportedError
from transferlm.models._gradient_trained import weights_digest
from transferlm.models.base import Kept, Model, digest
from transferlm.neural.anchor import Anchor
from transferlm.neural.loop import Group
from transferlm.strategies._training import Tuned, Tuning

__all__ = ["PriorFromSource"]

_KEPT = ("posterior", "information")
"""What updates leave with a model: online Bayes its posterior's precision, elastic weight consolidation its Fisher
information."""


@dataclass(frozen=True)
class PriorFromSource(Tuned):
    """Fine-tuning under a normal prior around the source's weights: strength / 2 sum_i p_i (theta_i - theta_s,i)^2.

    p_i is the precision of weight i, scaled to a mean of 1 over the body: that of the posterior which `online_bayes`
    left with the model, or the information that `elastic_weight_consolidation` left (Shwartz-Ziv et al. 2022; Chelba &
    Acero 2004, eq. 8, for a maximum entropy model); where nothing was left all are 1 (L2-SP, Li et al. 2018, eq. 2).
    The head has no source and is free.
    """

    strength: float = 0.1
    """Weight of the penalty beside the mean loss of a text (a token, where there is one label each)."""
    prior: Literal["auto", "posterior", "information", "identity"] = "auto"
    """Where precisions come from: what was left with the model, or 1 for each; `auto` takes the first that is there."""
    weight_decay: float = 0.0
    """Shrinkage towards zero; the prior takes its place."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.strength >= 0 and math.isfinite(self.strength)):
            raise SettingError(f"strength {self.strength}: give a number of 0 or more")
        if self.prior not in ("auto", *_KEPT, "identity"):
            raise SettingError(f"prior {self.prior!r}: choose auto, {', '.join(_KEPT)} or identity")

    def tune(self, tuning: Tuning) -> None:
        """Train with each weight pulled back."""
        name, kept = self._kept(tuning.source)
        named = tuning.named_layers()
        weights = [parameter for _, parameter in named]
        stiffness: float | list[torch.Tensor] = self.strength
        if kept is not None:
            stiffness = [self.strength * precision for precision in _precisions(tuning, name, kept.arrays)]
            tuning.key = digest(tuning.key, kept.hash)
        tuning.notes += [f"prior: {name}", *_moved(tuning.source, name, kept)]
        anchor = Anchor(weights, stiffness)
        tuning.fit(
            [Group([*weights, *tuning.head.parameters()])],
            pull=lambda parameters: anchor.pull(parameters[: len(weights)]),
        )

    def _kept(self, source: Model) -> tuple[str, Kept | None]:
        """What the precisions come from, by name."""
        wanted = _KEPT if self.prior == "auto" else [self.prior]
        for name in wanted:
            if name in source.kept:
                return name, source.kept[name]
        if self.prior in ("auto", "identity"):
            return "identity", None
        made_by = {"posterior": "online_bayes", "information": "elastic_weight_consolidation"}[self.prior]
        raise UnsupportedError(f"no {self.prior} lies with this {source.family}: update it with {made_by} first")


def _moved(source: Any, name: str, kept: Kept | None) -> list[str]:
    """A note where what lies with the source was not measured at the weights that it has now."""
    if kept is None or kept.facts.get("weights") == weights_digest(source.module):
        return []
    return [f"{name}, kept with the model, was measured before another method moved the weights"]


def _precisions(tuning: Tuning, name: str, arrays: Mapping[str, np.ndarray]) -> list[torch.Tensor]:
    """One tensor a weight of the layers, of its shape, their mean 1 over the whole body.

    Raises:
        ModelFolderError: What lies with the model does not fit its weights.
    """
    found: list[np.ndarray] = []
    total, count = 0.0, 0
    for own, parameter in tuning.named_layers():
        # A masked model's objective is a list of body and head: what it left is named accordingly.
        array = arrays.get(own, arrays.get(f"0.{own}"))
        table = parameter is tuning.body.embedding.weight  # it holds the rows in use
        shape = (tuning.vocabulary, *parameter.shape[1:]) if table else tuple(parameter.shape)
        if array is None or array.shape != shape or not np.all(array >= 0):
            raise ModelFolderError(f"{name}, kept with the model, does not fit its weight {own}: copy it again")
        total, count = total + float(array.sum(dtype=np.float64)), count + array.size
        found.append(np.array(array[tuning.used] if table else array))
    if not total > 0:
        raise ModelFolderError(f"{name}, kept with the model, is zero throughout: update it again")
    scaled = [np.asarray(array * np.float32(count / total)) for array in found]
    return [
        torch.from_numpy(array).to(parameter.device)
        for array, (_, parameter) in zip(scaled, tuning.named_layers(), strict=True)
    ]
