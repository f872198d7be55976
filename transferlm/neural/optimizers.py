"""What moves the weights: AdamW, or stochastic gradient descent with or without averaging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from transferlm.neural.row_gradients import RowAdamW, RowSGD
from transferlm.neural.settings import Settings

__all__ = ["Group", "optimizer"]


@dataclass(frozen=True)
class Group:
    """Parameters that share a learning rate, given as a factor on the peak."""

    parameters: Sequence[nn.Parameter]
    factor: float = 1.0


def optimizer(
    module: nn.Module, groups: Sequence[Group], settings: Settings, device: torch.device
) -> torch.optim.Optimizer:
    """The settings' optimizer over the groups' parameters.

    `adamw` is that of Loshchilov & Hutter (2019). The others are stochastic gradient descent without momentum, whose
    weight decay is an L2 term in the gradient; what averaging adds is in `neural/averaging.py`. Sparse gradients move
    their own rows only (`neural/row_gradients.py`).
    """
    undecayed = {id(p) for m in module.modules() if isinstance(m, nn.Embedding) for p in m.parameters(recurse=False)}
    options: list[dict[str, Any]] = []
    for group in groups:
        rate = settings.learning_rate * group.factor
        decayed = [p for p in group.parameters if p.ndim > 1 and id(p) not in undecayed]
        rest = [p for p in group.parameters if p.ndim <= 1 or id(p) in undecayed]
        options.append({"params": decayed, "lr": rate, "weight_decay": settings.weight_decay})
        options.append({"params": rest, "lr": rate, "weight_decay": 0.0})
    fused = device.type in ("cpu", "cuda")
    given = [o for o in options if o["params"]]
    if settings.optimizer == "adamw":
        return RowAdamW(given, betas=settings.betas, fused=fused)
    return RowSGD(given, fused=fused)
