"""The cross entropy in blocks against torch's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from transferlm.neural import vocabulary_loss
from transferlm.neural.vocabulary_loss import VocabularyLoss

TOKENS, WIDTH, VOCABULARY = 37, 12, 53


@pytest.fixture(params=[1, 5, 1000], ids=lambda rows: f"{rows} rows a block")
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(vocabulary_loss._BLOCK, "cpu", request.param * VOCABULARY)
    monkeypatch.setattr(vocabulary_loss, "_ROWS", 1)
    return int(request.param)


@pytest.fixture
def layer() -> Iterator[nn.Linear]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield nn.Linear(WIDTH, VOCABULARY)


def given(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    states = torch.randn(TOKENS, WIDTH, generator=draw) * 3
    return states.requires_grad_(), torch.randint(0, VOCABULARY, (TOKENS,), generator=draw)


def torchs(layer: nn.Linear, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(layer(states).float(), targets)


def gradients(loss: torch.Tensor, layer: nn.Linear, states: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, [states, layer.weight, layer.bias]))


def test_it_is_torchs_cross_entropy(rows: int, layer: nn.Linear) -> None:
    states, targets = given()
    ours, theirs = VocabularyLoss()(states, layer.weight, layer.bias, targets), torchs(layer, states, targets)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for mine, its in zip(gradients(3 * ours, layer, states), gradients(3 * theirs, layer, states), strict=True):
        assert mine.dtype == its.dtype
        assert torch.allclose(mine, its, rtol=1e-5, atol=1e-7)


def test_within_autocast_it_rounds_as_torch_does(rows: int, layer: nn.Linear) -> None:
    states, targets = given()
    exact = gradients(torchs(layer, states, targets), layer, states)
    found = []
    with torch.autocast("cpu", torch.bfloat16):
        losses = VocabularyLoss()(states, layer.weight, layer.bias, targets), torchs(layer, states, targets)
    for loss in losses:
        own = gradients(loss, layer, states)
        assert all(gradient.dtype == torch.float32 for gradient in own)
        found.append([float((a - b).norm() / b.norm()) for a, b in zip(own, exact, strict=True)])
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=0.01)
    assert losses[0].dtype == torch.float32
    assert all(0 < ours < max(0.01, 2 * theirs) for ours, theirs in zip(*found, strict=True))


def test_what_is_kept_from_step_to_step_leaves_no_mark(layer: nn.Linear) -> None:
    """Two losses from one place, the second before the first's gradients are asked for; then one with fewer tokens."""
    loss = VocabularyLoss()
    (one, first), (two, second) = given(1), given(2)
    both = loss(one, layer.weight, layer.bias, first) + loss(two, layer.weight, layer.bias, second)
    wanted = torchs(layer, one, first) + torchs(layer, two, second)
    for mine, its in zip(gradients(both, layer, one), gradients(wanted, layer, one), strict=True):
        assert torch.allclose(mine, its, rtol=1e-5, atol=1e-7)
    short = loss(one[:3], layer.weight, layer.bias, first[:3])
    assert short.item() == pytest.approx(torchs(layer, one[:3], first[:3]).item(), rel=1e-6)


def test_a_token_that_is_all_but_impossible_has_a_finite_loss(layer: nn.Linear) -> None:
    states, targets = given()
    with torch.no_grad():
        layer.bias[targets[0]] = -500.0
    ours = VocabularyLoss()(states, layer.weight, layer.bias, targets)
    assert ours.item() == pytest.approx(torchs(layer, states, targets).item(), rel=1e-5)


def test_without_gradients_there_are_none(layer: nn.Linear) -> None:
    states, targets = given()
    with torch.no_grad():
        loss = VocabularyLoss()(states, layer.weight, layer.bias, targets)
    assert not loss.requires_grad


def test_a_layer_without_a_bias_needs_none(rows: int, layer: nn.Linear) -> None:
    states, targets = given()
    wanted = functional.cross_entropy(functional.linear(states, layer.weight), targets)
    found = VocabularyLoss()(states, layer.weight, None, targets)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    for mine, its in zip(*(torch.autograd.grad(loss, [states, layer.weight]) for loss in (found, wanted)), strict=True):
        assert torch.allclose(mine, its, rtol=1e-4, atol=1e-6)


def test_blocks_of_a_lent_layer_are_summed_in_fp32(layer: nn.Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bfloat16 weight's gradient is rounded after the sum, not once a block: as near with many blocks as with one."""
    draw = torch.Generator().manual_seed(1)
    states, targets = torch.randn(4000, WIDTH, generator=draw), torch.randint(0, VOCABULARY, (4000,), generator=draw)
    exact = torch.autograd.grad(torchs(layer, states, targets), layer.weight)[0]
    low = layer.weight.detach().to(torch.bfloat16).requires_grad_()
    errors = []
    for rows in (8, 4000):
        monkeypatch.setitem(vocabulary_loss._BLOCK, "cpu", rows * VOCABULARY)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = VocabularyLoss()(states.to(torch.bfloat16), low, layer.bias.detach(), targets)
        (found,) = torch.autograd.grad(loss, low)
        assert found.dtype == torch.bfloat16
        errors.append(float((found.float() - exact).norm()))
    assert errors[0] < 1.5 * errors[1]


def test_what_was_used_in_an_evaluation_serves_training_too() -> None:
    loss, layer = VocabularyLoss(), torch.nn.Linear(3, 5)
    states, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 4])
    with torch.inference_mode():
        judged = float(loss(states, layer.weight, layer.bias, targets))
    trained = loss(states, layer.weight, layer.bias, targets)
    trained.backward()
    assert float(trained.detach()) == pytest.approx(judged)
