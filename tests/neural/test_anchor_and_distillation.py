"""Springs and teachers give the gradients that their formulas have under automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from transferlm.neural import readout as readouts
from transferlm.neural.anchor import Anchor
from transferlm.neural.distillation import distilled
from transferlm.neural.readout import Readout


@pytest.mark.parametrize("uniform", [True, False])
def test_a_spring_is_the_gradient_of_its_energy(uniform: bool) -> None:
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(4))]
    home = [torch.randn(3, 2), torch.randn(4)]
    stiffness = 0.5 if uniform else [torch.rand(3, 2), torch.rand(4)]
    stiff = [0.5, 0.5] if uniform else stiffness
    energy = sum((s * (p - h) ** 2).sum() / 2 for s, p, h in zip(stiff, parameters, home, strict=True))
    wanted = torch.autograd.grad(energy, parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    anchor = Anchor(home, stiffness)
    anchor.pull(parameters)
    for parameter, gradient in zip(parameters, wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient + 1)


@pytest.mark.parametrize("uniform", [True, False])
def test_a_spring_pulls_rows_that_a_sparse_gradient_does_not_touch(uniform: bool) -> None:
    dense, sparse = (nn.Parameter(torch.ones(3, 2)) for _ in range(2))
    dense.grad = torch.tensor([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    sparse.grad = dense.grad.to_sparse(1)
    anchor = Anchor([torch.zeros(3, 2)], 0.5 if uniform else [torch.full((3, 2), 0.5)])
    anchor.pull([dense])
    anchor.pull([sparse])
    assert torch.equal(sparse.grad.to_dense(), dense.grad)
    assert torch.equal(dense.grad[0], torch.full((2,), 0.5))


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("stiffness", [0.0, 0.3, 1e8])
def test_drawn_back_is_where_energy_and_way_are_least(uniform: bool, stiffness: float) -> None:
    """The implicit step: x is least in |x - theta|^2 / (2 rate) + stiffness / 2 |x - home|^2."""
    start, home, rate = torch.tensor([1.0, -2.0, 5.0]), torch.tensor([0.0, 1.0, 5.0]), 0.5
    parameter = nn.Parameter(start.clone())
    Anchor([home], stiffness if uniform else [torch.full((3,), stiffness)]).draw_back([parameter], rate)
    gradient = (parameter - start) / rate + stiffness * (parameter - home)
    torch.testing.assert_close(gradient / (1 / rate + stiffness), torch.zeros(3), atol=1e-6, rtol=0)


def test_what_has_no_gradient_is_left_alone() -> None:
    parameter = nn.Parameter(torch.ones(2))
    Anchor([torch.zeros(2)], 1.0).pull([parameter])
    assert parameter.grad is None


@pytest.mark.parametrize("rows_a_block", [1, 2, 100])
def test_distillation_is_the_divergence_whatever_the_blocks(rows_a_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    words, temperature = 7, 2.0
    monkeypatch.setattr(readouts, "rows_of_block", lambda *_: rows_a_block)
    old, new = nn.Linear(3, words), nn.Linear(3, words)
    states = torch.randn(5, 3, requires_grad=True)
    targets = torch.zeros(5, dtype=torch.int64)
    p = functional.softmax(old(states.detach()) / temperature, 1).detach()
    q = functional.log_softmax(new(states) / temperature, 1)
    plain = temperature**2 * (p * (p.log() - q)).sum(1).mean()
    wanted = torch.autograd.grad(plain, [states, *new.parameters()])
    loss = distilled(Readout(states, new, targets, words), Readout(states.detach(), old, targets, words), temperature)
    torch.testing.assert_close(loss, plain)
    for gradient, other in zip(torch.autograd.grad(loss, [states, *new.parameters()]), wanted, strict=True):
        torch.testing.assert_close(gradient, other)


def test_a_model_that_is_its_own_teacher_learns_nothing() -> None:
    torch.manual_seed(0)
    layer, states = nn.Linear(3, 7), torch.randn(5, 3)
    same = Readout(states, layer, torch.zeros(5, dtype=torch.int64), 7)
    loss = distilled(same, same)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert all(g.abs().max() < 1e-6 for g in torch.autograd.grad(loss, list(layer.parameters())))


@pytest.mark.parametrize("rows_a_block", [1, 2, 100])
def test_nats_of_a_readout(rows_a_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(readouts, "rows_of_block", lambda *_: rows_a_block)
    layer, states, targets = nn.Linear(3, 7), torch.randn(5, 3), torch.tensor([0, 6, 2, 2, 1])
    found = Readout(states, layer, targets, 7)
    nats = found.nats()
    wanted = functional.cross_entropy(layer(states), targets, reduction="sum")
    torch.testing.assert_close(nats, wanted)
    pairs = zip(
        torch.autograd.grad(nats, layer.parameters()), torch.autograd.grad(wanted, layer.parameters()), strict=True
    )
    for own, other in pairs:
        torch.testing.assert_close(own, other)


def test_logits_of_several_blocks_are_not_held_for_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readouts, "rows_of_block", lambda *_: 2)
    layer, states, held = nn.Linear(3, 7), torch.randn(6, 3), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t.shape) or t, lambda t: t):
        Readout(states, layer, torch.zeros(6, dtype=torch.int64), 7).nats()
    assert (2, 7) not in held


def test_draws_of_a_readout_follow_its_distribution() -> None:
    torch.manual_seed(0)
    layer, states = nn.Linear(3, 7), torch.randn(5, 3)
    found = Readout(states, layer, torch.zeros(5, dtype=torch.int64), 7)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([found.drawn(generator) for _ in range(4000)])
    shares = functional.one_hot(drawn, 7).float().mean(0)
    torch.testing.assert_close(shares, torch.softmax(layer(states), 1).detach(), rtol=0, atol=0.03)


def test_a_batch_that_predicts_nothing_costs_nothing_and_goes_the_way_back() -> None:
    layer, states = nn.Linear(3, 7), torch.randn(0, 3, requires_grad=True)
    empty = Readout(states, layer, torch.zeros(0, dtype=torch.int64), 7)
    loss = empty.nats() + distilled(empty, empty)
    loss.backward()
    assert loss.item() == 0
