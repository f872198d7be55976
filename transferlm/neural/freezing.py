"""Weights that stand still while others move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["only"]


@contextmanager
def only(module: nn.Module, moving: Iterable[nn.Parameter]) -> Iterator[None]:
    """Within the block no other parameter of the module gets a gradient, and what that would cost is saved."""
    kept = {id(p) for p in moving}
    frozen = [p for p in module.parameters() if p.requires_grad and id(p) not in kept]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
