"""Intervals for scores and gains in which seeds and test examples are both random.

A score of S seeds on the same n test examples is a two-way crossed table with one observation a cell,

    d[s, e] = mean + seed[s] + example[e] + residual[s, e],

so the variance of its grand mean is `var(seed)/S + var(example)/n + var(residual)/(S n)`, estimated without
bias by (MS_seed + MS_example - MS_residual) / (S n) (Searle, Casella & McCulloch 1992, Variance Components,
ch. 4; Brennan 2001, Generalizability Theory, the p x i design). Mean squares of so few seeds are
rough: with a single t quantile at Satterthwaite's degrees of freedom the interval covers 93% and less at
three seeds, since a seed part that came out small by chance also claims many degrees of freedom. Each part
therefore keeps the quantile of its own degrees of freedom, and squared half-widths are added (after Graybill
& Wang 1980, JASA 75:869-873, on sums of mean squares):

    half-width^2 = (t[S-1]^2 max(MS_seed - MS_residual, 0) + t[n-1]^2 MS_example) / (S n),

and never less than t[S-1]^2 MS_seed / (S n), the ordinary t interval over the seeds' means. It tends to t
with S-1 degrees of freedom where seeds dominate and with n-1 where examples do; where neither matters beside
the residual it is too wide rather than too narrow (98% at three seeds). `benchmarks/interval_coverage.py`
prints what it covers, beside the alternatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from transferlm.errors import SettingError

__all__ = ["Interval", "interval_of_mean", "paired_gain"]

FEW_SEEDS = 5
"""Below this many seeds an interval says that it is weak."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and test examples, and where the true one plausibly lies.

    Attributes:
        mean: The mean score, or the mean difference for a gain; in the units of the score (1.0 is 100%).
        low: Lower end.
        high: Upper end.
        confidence: Share of such intervals that hold the true mean.
        seeds: Number of seeds S.
        examples: Number of test examples n.
        seed_variance: MS_seed / (S n), the variance of the mean as the seeds' means show it; 0 with one seed.
        example_variance: MS_example / (S n), the same as the examples' means show it.
        residual_variance: MS_residual / (S n), which both hold; 0 with one seed.
        note: What weakens the interval, in a sentence; empty when nothing does.
    """

    mean: float
    low: float
    high: float
    confidence: float
    seeds: int
    examples: int
    seed_variance: float
    example_variance: float
    residual_variance: float
    note: str = ""

    @property
    def gain(self) -> float:
        """The mean, under the name it has when it is a difference."""
        return self.mean

    @property
    def half_width(self) -> float:
        """Half of high - low."""
        return (self.high - self.low) / 2

    def at(self, confidence: float) -> Interval:
        """The same interval at another confidence (a Bonferroni-corrected one, say).

        Raises:
            SettingError: `confidence` is not between 0 and 1.
        """
        half = self._half_width_at(confidence)
        return replace(self, low=self.mean - half, high=self.mean + half, confidence=confidence)

    def _half_width_at(self, confidence: float) -> float:
        if not 0 < confidence < 1:
            raise SettingError(f"confidence is {confidence}; it lies between 0 and 1, such as 0.95")
        # scipy.special alone: scipy.stats takes a second to load.
        from scipy.special import stdtrit

        upper = (1 + confidence) / 2
        example_square = float(stdtrit(self.examples - 1, upper)) ** 2 * self.example_variance
        if self.seeds == 1:
            return math.sqrt(example_square)
        seed_quantile = float(stdtrit(self.seeds - 1, upper)) ** 2
        excess = max(self.seed_variance - self.residual_variance, 0.0)
        return math.sqrt(max(seed_quantile * excess + example_square, seed_quantile * self.seed_variance))


def paired_gain(ours: np.ndarray, theirs: np.ndarray, confidence: float = 0.95) -> Interval:
    """How much better one arm is than another at a score that is a mean over examples, such as accuracy.

    A score that is none, such as macro-F1, is the mean of its jackknife pseudo-values (`Task.contributions`).

    Args:
        ours: Per-example scores (seeds, examples): 1.0 for right and 0.0 for wrong, or anything that is
            averaged.
        theirs: The other arm's, the same seeds and examples in the same order.
        confidence: 0.95 by habit.

    Returns:
        The interval of the mean of `ours - theirs`.

    Raises:
        SettingError: Shapes that differ, fewer than two examples, a score that is not finite.

    >>> right = np.array([[1, 1, 1, 0, 1, 1], [1, 1, 0, 1, 1, 0]])
    >>> twin = np.array([[0, 1, 0, 0, 1, 0], [1, 0, 0, 1, 0, 0]])
    >>> interval = paired_gain(right, twin)
    >>> round(interval.gain, 3), interval.low < 0 < interval.high, interval.seeds
    (0.417, True, 2)
    """
    mine, other = _table(ours), _table(theirs)
    if mine.shape != other.shape:
        raise SettingError(f"paired scores have one shape (seeds, examples), not {mine.shape} and {other.shape}")
    return interval_of_mean(mine - other, confidence)


def interval_of_mean(scores: np.ndarray, confidence: float = 0.95) -> Interval:
    """The interval of one arm's mean score over seeds and examples, for the bands of its curve.

    Args:
        scores: Per-example scores (seeds, examples). One seed is allowed: the interval then covers the
            choice of test examples only, and its note says so.
        confidence: 0.95 by habit.

    Raises:
        SettingError: Not a table of finite numbers with two examples or more.
    """
    table = _table(scores)
    seeds, examples = table.shape
    mean = float(table.mean())
    by_seed, by_example = table.mean(axis=1), table.mean(axis=0)
    seed_square = residual_square = 0.0
    example_square = seeds * float(((by_example - mean) ** 2).sum()) / (examples - 1)
    if seeds > 1:
        residual = table - by_seed[:, None] - by_example[None, :] + mean
        residual_square = float((residual**2).sum()) / ((seeds - 1) * (examples - 1))
        seed_square = examples * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    parts = (seed_square / table.size, example_square / table.size, residual_square / table.size)
    return Interval(mean, mean, mean, confidence, seeds, examples, *parts, note=_note(seeds, parts)).at(confidence)


def _table(scores: np.ndarray) -> np.ndarray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise SettingError(f"an interval needs scores (seeds, examples) of two examples or more, not {table.shape}")
    if not np.isfinite(table).all():
        seed, example = np.argwhere(~np.isfinite(table))[0]
        raise SettingError(f"the score of seed {seed}, example {example} is {table[seed, example]}, not a number")
    return table


def _note(seeds: int, parts: tuple[float, float, float]) -> str:
    if sum(parts) < 1e-24:  # rounding alone leaves about 1e-34
        return "no width could be measured: every seed and every example gave the same"
    if seeds == 1:
        return "one seed: the interval covers the choice of test examples only, not of training examples"
    if seeds < FEW_SEEDS:
        return f"only {seeds} seeds: the interval is weak, {FEW_SEEDS} or more are better"
    return ""
