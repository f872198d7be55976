"""Attention in its parts equals torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from transferlm.neural.attention import attention

KEEP = torch.rand(2, 1, 1, 5, generator=torch.Generator().manual_seed(1)) > 0.3
KEEP[..., 0] = True
ADDED = torch.zeros(2, 1, 1, 5).masked_fill(~KEEP, -1e9)


@pytest.mark.parametrize("mask", [None, KEEP, ADDED])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_without_dropout_it_is_torchs_own(mask: torch.Tensor | None, scale: float | None) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4) for _ in range(3))
    wanted = functional.scaled_dot_product_attention(query, key, value, mask, scale=scale)
    assert torch.allclose(attention(query, key, value, mask, scale=scale), wanted, atol=1e-6)


def test_with_dropout_it_is_right_on_average() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 5, 4) for _ in range(3))
    wanted = functional.scaled_dot_product_attention(query, key, value)
    mean = torch.stack([attention(query, key, value, dropout=0.2) for _ in range(4000)]).mean(dim=0)
    assert torch.allclose(mean, wanted, atol=0.04)


def test_bfloat16_stays_bfloat16() -> None:
    query = torch.randn(2, 3, 5, 4, dtype=torch.bfloat16)
    assert attention(query, query, query, dropout=0.1).dtype == torch.bfloat16
