"""A spring from weights to where they were: each pulled back in proportion to its distance and its stiffness."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["Anchor"]


class Anchor:
    """The quadratic penalty sum_i stiffness_i / 2 (theta_i - home_i)^2, as a gradient on the weights themselves.

    A quadratic's gradient needs no automatic differentiation: one fused pass adds it to what the loss left. That leaves
    the weights free to be lent in bfloat16 meanwhile, while distances are taken between fp32 masters.

    Args:
        home: Where each weight is pulled to; shapes are those of the parameters.
        stiffness: One number for all, or one tensor a parameter.
    """

    def __init__(self, home: Sequence[torch.Tensor], stiffness: float | Sequence[torch.Tensor]) -> None:
        self.home = [tensor.detach().clone() for tensor in home]
        self.stiffness = stiffness

    @torch.no_grad()
    def pull(self, parameters: Sequence[torch.Tensor]) -> None:
        """Add the penalty's gradient to the parameters' own; those without one have nothing to learn and stay."""
        for place, (parameter, home) in enumerate(zip(parameters, self.home, strict=True)):
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse:  # rows that the loss doesn't touch are pulled too
                parameter.grad = parameter.grad.to_dense()
            if isinstance(self.stiffness, float):
                parameter.grad.add_(parameter - home, alpha=self.stiffness)
            else:
                parameter.grad.addcmul_(parameter - home, self.stiffness[place])

    @torch.no_grad()
    def draw_back(self, parameters: Sequence[torch.Tensor], rate: float) -> None:
        """Take the penalty's own step of this size, after that of the loss: exact, so that no stiffness is too large.

        The step is that of the implicit method (the proximal one): theta becomes (theta + rate stiffness home) / (1 +
        rate stiffness). Added to the gradient of an optimizer that divides by the gradient's size, as `pull` does under
        AdamW, a stiffness would cancel out where it is large; as with weight decay (Loshchilov & Hutter 2019) the two
        are told apart.
        """
        for place, (parameter, home) in enumerate(zip(parameters, self.home, strict=True)):
            if isinstance(self.stiffness, float):
                parameter.lerp_(home, rate * self.stiffness / (1 + rate * self.stiffness))
            else:
                firm = self.stiffness[place] * rate
                parameter.lerp_(home, firm / (1 + firm))
