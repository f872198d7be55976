"""Cheap masks do what torch's do: the right share, unbiased, the same for the same seed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from transferlm.neural.dropout import Dropout, dropped, quicken


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_right_share_is_dropped_and_the_rest_scaled_up(p: float, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    found = Dropout(p)(torch.ones(401, 499, dtype=kind))
    assert found.dtype == kind
    share = float((found == 0).double().mean())
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / found.numel()) ** 0.5)
    kept = found[found != 0]
    assert torch.equal(kept, torch.full_like(kept, 1 / (1 - p)))


def test_masks_of_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    zero = (dropped(torch.ones(400_000), 0.5) == 0).double()
    for lag in (1, 2, 3, 4, 8):
        together = float((zero[lag:] * zero[:-lag]).mean())
        assert together == pytest.approx(0.25, abs=0.005)


def test_gradients_pass_where_values_do() -> None:
    states = torch.randn(50, 7, requires_grad=True)
    found = Dropout(0.3)(states)
    found.sum().backward()
    assert states.grad is not None
    assert torch.equal(states.grad == 0, found == 0)
    assert torch.allclose(states.grad[states.grad != 0], torch.tensor(1 / 0.7))


def test_the_same_seed_gives_the_same_mask() -> None:
    masks = []
    for _ in range(2):
        torch.manual_seed(5)
        masks.append(dropped(torch.ones(1001), 0.4))
    assert torch.equal(*masks)
    assert not torch.equal(masks[0], dropped(torch.ones(1001), 0.4))


@pytest.mark.parametrize("shape", [(0,), (0, 4), (1,), (3, 1, 5)])
def test_odd_shapes(shape: tuple[int, ...]) -> None:
    assert dropped(torch.ones(shape), 0.1).shape == shape


def test_nothing_is_dropped_in_evaluation_mode_or_at_rate_zero() -> None:
    states = torch.randn(9)
    assert torch.equal(Dropout(0.5).eval()(states), states)
    assert torch.equal(Dropout(0.0)(states), states)
    assert torch.equal(Dropout(1.0)(states), torch.zeros(9))


def test_in_place_stays_in_place() -> None:
    states = torch.ones(1000)
    assert Dropout(0.5, inplace=True)(states) is states
    assert (states == 0).any()


def test_every_dropout_within_is_replaced() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.ModuleDict({"a": nn.Dropout(0.2), "b": nn.Sequential(nn.Dropout(0.3))}))
    before = copy.deepcopy(module.state_dict())
    quicken(module)
    quicken(module)
    found = [part for part in module.modules() if isinstance(part, nn.Dropout)]
    assert [type(part) for part in found] == [Dropout, Dropout]
    assert [part.p for part in found] == [0.2, 0.3]
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
