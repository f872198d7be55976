"""Rows for new tokens, in the tables of a model's input and output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

__all__ = ["with_rows", "with_shares"]


def with_rows(table: torch.Tensor, pieces: Sequence[Sequence[int]], tokens: int) -> torch.Tensor:
    """A table (tokens, ...) with a row for each new token: the mean of those of its pieces.

    Args:
        table: Rows of all tokens, and perhaps some that no token has.
        pieces: For each new token the numbers of old ones.
        tokens: Rows that tokens have.
    """
    if not pieces:
        return table
    new = torch.stack([table[list(own)].mean(dim=0) for own in pieces])
    return torch.cat([table[:tokens], new, table[tokens + len(new) :]])


def with_shares(bias: torch.Tensor, pieces: Sequence[Sequence[int]], shares: Sequence[float]) -> torch.Tensor:
    """The biases of the output, in place, lowered so that a new token takes no more than its share.

    Where a token's pieces are one token alone, as the unknown one, that keeps the rest: together they are as probable
    as it was, and nothing else changes.

    Args:
        bias: Shape (tokens,), the new ones last.
        pieces: For each new token the numbers of old ones.
        shares: For each, how much of its first piece's use is its own.
    """
    if not pieces:
        return bias
    bias[-len(pieces) :] += torch.from_numpy(np.log(np.array(shares, np.float32))).to(bias.device)
    for own in {place for (place, *more) in pieces if not more}:
        spent = sum(share for pair, share in zip(pieces, shares, strict=True) if list(pair) == [own])
        bias[own] += float(np.log1p(-spent))
    return bias
