"""Learning-rate schedules."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from transferlm.errors import SettingError
from transferlm.neural.schedules import Schedule, factor


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_it_rises_to_one_and_falls_towards_zero(schedule: Schedule) -> None:
    factors = [factor(step, 100, schedule, warmup=0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert max(factors) == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.02


def test_a_constant_stays() -> None:
    assert {factor(step, 10, "constant") for step in range(10)} == {1.0}


def test_cosine_is_half_way_at_the_middle() -> None:
    assert factor(50, 100, "cosine") == pytest.approx(0.5)


def test_a_slanted_triangle_is_equation_3() -> None:
    """Howard & Ruder 2018, eq. 3, written down a second time."""
    steps, share, ratio = 1000, 0.1, 32
    cut = int(steps * share)
    for step in range(steps):
        p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / share - 1))
        assert factor(step, steps, "slanted_triangular", share) == pytest.approx((1 + p * (ratio - 1)) / ratio)


def test_one_cycle_is_torchs() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    peer = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10_001, final_div_factor=400)
    for step in range(10_000):
        if step % 500 == 0:
            wanted = optimizer.param_groups[0]["lr"]
            assert factor(step, 10_000, "one_cycle", 0.3) == pytest.approx(wanted, abs=2e-3), step
        optimizer.step()
        peer.step()


def test_a_geometric_schedule_is_zarembas() -> None:
    """39 epochs; after the sixth the rate falls by 1.2 an epoch (Zaremba et al. 2015, section 4.1)."""
    for epoch in range(39):
        wanted = 1.2 ** -max(0, epoch - 6)
        assert factor(epoch * 100, 3900, "geometric") == pytest.approx(wanted)


@pytest.mark.parametrize("schedule", get_args(Schedule))
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
def test_one_step_moves(schedule: Schedule, warmup: float) -> None:
    least = {"slanted_triangular": 1 / 32, "one_cycle": 1 / 25}.get(schedule, 1.0)
    assert factor(0, 1, schedule, warmup) == pytest.approx(least if warmup else 1.0)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingError, match="schedule 'square': choose one of linear, cosine, constant"):
        factor(0, 1, "square")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"warmup 1\.5"):
        factor(0, 1, "linear", 1.5)
