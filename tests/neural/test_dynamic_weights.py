"""The steps of dynamic evaluation, against the equations written down a second time."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from transferlm.neural.dynamic_weights import DynamicWeights, mean_squares

TRAINED = torch.tensor([1.0, -2.0, 3.0])
GRADIENTS = torch.tensor([[0.5, 0.0, -1.0], [0.25, 4.0, 0.0]])


def walked(rate: float, decay: float, squares: torch.Tensor | None = None) -> torch.Tensor:
    weight = nn.Parameter(TRAINED.clone())
    weights = DynamicWeights([weight], [TRAINED], rate, decay, None if squares is None else [squares])
    for gradient in GRADIENTS:
        weight.grad = gradient.clone()
        weights.step()
        assert weight.grad is None
    return weight.detach()


def test_plain_steps_are_equation_5() -> None:
    wanted = TRAINED.clone()
    for gradient in GRADIENTS:
        wanted = wanted - 0.1 * gradient + 0.3 * (TRAINED - wanted)
    assert torch.allclose(walked(0.1, 0.3), wanted)


def test_steps_over_root_mean_squares_are_equation_8() -> None:
    squares = torch.tensor([0.04, 1.0, 9.0])
    root = squares.sqrt()
    pull = torch.minimum(0.5 * root / root.mean(), torch.ones(3))
    assert float(pull[2]) == 1, "the last would be drawn beyond its place"
    wanted = TRAINED.clone()
    for gradient in GRADIENTS:
        wanted = wanted - 0.1 * gradient / (root + 1e-3) + pull * (TRAINED - wanted)
    assert torch.allclose(walked(0.1, 0.5, squares), wanted)


def test_the_mean_of_roots_is_over_all_weights() -> None:
    small, large = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(1))
    weights = DynamicWeights(
        [small, large], [torch.ones(4), torch.ones(1)], 0.0, 0.1, [torch.ones(4), torch.ones(1) * 36]
    )
    small.grad, large.grad = torch.zeros(4), torch.zeros(1)
    weights.step()
    assert small.tolist() == pytest.approx([0.05] * 4)
    assert large.item() == pytest.approx(0.3)


def test_restored_they_are_the_trained_ones() -> None:
    weight = nn.Parameter(TRAINED.clone())
    weights = DynamicWeights([weight], [TRAINED], 0.1, 0.0)
    weight.grad = torch.ones(3)
    weights.step()
    assert not torch.equal(weight, TRAINED)
    weights.restore()
    assert torch.equal(weight, TRAINED)
    assert TRAINED.tolist() == [1.0, -2.0, 3.0]


def test_a_weight_that_never_had_a_gradient_stays_to_the_bit() -> None:
    weight = nn.Parameter(TRAINED.clone())
    DynamicWeights([weight], [TRAINED], 0.1, 0.5).step()
    assert torch.equal(weight, TRAINED)


def test_mean_squares_are_those_of_each_step() -> None:
    weight = nn.Parameter(torch.ones(2))
    slopes = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.0])]
    (found,) = mean_squares([weight], [partial(lambda slope: (weight * slope).sum(), slope) for slope in slopes])
    assert found.tolist() == [5.0, 2.0]
    assert weight.grad is None
    assert weight.tolist() == [1.0, 1.0]


def test_what_has_no_gradient_is_drawn_back_all_the_same() -> None:
    asked, left = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([5.0]))
    weights = DynamicWeights([asked, left], [torch.tensor([1.0]), torch.tensor([1.0])], 0.1, 0.5)
    asked.grad = torch.tensor([2.0])
    weights.step()
    assert (asked.item(), left.item()) == pytest.approx((0.8, 3.0))


def test_without_any_gradients_measured_nothing_becomes_nan() -> None:
    assert torch.isfinite(walked(0.001, 0.3, torch.zeros(3))).all()
