"""The answer of a comparison in one plain sentence: use X, no difference shown, or transfer hurts here.

The arm that the answer is about is the best of those compared, picked on the very test part that it is
judged on, which flatters it. So "use" is said only when its gains stay above zero at the confidence that
Bonferroni's correction asks for, 1 - 0.05/k for the best of k transfer arms; both rivals, untrained twin
and TF-IDF, must be beaten, which needs no further correction (intersection-union test, Berger 1982). The
intervals printed are the plain 95% ones of the tables. The score of the best arm itself is not corrected:
on new text expect a little less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from transferlm.errors import DataError
from transferlm.experiments.cells import Arm, Cell, by_arm, same_seeds
from transferlm.experiments.gains import BASELINE, Gain, is_transfer, judged_by
from transferlm.experiments.wording import figure, name_of_metric, points, sized, spent
from transferlm.measure.intervals import FEW_SEEDS, paired_gain

__all__ = ["Decision", "Verdict", "verdict"]

Decision = Literal["use", "no difference shown", "transfer hurts here", "not measured"]

_CHEAPER = 1.5
"""An arm is called cheaper when another takes at least this many times as long: less is the machine's
mood."""


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Attributes:
        decision: Its kind, for the largest size.
        headline: Its sentence, for the largest size.
        lines: One such sentence a size of training parts, from the smallest to the largest; the last is the headline.
        notes: What weakens or completes the answer, one sentence each.
    """

    decision: Decision
    headline: str
    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.headline, *self.notes))


def verdict(cells: Sequence[Cell], gains: Sequence[Gain], metric: str | None = None) -> Verdict:
    """Judge whether transfer paid, by the best transfer arm at each size.

    "Transfer hurts here" when its 95% interval against its untrained twin or `tfidf` lies wholly below
    zero; "use" when every interval, widened for having picked the best, lies above zero; otherwise "no
    difference shown", which names the cheaper of the two.

    Args:
        cells: Finished cells of one test part.
        gains: What `experiments.gains.gains` makes of them.
        metric: The score it is judged by, one that `gains` holds; None is the task's headline.

    Raises:
        DataError: No cells.
    """
    if not cells:
        raise DataError("no finished cells: there is nothing to judge")
    groups = by_arm(cells)
    metric = metric or judged_by(cells)[0]
    found = [
        _judged(_at(groups, labels), [gain for gain in gains if gain.metric == metric], metric)
        for labels in sorted({arm.labels for arm in groups})
    ]
    decision, headline = found[-1]
    last = _at(groups, max(arm.labels for arm in groups))
    notes = [*_seed_notes(last)]
    if decision == "use":
        notes += _frugal_notes(last, metric)
    return Verdict(decision, headline, tuple(line for _, line in found), tuple(notes))


Groups = dict[Arm, list[Cell]]


def _at(groups: Groups, labels: int) -> Groups:
    return {arm: cells for arm, cells in groups.items() if arm.labels == labels}


def _mean(cells: list[Cell], metric: str) -> float:
    return float(np.mean([cell.scores[metric] for cell in cells]))


def _seconds(cells: list[Cell]) -> float:
    return float(np.mean([cell.seconds for cell in cells]))


def _best(groups: Groups, metric: str, transfer: bool) -> Arm | None:
    arms = [arm for arm in groups if is_transfer(arm.source) == transfer]
    return max(arms, key=lambda arm: _mean(groups[arm], metric), default=None)


def _judged(groups: Groups, gains: Sequence[Gain], metric: str) -> tuple[Decision, str]:
    """The decision and its sentence for the arms of one size."""
    best, scratch = _best(groups, metric, transfer=True), _best(groups, metric, transfer=False)
    at = f"at {_size(next(iter(groups.values())))}"
    if best is None:
        return "not measured", f"Not measured: {at} no source that brings something learnt was compared."
    rivals = [gain for gain in gains if gain.arm == best]
    score = _score(groups[best], metric)
    if not rivals or scratch is None:
        return "not measured", (
            f"Not measured: {at} {best.name} {score}, but neither its untrained twin nor {BASELINE} ran beside it."
        )
    if any(gain.high < 0 for gain in rivals):
        worst = min(rivals, key=lambda gain: gain.gain)
        return "transfer hurts here", (
            f"Transfer hurts here: train from scratch with {_short(scratch)}, which {at}"
            f" {_score(groups[scratch], metric)}; {best.name}, the best transfer arm,"
            f" is {points(worst.interval)} below {_rival(worst)}."
        )
    widened = 1 - 0.05 / sum(is_transfer(arm.source) for arm in groups)
    unshown = [gain for gain in rivals if gain.interval.at(widened).low <= 0]
    if unshown:
        return "no difference shown", _no_difference(groups, min(unshown, key=lambda gain: gain.gain))
    above = " and ".join(f"{points(gain.interval)} above {_rival(gain)}" for gain in rivals)
    return "use", f"Use {best.name}: {at} it {score}, {above}."


def _no_difference(groups: Groups, gain: Gain) -> str:
    """The sentence when the best transfer arm is not shown to beat the arm that `gain` is against."""
    best, twin = gain.arm, Arm(gain.against, gain.strategy, gain.labels)
    rival = twin if twin in groups else next(arm for arm in groups if arm.source == gain.against)
    mine, other = _seconds(groups[best]), _seconds(groups[rival])
    sentence = (
        f"No difference shown: at {_size(groups[best])} {best.name} {_score(groups[best], gain.metric)},"
        f" {points(gain.interval)} {'above' if gain.gain >= 0 else 'below'} {_rival(gain)},"
        " an interval that "
    )
    if gain.low <= 0:
        sentence += "holds zero"
    else:
        arms = sum(is_transfer(arm.source) for arm in groups)
        sentence += f"holds zero once widened for having picked the best of {arms} arms"
    if max(mine, other) < _CHEAPER * min(mine, other):
        return f"{sentence}; both take about {spent(max(mine, other))} a run."
    cheap, costs = (_short(rival), (other, mine)) if other < mine else (best.name, (mine, other))
    return f"{sentence}; {cheap} is the cheaper ({spent(costs[0])} against {spent(costs[1])} a run)."


def _frugal_notes(groups: Groups, metric: str) -> list[str]:
    """A cheaper transfer arm that is not shown to be worse than the best one, if there is one."""
    best = _best(groups, metric, transfer=True)
    if best is None:
        return []
    cost = {arm: _seconds(cells) for arm, cells in groups.items()}
    cheaper = [arm for arm in groups if is_transfer(arm.source) and _CHEAPER * cost[arm] <= cost[best]]
    for arm in sorted(cheaper, key=lambda arm: cost[arm]):
        ours, theirs = same_seeds(groups[best], groups[arm])
        mine, other = (np.stack([cell.contributions[metric] for cell in arm_cells]) for arm_cells in (ours, theirs))
        lead = paired_gain(mine, other)
        if lead.low <= 0:
            return [
                f"{arm.name} is not shown to be worse ({points(lead)} below) and takes {spent(cost[arm])}"
                f" a run instead of {spent(cost[best])}."
            ]
    return []


def _seed_notes(groups: Groups) -> list[str]:
    seeds = min(len(cells) for cells in groups.values())
    if seeds == 1:
        return ["One seed only: the intervals are weak, since they cover the choice of test examples alone."]
    if seeds < FEW_SEEDS:
        return [f"Only {seeds} seeds: the intervals are weak, {FEW_SEEDS} or more are better."]
    return []


def _size(cells: list[Cell]) -> str:
    return sized(cells[0].labels, cells[0].per_class)


def _score(cells: list[Cell], metric: str) -> str:
    score, name = figure(metric, _mean(cells, metric)), name_of_metric(metric)
    if metric == "accuracy":
        return f"is {score} accurate"
    return f"has {'an' if name.startswith(('F1', 'e')) else 'a'} {name} of {score}"


def _short(arm: Arm) -> str:
    return arm.source if arm.source == BASELINE else arm.name


def _rival(gain: Gain) -> str:
    return BASELINE if gain.against == BASELINE else "the same model untrained"
