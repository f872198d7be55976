"""One trained and tested model of a comparison, and how such cells are grouped and paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from transferlm.errors import DataError
from transferlm.experiments.wording import sized

__all__ = ["Arm", "Cell", "by_arm", "same_seeds"]


class Arm(NamedTuple):
    """What is compared: a source with a strategy, at so many labels a class (or examples, where none has a class)."""

    source: str
    strategy: str
    labels: int

    @property
    def name(self) -> str:
        """As a person reads it, without the number of labels.

        >>> Arm("minilm", "fine_tuning", 64).name
        'minilm with fine_tuning'
        """
        return f"{self.source} with {self.strategy}"


@dataclass(frozen=True)
class Cell:
    """One arm with one seed, trained and tested.

    Attributes:
        source: Name of the source; that of an untrained twin ends in `-untrained`.
        strategy: Name of the strategy.
        labels: Labelled training examples a class; all of them where examples have no class.
        seed: The seed of the draw of training examples and of training.
        scores: Every metric of the task by name, the headline first.
        seconds: Wall time of training and testing.
        peak_bytes: Peak resident memory meanwhile.
        targets: Hash of the test part, so that only cells of one test part are paired.
        contributions: Metric -> what each test example contributes to it, float64 (examples,), whose mean is the
            metric (`Task.contributions`): what intervals are made of.
        per_class: Whether `labels` counts examples a class.
        extras: What else is worth knowing, as JSON values: share of the text read, training rows, classes
            capped.
    """

    source: str
    strategy: str
    labels: int
    seed: int
    scores: dict[str, float]
    seconds: float
    peak_bytes: int
    targets: str
    contributions: dict[str, np.ndarray]
    per_class: bool = True
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def examples(self) -> int:
        """Number of test examples."""
        return len(next(iter(self.contributions.values()), ()))

    @property
    def arm(self) -> Arm:
        """Source, strategy and labels: what its cells of other seeds share."""
        return Arm(self.source, self.strategy, self.labels)


def by_arm(cells: Sequence[Cell]) -> dict[Arm, list[Cell]]:
    """Cells grouped by arm in the order of their first cell, each group ordered by seed.

    Raises:
        DataError: Two cells of one arm and seed, or cells of different test parts.
    """
    groups: dict[Arm, list[Cell]] = {}
    for cell in cells:
        if cell.targets != cells[0].targets or cell.examples != cells[0].examples:
            raise DataError(f"{cell.arm.name} was tested on other examples than {cells[0].arm.name}: use one test part")
        groups.setdefault(cell.arm, []).append(cell)
    for arm, group in groups.items():
        group.sort(key=lambda cell: cell.seed)
        if len({cell.seed for cell in group}) < len(group):
            place = f"{arm.name}, {sized(arm.labels, group[0].per_class)}"
            raise DataError(f"{place} has two cells of one seed: name its variants apart")
    return groups


def same_seeds(ours: Sequence[Cell], theirs: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """The cells of two arms whose seeds both have, in the order of those seeds.

    Raises:
        DataError: They share no seed.
    """
    shared = {cell.seed for cell in ours} & {cell.seed for cell in theirs}
    if not shared:
        raise DataError(f"{ours[0].arm.name} and {theirs[0].arm.name} share no seed: nothing can be paired")
    return [cell for cell in ours if cell.seed in shared], [cell for cell in theirs if cell.seed in shared]
