"""The learning-rate range test, where the rate at which descent breaks is known, and on real families."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.causal_transformer import CausalTransformer
from transferlm.models.recurrent import Recurrent
from transferlm.neural.learning_rate_finder import LearningRates, Range, range_test
from transferlm.neural.loop import Settings

CURVATURE = 4.0
SGD = Settings(1, 1.0, 0.0, 0.0, "constant", None, precision="fp32", optimizer="sgd")


class Bowl(nn.Module):
    """1 + c/2 of the squared distance from 0.05 or -0.05 in turn: beyond a rate of 2/c each step doubles the error."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.ones(3))

    def loss(self, batch: int) -> torch.Tensor:
        return 1 + CURVATURE / 2 * (self.place - 0.05 * (-1) ** batch).square().sum()


def found(rates: Range, settings: Settings = SGD, bowl: Bowl | None = None) -> LearningRates:
    bowl = bowl or Bowl()
    return range_test(bowl, lambda _: range(8), bowl.loss, settings, rates)


def test_rates_rise_by_a_constant_factor_until_the_loss_explodes() -> None:
    curve = found(Range(200, 1e-4, 100.0))
    assert curve.exploded
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed) < 200
    factors = [later / earlier for earlier, later in zip(curve.rates, curve.rates[1:], strict=False)]
    assert factors == pytest.approx([1e6 ** (1 / 199)] * len(factors))
    assert curve.rates[0] == 1e-4
    assert 0.01 / CURVATURE < curve.minimum < 2 / CURVATURE < curve.rates[-1] < 8 / CURVATURE
    assert curve.steepest < curve.minimum
    assert 0 < curve.suggestion < 2 / CURVATURE


def test_the_losses_are_those_of_the_steps() -> None:
    curve, place = found(Range(10, 0.01, 0.02)), torch.tensor(1.0)
    batches = [*range(8), 0, 1]
    for batch, rate, loss in zip(batches, curve.rates, curve.losses, strict=True):
        error = place - 0.05 * (-1) ** batch
        assert loss == pytest.approx(1 + 3 * CURVATURE / 2 * float(error) ** 2, rel=1e-5)
        place = place - rate * CURVATURE * error
    assert not curve.exploded
    assert curve.smoothed[0] == curve.losses[0]
    assert curve.smoothed[1] == pytest.approx((0.9 * curve.losses[0] + curve.losses[1]) / 1.9)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "averaged_sgd", "nt_averaged_sgd"])
def test_the_weights_are_left_as_they_were(optimizer: Any) -> None:
    bowl = Bowl()
    settings = Settings(1, 1.0, precision="fp32", optimizer=optimizer, schedule="reduce_on_plateau")
    found(Range(30, 1e-3, 10.0), settings, bowl)
    assert torch.equal(bowl.place, torch.ones(3))
    assert bowl.place.grad is None
    assert not bowl.training


def test_ranges_that_make_no_sense_are_refused() -> None:
    for steps, lowest, highest, told in (
        (9, 1e-3, 1.0, "steps 9"),
        (100, 1.0, 1.0, "from 1 to 1"),
        (50, 0.0, 1.0, "0"),
    ):
        with pytest.raises(SettingError, match=told):
            Range(steps, lowest, highest)
    with pytest.raises(DataError, match="begin lower"):
        found(Range(100, 50.0, 100.0))


FAMILIES: dict[str, Any] = {
    "recurrent": lambda: Recurrent(
        width=16, embedding_width=16, batch_size=4, sequence_length=8, activation_penalty=1.0, random_lengths=True
    ),
    "causal_transformer": lambda: CausalTransformer(layers=1, heads=2, width=16, max_length=16, batch_size=4),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_answer_and_the_model_stays_empty(family: str, review_texts: list[str]) -> None:
    model = FAMILIES[family]()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again = (tl.find_learning_rate(model, review_texts, seed=3, steps=40) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert first == again
    assert first != tl.find_learning_rate(model, review_texts, seed=4, steps=40)
    assert not model.trained
    assert not hasattr(model, "module")
    assert first.rates[0] <= first.suggestion < first.rates[-1]


def test_what_has_no_learning_rate_is_refused_by_name(review_texts: list[str]) -> None:
    with pytest.raises(UnsupportedError, match=r"trained on text by gradients, which kneser_ney is not.*recurrent"):
        tl.find_learning_rate(tl.models.KneserNey(), review_texts)
