"""Train further, then go back part of the way to the old weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from transferlm.errors import SettingError
from transferlm.models.base import SelfSupervised
from transferlm.progress import track
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import Course, FurtherTraining

__all__ = ["WeightInterpolation"]

_SHARE, _MOST = 0.1, 500
"""Texts of either kind that the path is searched on: a tenth, and no more than some hundreds."""


@dataclass(frozen=True)
class WeightInterpolation(FurtherTraining):
    """The model's own loss, then the best weights between old and new (WiSE-FT, Wortsman et al. 2022, eq. 1).

    The straight path from the old weights to the new ones is searched on texts of both kinds that were not trained on:
    for the least sum of the two losses, or for the least loss on the new text of all places where the old text's has
    risen by no more than `tolerance`.
    """

    tolerance: float | None = None
    """Largest relative rise of the old text's loss; none weighs old and new text alike."""
    places: int = 11
    """Places on the path that are tried, old and new weights among them."""

    uses_old: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.places < 3:
            raise SettingError(f"places {self.places}: give 3 or more")
        if self.tolerance is not None and not (self.tolerance >= 0 and math.isfinite(self.tolerance)):
            raise SettingError(f"tolerance {self.tolerance}: give 0 or more, or none; 0.02 is 2%")

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:
        """The model's own loss on most of the new text."""
        if old is None:
            raise SettingError("weight_interpolation looks for weights that suit old text too: give some")
        if new.survey().texts < 2:
            raise SettingError(
                f"{new.name}: weight_interpolation keeps texts aside to search the path on: give several"
            )
        train, held = _aside(new, seed)
        course = super().course(model, train, old, seed)
        _, past = _aside(old, seed)
        judges = [model.objective(part, derive(seed, "path"), self.batch_size).mean_loss for part in (past, held)]
        home = [parameter.detach().clone() for parameter in course.objective.module.parameters()]
        course.decisive = (old.hash,)
        course.finish = lambda: self._settle(list(course.objective.module.parameters()), home, judges)
        return course

    @torch.no_grad()
    def _settle(
        self,
        parameters: Sequence[torch.nn.Parameter],
        home: Sequence[torch.Tensor],
        judges: Sequence[Callable[[], float]],
    ) -> Lineage:
        """Take the best place on the path."""
        moved = [parameter.detach().clone() for parameter in parameters]
        shares = np.linspace(0, 1, self.places)
        losses = []
        for share in track(shares.tolist(), "searching between old and new weights", unit="places"):
            _place(parameters, home, moved, share)
            losses.append([judge() for judge in judges])
        best = self._best(np.array(losses))
        _place(parameters, home, moved, float(shares[best]))
        return Lineage(scores={"share of the new weights": float(shares[best])})

    def _best(self, losses: np.ndarray) -> int:
        """The number of the best place, by losses of old and new text: float64 of shape (places, 2)."""
        if self.tolerance is None:
            return int(losses.sum(axis=1).argmin())
        allowed = losses[:, 0] <= losses[0, 0] * (1 + self.tolerance)
        return int(np.where(allowed, losses[:, 1], np.inf).argmin())


def _place(
    parameters: Sequence[torch.nn.Parameter],
    home: Sequence[torch.Tensor],
    moved: Sequence[torch.Tensor],
    share: float,
) -> None:
    """Put the weights at a share of the way."""
    for parameter, was, now in zip(parameters, home, moved, strict=True):
        parameter.copy_(torch.lerp(was, now, share))


def _aside(corpus: Corpus, seed: int) -> tuple[Corpus, Corpus]:
    """The texts to train on, and those kept aside."""
    texts = corpus.survey().texts
    return corpus.held_out(min(_SHARE, _MOST / texts), derive(seed, "path")) if texts > 1 else (corpus, corpus)
