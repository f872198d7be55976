"""By how much each arm of a comparison beats its untrained twin and the TF-IDF baseline, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.experiments.cells import Arm, Cell, by_arm, same_seeds
from transferlm.measure.intervals import (
    Interval,
    interval_of_mean,
    mean_of,
    paired_gain,
    paired_gain_of,
)
from transferlm.measure.jackknife import delete_one_macro_f1

__all__ = ["BASELINE", "UNTRAINED", "Band", "Gain", "bands", "gains", "is_transfer"]

BASELINE = "tfidf"
"""Source of the strong baseline without transfer."""

UNTRAINED = "-untrained"
"""End of the source name of a from-scratch twin."""

METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class Gain:
    """How much better one arm is than another with as many labels; scores lie in 0 to 1, so 0.01 is one
    point.

    Attributes:
        source: Our source.
        strategy: Our strategy.
        labels: Labels a class, of both.
        metric: `accuracy` or `macro_f1`.
        against: Source of the other arm: `<source>-untrained` (same strategy) or `tfidf`.
        interval: Mean difference over seeds and its 95% interval.
        note: What weakens the interval; empty when nothing does.
    """

    source: str
    strategy: str
    labels: int
    metric: str
    against: str
    interval: Interval
    note: str = ""

    @property
    def arm(self) -> Arm:
        """Our arm."""
        return Arm(self.source, self.strategy, self.labels)

    @property
    def gain(self) -> float:
        """Mean difference over seeds."""
        return self.interval.mean

    @property
    def low(self) -> float:
        """Lower end of the 95% interval."""
        return self.interval.low

    @property
    def high(self) -> float:
        """Upper end of the 95% interval."""
        return self.interval.high

    @property
    def seeds(self) -> int:
        """Seeds that both arms have, and that are paired."""
        return self.interval.seeds


@dataclass(frozen=True)
class Band:
    """An arm's mean score with its 95% interval: one point of a learning curve."""

    arm: Arm
    metric: str
    interval: Interval


def is_transfer(source: str) -> bool:
    """Whether a source brings something learnt before: it is neither an untrained twin nor the TF-IDF
    baseline.

    >>> [is_transfer(source) for source in ("minilm", "minilm-untrained", "tfidf")]
    [True, False, False]
    """
    return source != BASELINE and not source.endswith(UNTRAINED)


def gains(cells: Sequence[Cell], targets: np.ndarray, class_count: int, metrics: Sequence[str] = METRICS) -> list[Gain]:
    """Every arm against its untrained twin (same strategy) and against `tfidf`, with as many labels and the
    same seeds.

    An arm is not compared with itself; a rival that was not run gives no gain.

    Args:
        cells: Finished cells of one test part.
        targets: True class indices of its examples (examples,).
        class_count: Number of classes.
        metrics: `accuracy`, `macro_f1` or both.

    Raises:
        DataError: Cells that can't be paired (another test part, a seed twice, no seed shared).
        SettingError: A metric that has no interval.
    """
    groups = by_arm(cells)
    found = []
    for arm, ours in groups.items():
        for rival in _rivals(arm, groups):
            mine, other = same_seeds(ours, groups[rival])
            for metric in metrics:
                interval = _gain(metric, mine, other, targets, class_count)
                note = _joined(interval.note, _left_out(ours, groups[rival], len(mine)))
                found.append(Gain(*arm, metric, rival.source, interval, note))
    return found


def bands(cells: Sequence[Cell], targets: np.ndarray, class_count: int, metrics: Sequence[str] = METRICS) -> list[Band]:
    """The mean of each arm's scores with its 95% interval; arguments and errors as in `gains`."""
    found = []
    for arm, group in by_arm(cells).items():
        for metric in metrics:
            if _known(metric) == "accuracy":
                interval = interval_of_mean(_correct(group, targets))
            else:
                interval = mean_of(delete_one_macro_f1, targets, _predicted(group, targets), class_count)
            found.append(Band(arm, metric, interval))
    return found


def _rivals(arm: Arm, groups: dict[Arm, list[Cell]]) -> list[Arm]:
    twin = Arm(f"{arm.source}{UNTRAINED}", arm.strategy, arm.labels)
    baseline = [other for other in groups if other.source == BASELINE and other.labels == arm.labels]
    preferred = [other for other in baseline if other.strategy == "feature_extraction"] or baseline
    return [rival for rival in (twin, *preferred[:1]) if rival in groups and rival.source != arm.source]


def _gain(metric: str, ours: list[Cell], theirs: list[Cell], targets: np.ndarray, classes: int) -> Interval:
    if _known(metric) == "accuracy":
        return paired_gain(_correct(ours, targets), _correct(theirs, targets))
    mine, other = _predicted(ours, targets), _predicted(theirs, targets)
    return paired_gain_of(delete_one_macro_f1, targets, mine, other, classes)


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise SettingError(f"no interval is known for {metric!r}; there are: {', '.join(METRICS)}")
    return metric


def _correct(cells: list[Cell], targets: np.ndarray) -> np.ndarray:
    _fitting(cells, targets)
    return np.stack([cell.correct for cell in cells]).astype(np.float64)


def _predicted(cells: list[Cell], targets: np.ndarray) -> np.ndarray:
    _fitting(cells, targets)
    return np.stack([cell.predicted for cell in cells])


def _fitting(cells: list[Cell], targets: np.ndarray) -> None:
    """A cell whose own record of right and wrong contradicts the targets belongs to another test part."""
    for cell in cells:
        if len(cell.correct) != len(targets) or not np.array_equal(cell.predicted == targets, cell.correct):
            raise DataError(f"{cell.arm.name}, seed {cell.seed} was tested on other examples than these {len(targets)}")


def _left_out(ours: list[Cell], theirs: list[Cell], paired: int) -> str:
    unpaired = len(ours) + len(theirs) - 2 * paired
    return f"{unpaired} cells whose seed the other arm lacks are left out" if unpaired else ""


def _joined(*sentences: str) -> str:
    return "; ".join(sentence for sentence in sentences if sentence)
