"""Attention for training on a processor, a block of it at a time, so that scores and weights stay in the caches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from transferlm.neural.dropout import dropout_mask

__all__ = ["attention"]

_ROWS = 128
"""Queries of a block: half of a causal window of 256, whose upper right quarter is then never computed."""
_SCORES = 1 << 19
"""Scores of a block, 1 MB in bfloat16; with half or twice as many a step takes as long."""


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    dropout: float = 0.0,
    scale: float | None = None,
    causal: bool = False,
) -> torch.Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1), its products in the precision of its inputs.

    With dropout torch's own casts bfloat16 to fp32 on a processor and draws its masks slowly, and without it its kernel
    takes twice as long backward. Here the products stay in bfloat16, the softmax is fp32 within, the masks are cheap,
    what a causal model may not see is left out block by block, and backward a block's weights are at hand. On a GPU
    torch's own is better.

    Args:
        query: Shape (texts, heads, tokens, width).
        key: Shape (texts, heads, keys, width).
        value: The same shape.
        mask: True where a query may look, or numbers added to the scores; broadcast to (texts, heads, tokens, keys). It
            gets no gradient.
        dropout: Share of the attention weights that are set to zero.
        scale: On the scores; default 1 / sqrt(width).
        causal: Whether a token sees no key beyond its own place; there are as many keys as tokens then.

    Returns:
        Shape (texts, heads, tokens, width): a view of (texts, tokens, heads, width).
    """
    kind = query.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else value.dtype
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    with torch.autocast(kind, enabled=False):
        found: torch.Tensor = _InBlocks.apply(query, key, value, mask, dropout, scale, causal)  # type: ignore[no-untyped-call]
    return found


class _Block(NamedTuple):
    """Some texts, some queries of theirs, and the keys up to `stop`, beyond which they may not look."""

    texts: slice
    queries: slice
    stop: int


def _blocks(query: torch.Tensor, keys: int, causal: bool) -> Iterator[_Block]:
    texts, heads, tokens, _ = query.shape
    rows = min(_ROWS, tokens)
    together = max(1, _SCORES // (heads * rows * keys))
    for text in range(0, texts, together):
        for start in range(0, tokens, rows):
            stop = min(start + rows, tokens)
            yield _Block(slice(text, text + together), slice(start, stop), stop if causal else keys)


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        dropout: float,
        scale: float,
        causal: bool,
    ) -> torch.Tensor:
        texts, heads, tokens, width = query.shape
        query, key, value = (query * scale).contiguous(), key.contiguous(), value.contiguous()
        mask = ~mask if mask is not None and mask.dtype == torch.bool else mask
        out = query.new_empty(texts, tokens, heads, width).transpose(1, 2)
        kept = []
        for block in _blocks(query, key.shape[2], causal):
            weights = _weights(query, key, block, mask, causal)
            drop = dropout_mask(weights, dropout) if dropout else None
            out[block.texts, :, block.queries] = _used(weights, drop) @ value[block.texts, :, : block.stop]
            kept += [weights, drop]
        ctx.save_for_backward(query, key, value, *kept)
        ctx.scale, ctx.causal = scale, causal
        return out

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, *kept = ctx.saved_tensors
        for_query = torch.empty_like(query)
        # Several blocks add to a key's gradient: in fp32, so that it is rounded once.
        sums = torch.promote_types(key.dtype, torch.float32)
        for_key, for_value = (torch.zeros_like(key, dtype=sums) for _ in range(2))
        blocks = _blocks(query, key.shape[2], ctx.causal)
        for block, weights, drop in zip(blocks, kept[::2], kept[1::2], strict=True):
            own, seen = (block.texts, slice(None), block.queries), (block.texts, slice(None), slice(block.stop))
            coming = upstream[own].contiguous()
            for_value[seen] += _used(weights, drop).mT @ coming
            for_weights = _used(coming @ value[seen].mT, drop)
            for_scores = torch._softmax_backward_data(for_weights, weights, -1, weights.dtype)
            torch.mul(for_scores @ key[seen], ctx.scale, out=for_query[own])
            for_key[seen] += for_scores.mT @ query[own]
        return for_query, for_key.to(key.dtype), for_value.to(value.dtype), None, None, None, None


def _weights(
    query: torch.Tensor, key: torch.Tensor, block: _Block, mask: torch.Tensor | None, causal: bool
) -> torch.Tensor:
    """Softmax of a block's scores: shape (texts, heads, queries, keys)."""
    scores = query[block.texts, :, block.queries] @ key[block.texts, :, : block.stop].mT
    if mask is not None:
        part = mask.expand(*query.shape[:3], key.shape[2])[block.texts, :, block.queries, : block.stop]
        scores = scores.masked_fill_(part, -torch.inf) if mask.dtype == torch.bool else scores + part
    if causal:
        start, stop, _ = block.queries.indices(query.shape[2])
        scores[..., start:] += scores.new_full((stop - start, stop - start), -torch.inf).triu_(1)
    return scores.softmax(-1).to(query.dtype)


def _used(weights: torch.Tensor, drop: torch.Tensor | None) -> torch.Tensor:
    return weights if drop is None else weights * drop
