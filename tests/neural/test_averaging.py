"""Averaged stochastic gradient descent, on a problem small enough to check by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from transferlm.errors import SettingError
from transferlm.neural.averaging import stalled
from transferlm.neural.loop import Settings, fit


class Point(nn.Module):
    """One number, whose loss pulls it towards each batch by its gradient of 1."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(()))

    def loss(self, slope: float) -> torch.Tensor:
        return self.place * slope


def walked(slopes: list[float], evaluations: list[float] | None = None, **changes: Any) -> tuple[float, list[float]]:
    """Where plain steps of -slope end, and what each evaluation saw."""
    point, seen = Point(), []
    settings = {"schedule": "constant", "warmup": 0.0, "clip": None, "weight_decay": 0.0, "precision": "fp32"}
    told = iter(evaluations or ())

    def evaluate() -> float:
        seen.append(point.place.item())
        return next(told)

    fit(
        point,
        lambda _: slopes,
        point.loss,
        Settings(epochs=1, learning_rate=1.0, evaluate_every=1, **{**settings, **changes}),
        evaluate=evaluate if evaluations else None,
    )
    return point.place.item(), seen


def test_plain_descent_steps_against_the_gradient() -> None:
    assert walked([-1.0, -1.0, -4.0], optimizer="sgd")[0] == pytest.approx(6)


def test_weight_decay_is_a_term_of_the_gradient() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    settings = Settings(1, 0.5, 0.1, 0.0, "constant", None, precision="fp32", optimizer="sgd")
    fit(layer, lambda _: [0], lambda _: 2 * layer.weight.sum(), settings)
    assert layer.weight.item() == pytest.approx(1 - 0.5 * (2 + 0.1))


def test_the_average_is_that_of_the_weights_after_each_step() -> None:
    assert walked([-1.0, -1.0, -4.0], optimizer="averaged_sgd")[0] == pytest.approx((1 + 2 + 6) / 3)


def test_evaluations_see_the_average_and_training_goes_on_from_the_weights() -> None:
    _, seen = walked([-1.0, -1.0, -4.0], [3.0, 2.0, 1.0], optimizer="averaged_sgd")
    assert seen == pytest.approx([1, 1.5, 3])


def test_averaging_waits_until_evaluations_stall() -> None:
    evaluations = [5.0, 4.0, 4.5, 4.6, 4.5, 3.0]
    place, seen = walked([-1.0] * 6, evaluations, optimizer="nt_averaged_sgd", non_monotone=1)
    # After the fourth step 4.6 is worse than the best of (5.0, 4.0): the average is that of 4, 5 and 6.
    assert seen == pytest.approx([1, 2, 3, 4, 4.5, 5])
    assert place == pytest.approx(5)


@pytest.mark.parametrize("patience", [1, 3])
def test_stalled_is_algorithm_1(patience: int) -> None:
    """Merity et al. 2018, algorithm 1: t > n and v_t > min over l < t - n of the v_l before."""
    values = [5.0, 4.0, 3.0, 3.5, 2.9, 3.1, 3.3, 3.2, 2.0]
    for count in range(1, len(values) + 1):
        logs, latest = values[: count - 1], values[count - 1]
        wanted = len(logs) > patience and latest > min(logs[:-patience])
        assert stalled(values[:count], patience) == wanted


def test_what_looks_at_evaluations_wants_them() -> None:
    with pytest.raises(SettingError, match="nt_averaged_sgd"):
        walked([1.0], optimizer="nt_averaged_sgd")
    with pytest.raises(SettingError, match="reduce_on_plateau"):
        walked([1.0], schedule="reduce_on_plateau")


def test_on_a_plateau_steps_are_halved() -> None:
    _, seen = walked([-8.0] * 6, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0], optimizer="sgd", schedule="reduce_on_plateau")
    assert seen == pytest.approx([8, 16, 24, 28, 32, 34])


def test_a_batch_has_its_own_pace() -> None:
    point = Point()
    settings = Settings(1, 1.0, 0.0, 0.0, "constant", None, precision="fp32", optimizer="sgd")
    fit(point, lambda _: [-1.0, -10.0], point.loss, settings, pace=lambda slope: -slope / 2)
    assert point.place.item() == pytest.approx(1 * 0.5 + 10 * 5)
