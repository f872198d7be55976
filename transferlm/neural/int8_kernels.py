"""Compiled passes between the 8-bit products of a Transformer: rows are scaled, added up, normalised and rounded.

A row is a token's vector. Rounded, it holds `round(127 x / largest) + 128` as uint8, 128 standing for 0, and its scale
is `largest / 127`: each token has a scale of its own, so that a result depends on no other text of the batch.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, uint16, uint32

__all__ = ["attended_rounded", "gelu_rounded", "heads_apart", "normed_rounded", "rounded"]

_F = np.float32
_TINY = _F(1e-20)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def _round_row(row, codes, count):  # type: ignore[no-untyped-def]
    largest = _TINY
    for j in range(count):
        largest = max(largest, abs(row[j]))
    per_unit = _F(127) / largest
    for j in range(count):
        codes[j] = np.uint8(np.int32(row[j] * per_unit + _F(128.5)))
    return largest / _F(127)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def rounded(states, codes, scales):  # type: ignore[no-untyped-def]
    """`states` rounded."""
    for i in range(len(states)):
        scales[i] = _round_row(states[i], codes[i], states.shape[1])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def gelu_rounded(products, scales, bias, codes, new_scales):  # type: ignore[no-untyped-def]
    """GELU(products x scale + bias), rounded; erf by Abramowitz & Stegun 7.1.28, exact to 3e-7."""
    rows, width = products.shape
    row = np.empty(width, np.float32)
    for i in range(rows):
        scale = scales[i]
        for j in range(width):
            x = products[i, j] * scale + bias[j]
            z = min(abs(x) * _F(0.7071067811865476), _F(4))  # erf(4) is 1 in fp32, and p**16 stays finite
            p = _F(0.0001520143) + z * (_F(0.0002765672) + z * _F(0.0000430638))
            p = _F(1) + z * (_F(0.0705230784) + z * (_F(0.0422820123) + z * (_F(0.0092705272) + z * p)))
            p = p * p
            p = p * p
            p = p * p
            p = p * p
            row[j] = _F(0.5) * (x + abs(x) * (_F(1) - _F(1) / p))
        new_scales[i] = _round_row(row, codes[i], width)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def normed_rounded(states, products, scales, bias, gain, shift, epsilon, codes, new_scales):  # type: ignore[no-untyped-def]
    """`states` becomes LayerNorm(states + products x scale + bias), in place, and is rounded."""
    rows, width = states.shape
    for i in range(rows):
        scale, total, squares = scales[i], _F(0), _F(0)
        row = states[i]
        for j in range(width):
            x = row[j] + products[i, j] * scale + bias[j]
            row[j] = x
            total += x
        mean = total / _F(width)
        for j in range(width):
            squares += (row[j] - mean) * (row[j] - mean)
        factor = _F(1) / _F(math.sqrt(squares / _F(width) + epsilon))
        for j in range(width):
            row[j] = (row[j] - mean) * factor * gain[j] + shift[j]
        new_scales[i] = _round_row(row, codes[i], width)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def heads_apart(products, scales, bias, out):  # type: ignore[no-untyped-def]
    """Products x scale + bias as bfloat16 bits, a head's tokens together.

    Args:
        products: float32 of shape (texts x tokens, 3 x heads x size): queries, keys, values.
        scales: float32 of shape (texts x tokens,).
        bias: float32 of shape (3 x heads x size,).
        out: uint16 of shape (3, texts, heads, tokens, size).
    """
    _, texts, heads, tokens, size = out.shape
    width = products.shape[1]
    row = np.empty(width, np.float32)
    bits = row.view(np.uint32)
    for text in range(texts):
        for token in range(tokens):
            i = text * tokens + token
            scale = scales[i]
            for j in range(width):
                row[j] = products[i, j] * scale + bias[j]
            for part in range(3):
                for head in range(heads):
                    first = (part * heads + head) * size
                    into = out[part, text, head, token]
                    for j in range(size):
                        b = bits[first + j]
                        into[j] = uint16((b + uint32(0x7FFF) + ((b >> uint32(16)) & uint32(1))) >> uint32(16))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def attended_rounded(states, codes, new_scales):  # type: ignore[no-untyped-def]
    """What attention found, bfloat16 bits (texts, heads, tokens, size), as rounded rows (texts x tokens, width)."""
    texts, heads, tokens, size = states.shape
    width = heads * size
    row = np.empty(width, np.float32)
    bits = row.view(np.uint32)
    for text in range(texts):
        for token in range(tokens):
            for head in range(heads):
                for j in range(size):
                    bits[head * size + j] = uint32(states[text, head, token, j]) << uint32(16)
            i = text * tokens + token
            new_scales[i] = _round_row(row, codes[i], width)
