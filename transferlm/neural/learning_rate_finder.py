"""The learning-rate range test (Smith 2017): the rate rises step by step until the loss explodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import nn

from transferlm.errors import DataError, SettingError
from transferlm.neural.loop import Group, fit
from transferlm.neural.settings import Settings

__all__ = ["LearningRates", "Range", "range_test"]

B = TypeVar("B")

_SMOOTHING = 0.9
"""Share of the smoothed loss that stays with each step."""
_EXPLODED = 1.25
"""The test ends once the smoothed loss is so many times the highest of the first few."""
_FEWEST = 10
"""Those few, which a suggestion needs in any case."""


@dataclass(frozen=True)
class Range:
    """Which rates are tried.

    Attributes:
        steps: Mini-batches, one a rate.
        lowest: The first rate.
        highest: The last one, if the loss does not explode before.
    """

    steps: int = 100
    lowest: float = 1e-6
    highest: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < _FEWEST:
            raise SettingError(f"steps {self.steps}: give {_FEWEST} or more")
        if not 0 < self.lowest < self.highest < math.inf:
            raise SettingError(f"rates from {self.lowest:g} to {self.highest:g}: give a lower and a higher one above 0")

    @classmethod
    def of(
        cls, settings: Settings, steps: int = 100, lowest: float | None = None, highest: float | None = None
    ) -> Range:
        """A range that suits the optimizer where none is given: AdamW's steps are about as long as its rate."""
        low, high = (1e-6, 1.0) if settings.optimizer == "adamw" else (1e-3, 1e3)
        return cls(steps, low if lowest is None else lowest, high if highest is None else highest)

    def rate(self, step: int) -> float:
        """The rate of a step, counted from 0: a constant factor higher each time.

        >>> [round(Range(11, 1e-5, 1.0).rate(step), 6) for step in (0, 2, 10)]
        [1e-05, 0.0001, 1.0]
        """
        return self.lowest * float((self.highest / self.lowest) ** (step / (self.steps - 1)))


@dataclass(frozen=True)
class LearningRates:
    """What a range test found.

    Attributes:
        rates: The rates that were tried, ascending.
        losses: The mini-batch's loss at each, before the step, nats.
        smoothed: Their running mean, corrected for its start (Kingma & Ba 2015, section 3).
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]

    @property
    def exploded(self) -> bool:
        """Whether the loss rose so far that the test ended there."""
        return _exploded(self.losses, self.smoothed[-1])

    @property
    def minimum(self) -> float:
        """The rate at which the smoothed loss was lowest."""
        return self.rates[min(range(len(self.rates)), key=lambda place: self.smoothed[place])]

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss fell fastest, a step of the logarithm of the rate."""
        last = max(self.rates.index(self.minimum), 2)
        return self.rates[min(range(1, last), key=lambda place: self.smoothed[place + 1] - self.smoothed[place - 1])]

    @property
    def suggestion(self) -> float:
        """A peak rate to train with: half-way, in factors, between where the loss falls fastest and where it is lowest.

        The one is sure and too low, the other noisy and near to where it explodes (`benchmarks/LOG.md`).
        """
        return math.sqrt(self.steepest * self.minimum)


def range_test(
    module: nn.Module,
    batches: Callable[[int], Sequence[B]],
    loss: Callable[[B], torch.Tensor],
    settings: Settings,
    rates: Range,
    *,
    groups: Sequence[Group] | None = None,
    penalty: Callable[[], torch.Tensor] | None = None,
    tokens: Callable[[B], int] | None = None,
    pace: Callable[[B], float] | None = None,
) -> LearningRates:
    """Train over mini-batches at rising rates, by the training loop itself, and leave the weights as they were.

    Clipping, weight decay and precision are those of the settings; averaging is left out, since it moves no weight.

    Args:
        module: What would be trained.
        batches: See `neural/loop.py`, as for all that follow.
        loss: Mean loss of a batch.
        settings: How it would be trained.
        rates: Which are tried.
        groups: Parameters and their factors on the rate.
        penalty: Added to every step's loss, or None.
        tokens: A batch's tokens.
        pace: A batch's factor on the rate, or None for 1.

    Raises:
        DataError: The loss never falls: the first rate is too high.
    """
    kept = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    losses: list[float] = []
    smoothed: list[float] = []

    def watched(batch: B) -> torch.Tensor:
        value = loss(batch)
        losses.append(float(value.detach()))
        smoothed.append(_smoothed(losses))
        if _exploded(losses, smoothed[-1]):
            raise _ExplodedError
        return value

    def rising(batch: B) -> float:
        return rates.rate(len(losses)) / rates.lowest * (1.0 if pace is None else pace(batch))

    how = replace(
        settings,
        learning_rate=rates.lowest,
        schedule="constant",
        warmup=0.0,
        steps=rates.steps,
        evaluate_every=None,
        accumulate=1,
        patience=None,
        optimizer="adamw" if settings.optimizer == "adamw" else "sgd",
    )
    try:
        fit(
            module,
            batches,
            watched,
            how,
            groups=groups,
            penalty=penalty,
            tokens=tokens,
            pace=rising,
            description="finding a learning rate",
        )
    except _ExplodedError:
        pass
    finally:
        module.load_state_dict(kept)
        module.zero_grad(set_to_none=True)
        module.eval()
    tried = tuple(rates.rate(step) for step in range(len(losses)))
    found = LearningRates(tried, tuple(losses), tuple(smoothed))
    if len(losses) < _FEWEST or found.minimum == rates.lowest:
        raise DataError(f"the loss never falls, not at the lowest rate of {rates.lowest:g} either: begin lower")
    return found


class _ExplodedError(Exception):
    """The loss is beyond what a higher rate could mend."""


def _exploded(losses: Sequence[float], smoothed: float) -> bool:
    return not math.isfinite(losses[-1]) or smoothed > _EXPLODED * max(losses[:_FEWEST])


def _smoothed(losses: Sequence[float]) -> float:
    """The last value of the running mean of `losses`, corrected for its start."""
    weights = [_SMOOTHING**age for age in range(len(losses))][::-1]
    return sum(w * value for w, value in zip(weights, losses, strict=True)) / sum(weights)
