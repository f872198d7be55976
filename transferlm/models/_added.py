"""What low-rank updates added to a model's weights, kept with it so that it can be taken off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from transferlm.errors import ModelFolderError, UnsupportedError
from transferlm.models._gradient_trained import weights_digest
from transferlm.models.base import GradientTrained, Kept, Model

__all__ = ["Added"]

_NAME = "adapter"
_SIDES = ("up", "down")


@dataclass(frozen=True)
class Added:
    """A product of two thin matrices for each weight that was adapted.

    Attributes:
        factors: By the weight's name in the module: fp32 of shapes (rows, rank) and (rank, columns).
    """

    factors: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, model: Model) -> Self:
        """What lies with a model; nothing where nothing does.

        Raises:
            ModelFolderError: It is not as it was written.
        """
        kept = model.kept.get(_NAME)
        arrays = {} if kept is None else kept.arrays
        names = dict.fromkeys(name.rpartition(".")[0] for name in arrays)
        try:
            return cls({name: (arrays[f"{name}.up"], arrays[f"{name}.down"]) for name in names})
        except KeyError as error:
            raise ModelFolderError(f"the adapter kept with the model lacks {error}: copy the folder again") from None

    def joined(self, others: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> Added:
        """The sum of what was added before and now: ranks add up."""
        factors = dict(self.factors)
        for name, pair in others.items():
            up, down = (part.cpu().numpy() for part in pair)
            if name in factors:
                was = factors[name]
                up, down = np.concatenate([was[0], up], axis=1), np.concatenate([was[1], down])
            factors[name] = (np.ascontiguousarray(up), np.ascontiguousarray(down))
        return Added(factors)

    def at(self, share: float, before: Added) -> Added:
        """What there was before, and a share of what was joined to it since."""
        factors = {}
        for name, (up, down) in self.factors.items():
            known = before.factors[name][0].shape[1] if name in before.factors else 0
            factors[name] = (np.concatenate([up[:, :known], up[:, known:] * np.float32(share)], axis=1), np.array(down))
        return Added(factors)

    @classmethod
    def held(cls, model: Model) -> Added | None:
        """What lies with a model and its weights still hold; None where they have moved since, or nothing lies there.

        Raises:
            ModelFolderError: As `of` does.
        """
        kept = model.kept.get(_NAME)
        if kept is None or not isinstance(model, GradientTrained):
            return None
        return cls.of(model) if kept.facts.get("weights") == weights_digest(model.module) else None

    def lay_with(self, model: Model) -> None:
        """Keep it with a model whose weights hold it, in the place of what was kept before."""
        assert isinstance(model, GradientTrained)
        arrays = {
            f"{name}.{side}": part
            for name, pair in self.factors.items()
            for side, part in zip(_SIDES, pair, strict=True)
        }
        numbers = sum(array.size for array in arrays.values())
        facts: dict[str, Any] = {"numbers": numbers, "weights": weights_digest(model.module)}
        model.kept = {**model.kept, _NAME: Kept(arrays, facts)}

    @staticmethod
    @torch.no_grad()
    def taken_off(model: Model) -> None:
        """Take it off a model's weights, in place, up to the rounding of fp32; nothing is kept any more.

        Raises:
            UnsupportedError: No adapter lies with the model, or its weights have moved since.
            ModelFolderError: The adapter does not fit the weights.
        """
        added, kept = Added.of(model), model.kept.get(_NAME)
        if kept is None or not isinstance(model, GradientTrained):
            raise UnsupportedError(
                f"no adapter is kept with this {model.family} model: update it by low_rank with keep true"
            )
        if kept.facts.get("weights") != weights_digest(model.module):
            raise UnsupportedError("the weights have moved since the adapter was added: it can't be taken off any more")
        weights = dict(model.module.named_parameters())
        for name, (up, down) in added.factors.items():
            product = torch.from_numpy(np.array(up)) @ torch.from_numpy(np.array(down))
            if name not in weights or weights[name].shape != product.shape:
                raise ModelFolderError(f"the adapter kept with the model does not fit its weight {name}: copy it again")
            weights[name].sub_(product.to(weights[name].device))
        model.kept = {name: thing for name, thing in model.kept.items() if name != _NAME}
