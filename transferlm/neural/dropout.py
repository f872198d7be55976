"""Dropout whose masks are cheap to draw on a processor: they cost as much as an eighth of training a small BERT."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["Dropout", "LockedDropout", "dropout_mask", "dropped", "quicken"]

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """Inverted dropout (Srivastava et al. 2014) as `nn.Dropout` does it, with four masks drawn from 64 random bits.

    torch draws one number an element, about 5 ns each on a processor, four times what the mask below takes. The rate is
    rounded to a 65,536th. Elsewhere than on a processor it is torch's own.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        """`input` with a share `p` of its elements zero and the others scaled up; untouched in evaluation mode."""
        if not self.training or self.p == 0:
            return input
        return functional.dropout(input, self.p, True, True) if self.inplace else dropped(input, self.p)


class LockedDropout(nn.Dropout):
    """Variational dropout (Gal & Ghahramani 2016): the units of a text that are zero are so at all of its tokens."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        """`input` (texts, tokens, width) with a share `p` of each text's units zero and the others scaled up."""
        if not self.training or self.p == 0:
            return input
        return input * dropped(torch.ones_like(input[:, :1]), self.p)


def dropped(states: torch.Tensor, p: float) -> torch.Tensor:
    """`states` with a share `p` of their elements zero and the others scaled up by 1 / (1 - p)."""
    if p == 0:
        return states
    if states.device.type != "cpu" or p == 1:
        return functional.dropout(states, p)
    return states * dropout_mask(states, p)


def quicken(module: nn.Module) -> None:
    """Put this `Dropout` in the place of every `nn.Dropout` within the module."""
    for name, part in module.named_children():
        if type(part) is nn.Dropout:
            setattr(module, name, Dropout(part.p, part.inplace))
        else:
            quicken(part)


def dropout_mask(like: torch.Tensor, p: float) -> torch.Tensor:
    """1 / (1 - p) with probability 1 - p, else 0: the shape and type of `like`, on a processor."""
    count = like.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
    draws = words.view(torch.int16)[:count].view(like.shape)
    mask = torch.empty(like.shape, dtype=like.dtype)
    return torch.ge(draws, round(p * _LEVELS) - _LEVELS // 2, out=mask).mul_(1 / (1 - p))
