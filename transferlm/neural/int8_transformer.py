"""A Transformer that only predicts, with products of 8-bit integers."""

from __future__ import annotations

import numpy as np
import torch

from transferlm.neural import int8_kernels as kernels
from transferlm.neural.packed_transformer import (
    Affine,
    Block,
    Norm,
    PackedRows,
    TransformerWeights,
    attention,
    embedded,
)

__all__ = ["Int8Transformer", "has_int8"]

_ZERO = 128
"""The code of 0: the products want unsigned tokens beside signed weights."""
_Normed = tuple[np.ndarray, np.ndarray, np.float32]
"""Gain, shift and epsilon of a norm."""


def has_int8() -> bool:
    """Whether the processor multiplies 8-bit integers and sums them up in 32 bits at once (VNNI or AMX)."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    operation = hasattr(torch.ops.onednn, "qlinear_pointwise")
    return operation and any(capabilities.get(flag, False) for flag in ("avx512_vnni", "amx_int8"))


class _Product:
    """Codes in, products in fp32 out, still to be multiplied by each token's scale; the bias is added afterwards."""

    def __init__(self, layer: Affine) -> None:
        largest = layer.weight.abs().amax(dim=1).clamp_min(1e-20)
        self.scales = largest / 127
        codes = (layer.weight / self.scales[:, None]).round().to(torch.int8)
        self.codes = torch.ops.onednn.qlinear_prepack(codes, None)
        self.zeros = torch.zeros(len(largest), dtype=torch.int64)
        self.bias = layer.bias.numpy()
        self.width = len(largest)

    def __call__(self, codes: _Codes) -> np.ndarray:
        found = torch.ops.onednn.qlinear_pointwise(
            codes.tensor, 1.0, _ZERO, self.codes, self.scales, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        products: np.ndarray = found.numpy()
        return products


class _Int8Block:
    def __init__(self, block: Block) -> None:
        self.inputs, self.output = _Product(block.inputs), _Product(block.output)
        self.up, self.down = _Product(block.up), _Product(block.down)
        self.attended, self.norm = _normed(block.attended), _normed(block.norm)


def _normed(norm: Norm) -> _Normed:
    return norm.gain.numpy(), norm.shift.numpy(), np.float32(norm.epsilon)


class Int8Transformer:
    """As `PackedTransformer`, on processors with 8-bit products (`has_int8`).

    Weights are rounded once, a scale for each output; tokens before each product, a scale for each token (Dettmers et
    al. 2022, section 3, without its outliers). Attention is in bfloat16, sums and norms are in fp32.
    """

    def __init__(self, weights: TransformerWeights) -> None:
        self._weights = weights
        self._blocks = [_Int8Block(block.divided(weights.heads)) for block in weights.blocks]
        self._inner = len(weights.blocks[0].up.bias)

    def states(self, rows: PackedRows) -> torch.Tensor:
        """Top-layer states of every token: fp32 of shape (tokens, width)."""
        states = embedded(self._weights, rows)
        held, tokens = states.numpy(), len(states)
        narrow, wide = _Codes(tokens, held.shape[1]), _Codes(tokens, self._inner)
        kernels.rounded(held, narrow.array, narrow.scales)
        for block in self._blocks:
            self._attend(block.inputs(narrow), block.inputs.bias, rows, narrow)
            _add(held, block.output, narrow, block.attended, narrow)
            kernels.gelu_rounded(block.up(narrow), narrow.scales, block.up.bias, wide.array, wide.scales)
            _add(held, block.down, wide, block.norm, narrow)
        return states

    def _attend(self, products: np.ndarray, bias: np.ndarray, rows: PackedRows, codes: _Codes) -> None:
        """Attention over queries, keys and values, rounded into `codes`, whose scales are those of the products."""
        heads = self._weights.heads
        size = products.shape[1] // (3 * heads)
        for part, texts, length in rows.slices():
            apart = torch.empty(3, texts * heads, length, size, dtype=torch.bfloat16)
            kernels.heads_apart(
                products[part], codes.scales[part], bias, _bits(apart.view(3, texts, heads, length, size))
            )
            found = attention(*apart).view(texts, heads, length, size)
            kernels.attended_rounded(_bits(found), codes.array[part], codes.scales[part])


def _add(states: np.ndarray, product: _Product, codes: _Codes, norm: _Normed, into: _Codes) -> None:
    """What the product finds, added to the states and normed, in place, and rounded; `into` may be `codes`."""
    found = product(codes)
    kernels.normed_rounded(states, found, codes.scales, product.bias, *norm, into.array, into.scales)


class _Codes:
    """Rounded rows: uint8 of shape (tokens, width) as an array and as a tensor, and float32 scales (tokens,)."""

    def __init__(self, tokens: int, width: int) -> None:
        self.tensor = torch.empty(tokens, width, dtype=torch.uint8)
        self.array: np.ndarray = self.tensor.numpy()
        self.scales = np.empty(tokens, np.float32)


def _bits(states: torch.Tensor) -> np.ndarray:
    bits: np.ndarray = states.view(torch.int16).numpy().view(np.uint16)
    return bits
