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
    assert anchor.energy(parameters) == pytest.approx(energy.item())


def test_what_has_no_gradient_is_left_alone() -> None:
    parameter = nn.Parameter(torch.ones(2))
    Anchor([torch.zeros(2)], 1.0).pull([parameter])
    assert parameter.grad is None


@pytest.mark.parametrize("rows_a_block", [1, 2, 100])
def test_distillation_is_the_divergence_whatever_the_blocks(rows_a_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    words, temperature = 7, 2.0
    monkeypatch.setattr(readouts, "_LOGITS", {"cpu": rows_a_block * words})
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


def test_nats_and_draws_of_a_readout() -> None:
    torch.manual_seed(0)
    layer, states, targets = nn.Linear(3, 7), torch.randn(5, 3), torch.tensor([0, 6, 2, 2, 1])
    found = Readout(states, layer, targets, 7)
    torch.testing.assert_close(found.nats(), functional.cross_entropy(layer(states), targets, reduction="sum"))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([found.drawn(generator) for _ in range(4000)])
    shares = functional.one_hot(drawn, 7).float().mean(0)
    torch.testing.assert_close(shares, torch.softmax(layer(states), 1).detach(), rtol=0, atol=0.03)
