"""Heads and losses follow from a task's output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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


def test_sigmoid_loss_is_the_mean_surprise_of_every_label() -> None:
    scores, targets = torch.randn(4, 3), torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]).float()
    chances = torch.sigmoid(scores)
    by_hand = -(targets * chances.log() + (1 - targets) * (1 - chances).log()).mean()
    assert float(loss_of(Output("text", 3, "sigmoid"), scores, targets, None)) == pytest.approx(
        float(by_hand), rel=1e-5
    )


def test_squared_loss_is_the_mean_square() -> None:
    scores, targets = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [1.0]])
    assert float(loss_of(Output("text", 1, "squared"), scores, targets, None)) == 2.5


def test_tokens_that_teach_nothing_have_no_part_in_the_loss() -> None:
    output = Output("token", 3, "softmax")
    scores, targets = torch.randn(2, 4, 3), torch.tensor([[-1, 2, 0, -1], [-1, 1, -1, -1]])
    kept = scores[[0, 0, 1], [1, 2, 1]]
    by_hand = -torch.log_softmax(kept, dim=1)[torch.arange(3), torch.tensor([2, 0, 1])].mean()
    assert float(loss_of(output, scores, targets, None)) == pytest.approx(float(by_hand), rel=1e-6)
    assert float(loss_of(output, scores, torch.full((2, 4), -1), None)) == 0


def test_span_loss_is_the_mean_surprise_of_start_and_end_among_the_tokens_that_can_be() -> None:
    scores = torch.randn(2, 5, 2)
    scores[0, 1] = -torch.inf
    targets = torch.tensor([[2, 4], [0, 0]])
    start, end = torch.log_softmax(scores[..., 0], dim=1), torch.log_softmax(scores[..., 1], dim=1)
    by_hand = -(start[0, 2] + end[0, 4] + start[1, 0] + end[1, 0]) / 4
    assert float(loss_of(Output("token", 2, "span"), scores, targets, None)) == pytest.approx(float(by_hand), rel=1e-6)
