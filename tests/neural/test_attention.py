"""Attention in its parts equals torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from transferlm.neural import attention as module
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


@pytest.mark.parametrize("tokens", [1, 2, 5, 7])
@pytest.mark.parametrize("mask", ["none", "bool", "added", "causal"])
def test_blocks_leave_no_mark(tokens: int, mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients are torch's own, with the rows of a window and the texts in several blocks."""
    monkeypatch.setattr(module, "_ROWS", 2)
    monkeypatch.setattr(module, "_SCORES", 3 * 2 * tokens * 2)
    draw = torch.Generator().manual_seed(tokens)
    parts = [torch.randn(5, 3, tokens, 4, generator=draw, requires_grad=True) for _ in range(3)]
    upstream = torch.randn(5, 3, tokens, 4, generator=draw)
    given = torch.rand(5, 1, tokens, tokens, generator=draw) > 0.4
    given |= torch.eye(tokens, dtype=torch.bool)
    masks = {"bool": given, "added": torch.randn(5, 3, 1, tokens, generator=draw)}
    wanted = functional.scaled_dot_product_attention(*parts, masks.get(mask), is_causal=mask == "causal")
    found = attention(*parts, masks.get(mask), causal=mask == "causal")
    assert torch.allclose(found, wanted, atol=1e-6)
    for mine, its in zip(*(torch.autograd.grad(out, parts, upstream) for out in (found, wanted)), strict=True):
        assert torch.allclose(mine, its, atol=1e-5)


def test_gradients_with_dropout_are_those_of_the_weights_that_were_kept() -> None:
    """With one draw repeated, the change of the sum along a direction is what the gradient says."""
    draw = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, 2, 6, 4, generator=draw, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    upstream, *moves = (torch.randn(2, 2, 6, 4, generator=draw, dtype=torch.float64) for _ in range(4))

    def summed(distance: float) -> torch.Tensor:
        torch.manual_seed(5)
        moved = [part + distance * move for part, move in zip(parts, moves, strict=True)]
        return (attention(*moved, dropout=0.4, causal=True) * upstream).sum()

    gradients = torch.autograd.grad(summed(0.0), parts)
    told = sum(float((gradient * move).sum()) for gradient, move in zip(gradients, moves, strict=True))
    assert (summed(1e-6) - summed(-1e-6)).item() / 2e-6 == pytest.approx(told, rel=1e-6)


def test_a_token_sees_nothing_beyond_its_place_with_dropout_either() -> None:
    torch.manual_seed(0)
    states = torch.randn(1, 2, 6, 4)
    changed = states.clone()
    changed[:, :, 4:] += 1
    outputs = []
    for given in (states, changed):
        torch.manual_seed(1)
        outputs.append(attention(given, given, given, dropout=0.3, causal=True)[:, :, :4])
    assert torch.equal(*outputs)


def test_under_autocast_it_works_in_bfloat16_and_its_gradients_are_near() -> None:
    draw = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, 2, 300, 16, generator=draw, requires_grad=True) for _ in range(3)]
    upstream = torch.randn(2, 2, 300, 16, generator=draw)
    wanted = functional.scaled_dot_product_attention(*parts, is_causal=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention(*parts, causal=True)
    assert found.dtype == torch.bfloat16
    for mine, its in zip(
        *(torch.autograd.grad(out, parts, upstream.to(out.dtype)) for out in (found, wanted)), strict=True
    ):
        assert float((mine - its).norm() / its.norm()) < 0.01
