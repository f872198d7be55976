"""Heads and losses follow from a task's output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transferlm.neural.distillation import distilled
from transferlm.neural.heads import IGNORED, IMPOSSIBLE, LinearHead, loss_of, readout_of
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


OUTPUTS = (
    Output("text", 3, "softmax"),
    Output("token", 3, "softmax"),
    Output("text", 3, "sigmoid"),
    Output("text", 1, "squared"),
    Output("token", 2, "span"),
)


def batch_of(output: Output) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of four texts of five tokens, with gradients, and targets."""
    draw = torch.Generator().manual_seed(1)
    shape = (4, output.size) if output.per == "text" else (4, 5, output.size)
    scores = torch.randn(shape, generator=draw)
    if output.link == "span":
        scores[:, 4] = IMPOSSIBLE
        return scores.requires_grad_(), torch.randint(0, 4, (4, 2), generator=draw)
    if output.link in ("sigmoid", "squared"):
        return scores.requires_grad_(), torch.randint(0, 2, shape, generator=draw).float()
    targets = torch.randint(0, output.size, shape[:-1], generator=draw)
    if output.per == "token":
        targets[:, 3:] = IGNORED
    return scores.requires_grad_(), targets


WEIGHTS = [1.0, 3.0, 0.5]


@pytest.mark.parametrize(
    ("output", "weights"),
    [*((output, None) for output in OUTPUTS), *((output, WEIGHTS) for output in OUTPUTS[:2])],
    ids=str,
)
def test_a_readout_has_the_loss_of_the_same_scores(output: Output, weights: list[float] | None) -> None:
    scores, targets = batch_of(output)
    weighing = None if weights is None else torch.tensor(weights)
    found = readout_of(output, scores, targets, weighing)
    torch.testing.assert_close(found.mean(), loss_of(output, scores, targets, weighing))
    gradients = [
        torch.autograd.grad(loss, scores)[0] for loss in (found.mean(), loss_of(output, scores, targets, weighing))
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_what_is_drawn_is_as_probable_as_the_scores_say(output: Output) -> None:
    """The expected loss of draws is the entropy: of a number's distribution, variance 1/2, the expected square."""
    scores, targets = batch_of(output)
    found = readout_of(output, scores.detach(), targets)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([found.nats(found.drawn(generator)) for _ in range(4000)]).mean()
    if output.link == "squared":
        expected = torch.tensor(0.5 * len(found.targets))
    else:
        chances = torch.softmax(found.score(found.states), dim=1)
        expected = -torch.special.xlogy(chances, chances).sum()
    torch.testing.assert_close(drawn, expected, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_a_divergence_is_0_from_itself_and_pulls_to_the_teacher(output: Output) -> None:
    scores, targets = batch_of(output)
    own, teacher = readout_of(output, scores, targets), readout_of(output, scores.detach() * 0.5, targets)
    assert float(distilled(own, own, 2.0).detach()) == pytest.approx(0.0, abs=1e-6)
    apart = distilled(own, teacher, 2.0)
    assert 0 < float(apart.detach()) < float("inf")
    step = torch.autograd.grad(apart, scores)[0]
    nearer = readout_of(output, scores.detach() - 0.01 * step, targets)
    assert float(distilled(nearer, teacher, 2.0)) < float(apart.detach())


def test_the_divergence_of_numbers_is_their_squared_distance_whatever_the_temperature() -> None:
    output = Output("text", 1, "squared")
    one, other = (readout_of(output, torch.tensor([[a], [b]]), torch.zeros(2, 1)) for a, b in ((1.0, 2.0), (3.0, 2.5)))
    for temperature in (1.0, 2.0):
        assert float(distilled(one, other, temperature)) == pytest.approx((4 + 0.25) / 2)
