"""Gradients of a few rows of a large table (sparse ones): their norm, and steps that move those rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["RowAdamW", "RowSGD", "clip_gradients", "looked_up_sparsely"]


@contextmanager
def looked_up_sparsely(embedding: nn.Embedding) -> Iterator[None]:
    """Rows that the table gives within the block send back sparse gradients."""
    before, embedding.sparse = embedding.sparse, True
    try:
        yield
    finally:
        embedding.sparse = before


def clip_gradients(parameters: Iterable[nn.Parameter], largest: float) -> None:
    """`nn.utils.clip_grad_norm_` for gradients of which some are sparse: scaled so that all together have that norm."""
    values = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            values.append(parameter.grad._values())
        else:
            values.append(parameter.grad)
    norm = nn.utils.get_total_norm(values)
    torch._foreach_mul_(values, (largest / (norm + 1e-6)).clamp(max=1.0))


class RowAdamW(torch.optim.AdamW):
    """AdamW whose sparse gradients move their own rows only.

    Where all rows are touched it is AdamW. A row that a step doesn't touch keeps weights and averages as they are, as
    in `torch.optim.SparseAdam`, and isn't shrunk either; with a large vocabulary moving them all would take most of a
    step's time.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step."""
        _by_rows(self, self._move)
        loss: float | None = super().step(closure)
        return loss

    def _move(self, group: dict[str, Any], weight: nn.Parameter, rows: torch.Tensor, gradient: torch.Tensor) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        steps, (first, second) = float(state["step"]), group["betas"]
        mean = state["exp_avg"][rows].lerp_(gradient, 1 - first)
        square = state["exp_avg_sq"][rows].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        scale = square.sqrt_().div_((1 - second**steps) ** 0.5).add_(group["eps"])
        moved = weight[rows].mul_(1 - group["lr"] * group["weight_decay"])
        weight[rows] = moved.addcdiv_(mean, scale, value=-group["lr"] / (1 - first**steps))


class RowSGD(torch.optim.SGD):
    """Stochastic gradient descent without momentum whose sparse gradients move (and shrink) their own rows only."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step."""
        _by_rows(self, self._move)
        loss: float | None = super().step(closure)
        return loss

    def _move(self, group: dict[str, Any], weight: nn.Parameter, rows: torch.Tensor, gradient: torch.Tensor) -> None:
        values = weight[rows]
        weight[rows] = values - group["lr"] * (gradient + group["weight_decay"] * values)


def _by_rows(
    optimizer: torch.optim.Optimizer,
    move: Callable[[dict[str, Any], nn.Parameter, torch.Tensor, torch.Tensor], None],
) -> None:
    """Move what has a sparse gradient, and take that gradient away: the dense step passes it over."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and parameter.grad.is_sparse:
                gradient = parameter.grad.coalesce()
                move(group, parameter, gradient._indices()[0], gradient._values())
                parameter.grad = None
