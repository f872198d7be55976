"""By how much each arm of a comparison beats its untrained twin and the TF-IDF baseline, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferlm.errors import SettingError
from transferlm.experiments.cells import Arm, Cell, by_arm, same_seeds
from transferlm.measure.intervals import Interval, interval_of_mean, paired_gain

__all__ = ["BASELINE", "UNTRAINED", "Band", "Gain", "bands", "gains", "is_transfer", "judged_by"]

BASELINE = "tfidf"
"""Source of the strong baseline without transfer."""

UNTRAINED = "-untrained"
"""End of the source name of a from-scratch twin."""


@dataclass(frozen=True)
class Gain:
    """How much better one arm is than another with as many labels; 0.01 is one point.

    Attributes:
        source: Our source.
        strategy: Our strategy.
        labels: Labels a class (examples, where none has a class), of both.
        metric: A metric that cells hold contributions to.
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


def judged_by(cells: Sequence[Cell]) -> list[str]:
    """The metrics that all cells hold contributions to, the headline first."""
    return [metric for metric in cells[0].contributions if all(metric in cell.contributions for cell in cells)]


def gains(cells: Sequence[Cell], metrics: Sequence[str] | None = None) -> list[Gain]:
    """Every arm against its untrained twin (same strategy) and against `tfidf`, with as many labels and the
    same seeds.

    An arm is not compared with itself; a rival that was not run gives no gain.

    Args:
        cells: Finished cells of one test part.
        metrics: Some of those that `judged_by` names; None is all.

    Raises:
        DataError: Cells that can't be paired (another test part, a seed twice, no seed shared).
        SettingError: A metric that has no interval.
    """
    groups = by_arm(cells)
    found = []
    for arm, ours in groups.items():
        for rival in _rivals(arm, groups):
            mine, other = same_seeds(ours, groups[rival])
            for metric in _known(metrics, cells):
                interval = paired_gain(_contributions(mine, metric), _contributions(other, metric))
                note = _joined(interval.note, _left_out(ours, groups[rival], len(mine)))
                found.append(Gain(*arm, metric, rival.source, interval, note))
    return found


def bands(cells: Sequence[Cell], metrics: Sequence[str] | None = None) -> list[Band]:
    """The mean of each arm's scores with its 95% interval; arguments and errors as in `gains`."""
    return [
        Band(arm, metric, interval_of_mean(_contributions(group, metric)))
        for arm, group in by_arm(cells).items()
        for metric in _known(metrics, cells)
    ]


def _rivals(arm: Arm, groups: dict[Arm, list[Cell]]) -> list[Arm]:
    twin = Arm(f"{arm.source}{UNTRAINED}", arm.strategy, arm.labels)
    baseline = [other for other in groups if other.source == BASELINE and other.labels == arm.labels]
    preferred = [other for other in baseline if other.strategy == "feature_extraction"] or baseline
    return [rival for rival in (twin, *preferred[:1]) if rival in groups and rival.source != arm.source]


def _known(metrics: Sequence[str] | None, cells: Sequence[Cell]) -> Sequence[str]:
    known = judged_by(cells)
    strange = next((metric for metric in metrics or () if metric not in known), None)
    if strange is not None:
        raise SettingError(f"no interval is known for {strange!r}; there are: {', '.join(known)}")
    return known if metrics is None else metrics


def _contributions(cells: Sequence[Cell], metric: str) -> np.ndarray:
    return np.stack([cell.contributions[metric] for cell in cells])


def _left_out(ours: list[Cell], theirs: list[Cell], paired: int) -> str:
    unpaired = len(ours) + len(theirs) - 2 * paired
    return f"{unpaired} cells whose seed the other arm lacks are left out" if unpaired else ""


def _joined(*sentences: str) -> str:
    return "; ".join(sentence for sentence in sentences if sentence)
