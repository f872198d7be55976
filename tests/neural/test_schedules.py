"""Learning-rate schedules."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
def test_one_step_moves(schedule: Schedule, warmup: float) -> None:
    assert factor(0, 1, schedule, warmup) == 1.0


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingError, match="schedule 'square': choose one of linear, cosine, constant"):
        factor(0, 1, "square")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"warmup 1\.5"):
        factor(0, 1, "linear", 1.5)
