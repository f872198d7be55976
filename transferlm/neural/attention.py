"""Attention for rows of a few dozen tokens on a processor, where torch's fused kernels have little to fuse."""

from __future__ import annotations

import math

import torch

from transferlm.neural.dropout import dropped

__all__ = ["attention"]


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    dropout: float = 0.0,
    scale: float | None = None,
) -> torch.Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1), its products in the precision of its inputs.

    With dropout torch's own casts bfloat16 to fp32 on a processor and draws its masks slowly; here the products stay in
    bfloat16, the softmax is fp32, and the masks are cheap. On a GPU torch's own is better.

    Args:
        query: Shape (texts, heads, tokens, width).
        key: The same shape.
        value: The same shape.
        mask: True where a query may look, or numbers added to the scores; broadcast to (texts, heads, tokens, tokens).
        dropout: Share of the attention weights that are set to zero.
        scale: On the scores; default 1 / sqrt(width).

    Returns:
        Shape (texts, heads, tokens, width).
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * scale) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
    return dropped(weights, dropout) @ value
