"""Heads and losses follow from a task's output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transferlm.errors import UnsupportedError
from transferlm.neural.heads import LinearHead, loss_of
from transferlm.outputs import Output

SOFTMAX = Output("text", 3, "softmax")


def test_a_head_is_linear_and_starts_near_nothing() -> None:
    head = LinearHead(8, SOFTMAX, seed=4).eval()
    states = torch.randn(5, 8)
    weights, bias = head.arrays()
    assert weights.shape == (8, 3)
    assert np.allclose(head(states).detach().numpy(), states.numpy() @ weights + bias, atol=1e-6)
    assert np.abs(weights).max() < 0.1
    assert np.array_equal(LinearHead(8, SOFTMAX, seed=4).arrays()[0], weights)
    assert not np.array_equal(LinearHead(8, SOFTMAX, seed=5).arrays()[0], weights)


def test_scores_are_fp32_within_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert LinearHead(8, SOFTMAX)(torch.randn(2, 8).bfloat16()).dtype == torch.float32


def test_softmax_loss_is_the_mean_surprise_of_the_right_class() -> None:
    scores, targets = torch.randn(4, 3), torch.tensor([0, 2, 1, 0])
    by_hand = -torch.log_softmax(scores, dim=1)[torch.arange(4), targets]
    assert float(loss_of(SOFTMAX, scores, targets, None)) == pytest.approx(float(by_hand.mean()), rel=1e-6)
    weights = torch.tensor([3.0, 1.0, 1.0])
    weighted = (by_hand * weights[targets]).sum() / weights[targets].sum()
    assert float(loss_of(SOFTMAX, scores, targets, weights)) == pytest.approx(float(weighted), rel=1e-6)


def test_a_link_without_a_loss_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="sigmoid"):
        loss_of(Output("text", 3, "sigmoid"), torch.randn(1, 3), torch.tensor([0]), None)
