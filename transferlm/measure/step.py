"""The way from a model to what an update made of it, and the models that lie on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from transferlm.errors import SettingError
from transferlm.models.base import CountBased, GradientTrained, Model

if TYPE_CHECKING:
    import torch

__all__ = ["Step", "step_between"]


class Step(ABC):
    """An update seen as one step, of which a share can be taken."""

    def at(self, share: float) -> Model:
        """A model of its own at a share of the way.

        Args:
            share: Above 0, and 1 at the most: the updated model itself.

        Raises:
            SettingError: It is out of that range.
        """
        if not 0 < share <= 1:
            raise SettingError(f"a share {share} of a step: give a number above 0 and at most 1")
        return self.after.copy() if share == 1 else self._placed(share)

    def __init__(self, after: Model) -> None:
        self.after = after

    @abstractmethod
    def _placed(self, share: float) -> Model:
        """The model at a share below 1."""


class _Weights(Step):
    """The straight line between two sets of weights (WiSE-FT, Wortsman et al. 2022, eq. 1)."""

    def __init__(self, after: Model, before: Model, weights: Sequence[torch.Tensor]) -> None:
        super().__init__(after)
        self._start, self._before = before, weights

    def _placed(self, share: float) -> Model:
        import torch

        from transferlm.models._added import Added

        made = self.after.copy()
        assert isinstance(made, GradientTrained)
        with torch.no_grad():
            for parameter, was in zip(made.module.parameters(), self._before, strict=True):
                parameter.copy_(torch.lerp(was, parameter, share))
        added = Added.held(self.after)
        if added is not None:
            added.at(share, Added.held(self._start) or Added({})).lay_with(made)
        return made


class _Counts(Step):
    """Old and new counts, each weighed: where counts were added, all the old ones and a share of those added."""

    def __init__(self, after: CountBased, before: CountBased) -> None:
        assert isinstance(after, Model)
        super().__init__(after)
        self._counts = before.counts, after.counts

    def _placed(self, share: float) -> Model:
        made = self.after.copy()
        assert isinstance(made, CountBased)
        before, after = self._counts
        made.adopt(before.scale(1 - share).merge(after.scale(share)))
        assert isinstance(made, Model)
        return made


def step_between(before: Model, after: Model) -> Step | None:
    """The step that an update took, or None where its ends have no models between them (other shapes, a mixture)."""
    if before.family != after.family:
        return None
    if isinstance(before, GradientTrained) and isinstance(after, GradientTrained):
        was, now = (dict(model.module.named_parameters()) for model in (before, after))
        if {name: p.shape for name, p in was.items()} != {name: p.shape for name, p in now.items()}:
            return None
        return _Weights(after, before, [was[name].detach() for name in now])
    if isinstance(before, CountBased) and isinstance(after, CountBased):
        return _Counts(after, before)
    return None
