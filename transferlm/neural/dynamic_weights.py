"""Weights that follow the text they read, drawn back to where training left them (dynamic evaluation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

__all__ = ["DynamicWeights", "mean_squares"]

_FLOOR = 1e-3
"""What keeps a gradient that was all but nothing from being divided by it: Krause et al.'s published code."""


class DynamicWeights:
    """Gradient steps on a text as it is read, each followed by a step towards the trained weights.

    Stochastic gradient descent (Krause et al. 2018, eq. 5): w <- w - rate g + decay (w0 - w). With mean squares m of
    the gradients, each weight has its own rate and decay (eqs. 6 to 8): w <- w - rate g / (sqrt m + 0.001)
    + decay r (w0 - w), where r is sqrt m over its mean, and at most 1 / decay.

    Args:
        parameters: What moves.
        trained: The weights that they are drawn back to, unchanged by the steps.
        rate: Step size.
        decay: Share of the way back a step, 0 to 1.
        squares: Mean squared gradients as `mean_squares` gives them, or None for plain descent.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        trained: Iterable[torch.Tensor],
        rate: float,
        decay: float,
        squares: Sequence[torch.Tensor] | None = None,
    ) -> None:
        self.parameters = list(parameters)
        self.trained = [tensor.detach() for tensor in trained]
        self.rate, self.decay = rate, decay
        self._scales: list[torch.Tensor] | None = None
        self._pulls: list[torch.Tensor] | None = None
        if squares is not None:
            roots = [square.sqrt() for square in squares]
            mean = sum(float(root.sum()) for root in roots) / sum(root.numel() for root in roots) or 1.0
            self._scales = [1 / (root + _FLOOR) for root in roots]
            self._pulls = [(decay * root / mean).clamp_(max=1.0) for root in roots]

    @torch.no_grad()
    def step(self) -> None:
        """Move by the gradients that the parameters hold, and forget those."""
        for place, (parameter, home) in enumerate(zip(self.parameters, self.trained, strict=True)):
            # Both steps set out from where the weights stand now; an expert that was not asked is drawn back alone.
            change = (home - parameter).mul_(self.decay if self._pulls is None else self._pulls[place])
            if parameter.grad is not None:
                scaled = parameter.grad if self._scales is None else parameter.grad.mul_(self._scales[place])
                change.add_(scaled, alpha=-self.rate)
            parameter.add_(change)
            parameter.grad = None

    def restore(self) -> None:
        """Put the trained weights back."""
        with torch.no_grad():
            for parameter, home in zip(self.parameters, self.trained, strict=True):
                parameter.copy_(home)


def mean_squares(
    parameters: Sequence[nn.Parameter], losses: Iterable[Callable[[], torch.Tensor]]
) -> list[torch.Tensor]:
    """Mean squared gradients over steps of a text; the weights stay where they are.

    Args:
        parameters: Whose gradients.
        losses: Each gives one step's loss.
    """
    squares, count = [torch.zeros_like(p) for p in parameters], 0
    for loss in losses:
        loss().backward()  # type: ignore[no-untyped-call]
        for square, parameter in zip(squares, parameters, strict=True):
            if parameter.grad is not None:
                square.addcmul_(parameter.grad, parameter.grad)
                parameter.grad = None
        count += 1
    return [square / max(1, count) for square in squares]
