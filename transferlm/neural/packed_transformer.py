"""A bidirectional Transformer that only predicts: texts lie end to end, so nothing is padded and nothing masked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from torch.nn import functional

__all__ = [
    "Affine",
    "Block",
    "Norm",
    "PackedRows",
    "PackedTransformer",
    "TransformerWeights",
    "attention",
    "embedded",
    "packed",
]


@dataclass(frozen=True)
class Affine:
    """x W' + b: `weight` of shape (out, in), `bias` of shape (out,)."""

    weight: torch.Tensor
    bias: torch.Tensor

    def to(self, dtype: torch.dtype) -> Affine:
        """The same in another precision."""
        return Affine(self.weight.to(dtype), self.bias.to(dtype))

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Shape (..., out)."""
        return functional.linear(states, self.weight, self.bias)


@dataclass(frozen=True)
class Norm:
    """Layer normalisation (Ba et al. 2016)."""

    gain: torch.Tensor
    shift: torch.Tensor
    epsilon: float

    def to(self, dtype: torch.dtype) -> Norm:
        """The same in another precision."""
        return Norm(self.gain.to(dtype), self.shift.to(dtype), self.epsilon)

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Normalised over the last dimension."""
        return functional.layer_norm(states, self.gain.shape, self.gain, self.shift, self.epsilon)


@dataclass(frozen=True)
class Block:
    """One layer of BERT (Devlin et al. 2019): attention, then two products with a GELU between, each added and normed.

    Attributes:
        inputs: Queries, keys and values of all heads in one product, shape (3 x width, width).
        output: What the heads found, back to the width.
        attended: Norm after attention.
        up: To the inner width.
        down: And back.
        norm: Norm at the end.
    """

    inputs: Affine
    output: Affine
    attended: Norm
    up: Affine
    down: Affine
    norm: Norm

    def to(self, dtype: torch.dtype) -> Block:
        """The same in another precision."""
        affines = {name: getattr(self, name).to(dtype) for name in ("inputs", "output", "up", "down")}
        return Block(**affines, attended=self.attended.to(dtype), norm=self.norm.to(dtype))

    def divided(self, heads: int) -> Block:
        """The same with queries divided by the root of a head's size (Vaswani et al. 2017, eq. 1) beforehand."""
        width = len(self.output.bias)
        share = torch.ones(3 * width)
        share[:width] = math.sqrt(heads / width)
        return replace(self, inputs=Affine(self.inputs.weight * share[:, None], self.inputs.bias * share))


@dataclass(frozen=True)
class TransformerWeights:
    """All that a forward pass needs, in fp32.

    Attributes:
        tokens: Shape (vocabulary, width).
        places: Shape (positions, width); a text begins at row `first`.
        kinds: Token types, shape (types, width), or None.
        norm: Of the sum of the three.
        blocks: From the input up.
        heads: Attention heads.
        first: Row of the first position.
    """

    tokens: torch.Tensor
    places: torch.Tensor
    kinds: torch.Tensor | None
    norm: Norm
    blocks: tuple[Block, ...]
    heads: int
    first: int = 0


@dataclass(frozen=True)
class PackedRows:
    """Rows of token ids end to end, those of one length together.

    Attributes:
        ids: int64 of shape (tokens,).
        places: int64 of the same shape: each token's place in its row.
        kinds: int64 of the same shape: token types.
        groups: Rows and their length, in order: (3, 7), (2, 5) are three rows of 7 tokens and two of 5.
    """

    ids: torch.Tensor
    places: torch.Tensor
    kinds: torch.Tensor
    groups: tuple[tuple[int, int], ...]

    def slices(self) -> Iterator[tuple[slice, int, int]]:
        """Of each group its tokens, its rows and their length."""
        start = 0
        for rows, length in self.groups:
            yield slice(start, start + rows * length), rows, length
            start += rows * length


def packed(ids: Sequence[np.ndarray], types: Sequence[np.ndarray | None] | None = None) -> PackedRows:
    """Rows laid end to end, in the order given; rows of one length that stand side by side form a group.

    Args:
        ids: Token ids of each row, one or more.
        types: Token types of each row; None where they are all 0.
    """
    lengths = [len(row) for row in ids]
    groups = tuple((len(list(alike)), length) for length, alike in groupby(lengths))
    known = [
        np.zeros(len(row), np.int64) if kind is None else kind
        for row, kind in zip(ids, types or [None] * len(ids), strict=True)
    ]
    places = np.concatenate([np.arange(length) for length in lengths])
    arrays = (np.concatenate(ids).astype(np.int64), places, np.concatenate(known).astype(np.int64))
    tokens, numbers, kinds = map(torch.from_numpy, arrays)
    return PackedRows(tokens, numbers, kinds, groups)


class PackedTransformer:
    """The forward pass in fp32 or bfloat16; without gradients, so under `torch.inference_mode`."""

    def __init__(self, weights: TransformerWeights, dtype: torch.dtype = torch.float32) -> None:
        self._weights, self._dtype = weights, dtype
        self._blocks = [block.divided(weights.heads).to(dtype) for block in weights.blocks]
        self._attention = attention if dtype == torch.bfloat16 else _fused_attention

    def states(self, rows: PackedRows) -> torch.Tensor:
        """Top-layer states of every token: fp32 of shape (tokens, width)."""
        states = embedded(self._weights, rows).to(self._dtype)
        for block in self._blocks:
            found = block.output(self._attended(block.inputs(states), rows))
            states = block.attended(found.add_(states))
            inner = functional.gelu(block.up(states))
            states = block.norm(block.down(inner).add_(states))
        return states.float()

    def _attended(self, inputs: torch.Tensor, rows: PackedRows) -> torch.Tensor:
        heads, width = self._weights.heads, inputs.shape[1] // 3
        out = inputs.new_empty(len(inputs), width)
        for part, texts, length in rows.slices():
            apart = inputs[part].view(texts, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            query, key, value = apart.reshape(3, texts * heads, length, -1)
            found = self._attention(query, key, value).view(texts, heads, length, -1)
            out[part].view(texts, length, heads, -1).copy_(found.transpose(1, 2))
        return out


def embedded(weights: TransformerWeights, rows: PackedRows) -> torch.Tensor:
    """The input of the first block: fp32 of shape (tokens, width)."""
    states = functional.embedding(rows.ids, weights.tokens)
    states += functional.embedding(rows.places + weights.first, weights.places)
    if weights.kinds is not None:
        states += functional.embedding(rows.kinds, weights.kinds)
    return weights.norm(states)


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """softmax(q k') v for rows that see all of themselves: shape (texts x heads, tokens, size), q already divided.

    In bfloat16 on a processor this takes two thirds to a half of the time of torch's fused kernel.
    """
    return torch.bmm(torch.bmm(query, key.mT).softmax(-1), value)


def _fused_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(query[None], key[None], value[None], scale=1.0)[0]
