"""Averages of the weights along their way (Polyak & Juditsky 1992), from the start or once progress stalls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from transferlm.neural.settings import Settings

__all__ = ["Averages", "stalled"]


class Averages:
    """The mean of the weights after each step, from the first step (`averaged_sgd`) or from when evaluations stall.

    Stochastic gradient descent at a constant rate circles around a minimum; the mean of its way lies nearer to it.
    `nt_averaged_sgd` begins when an evaluation is worse than the best of those before the last `non_monotone`, with the
    weights that were evaluated (Merity, Keskar & Socher 2018, algorithm 1, where the sum runs from w_T; in their code
    from w_{T+1}).

    Args:
        parameters: What is averaged.
        settings: Say whether and when.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], settings: Settings) -> None:
        self.parameters, self.settings = parameters, settings
        self.count = 0
        self.means: list[torch.Tensor] | None = None
        if settings.optimizer == "averaged_sgd":
            self.means = [torch.zeros_like(p) for p in parameters]

    def add(self) -> None:
        """Take the weights of one step more."""
        if self.means is None:
            return
        self.count += 1
        torch._foreach_lerp_(self.means, [p.detach() for p in self.parameters], 1 / self.count)

    def judge(self, evaluations: Sequence[float]) -> None:
        """Begin if it is time to."""
        waits = self.settings.optimizer == "nt_averaged_sgd" and self.means is None
        if waits and stalled(evaluations, self.settings.non_monotone):
            self.means, self.count = [p.detach().clone() for p in self.parameters], 1

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within the block the weights are their averages, once there are any."""
        if not self.count:
            yield
            return
        own = [p.detach().clone() for p in self.parameters]
        self.settle()
        try:
            yield
        finally:
            _copy(self.parameters, own)

    def settle(self) -> None:
        """Put the averages in the weights' place for good, once there are any."""
        if self.means is not None and self.count:
            _copy(self.parameters, self.means)

    def resume(self, means: list[torch.Tensor] | None, count: int) -> None:
        """Go on from a saved state."""
        self.means, self.count = means, count


def stalled(evaluations: Sequence[float], patience: int) -> bool:
    """Whether the last evaluation is worse than the best of those that lie more than `patience` before it.

    >>> [stalled([5.0, 4.0, 3.0, 3.5, 3.2][:count], patience=1) for count in range(1, 6)]
    [False, False, False, False, True]
    """
    before = evaluations[: -1 - patience]
    return bool(before) and evaluations[-1] > min(before)


@torch.no_grad()
def _copy(to: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
    for parameter, value in zip(to, values, strict=True):
        parameter.copy_(value)
