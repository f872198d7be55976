"""The tables and the headline of `few_labels.py`, made from whatever cells there are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import mean

import numpy as np

from transferlm.experiments.cells import Cell, same_seeds
from transferlm.measure.intervals import Interval, paired_gain

__all__ = ["Table"]

PEER = "SetFit"
SHARE_OF_TIME = 0.2
TUNED, TWIN, ON = "fine_tuning", "fine_tuning (untrained)", "trec"
ACCURACY, GAIN = 0.87, 0.15


class Table:
    """Cells by arm, data set and size, as people and the headline read them.

    Args:
        cells: Finished cells; `source` is the data set, `strategy` the arm.
        ours: The arm that the headline is about.
        judged: The data sets whose mean it compares.
    """

    def __init__(self, cells: Sequence[Cell], ours: str, judged: Sequence[str]) -> None:
        self.ours, self.judged = ours, judged
        self.cells: dict[tuple[str, str, int], list[Cell]] = {}
        for cell in cells:
            self.cells.setdefault((cell.strategy, cell.source, cell.labels), []).append(cell)
        self.arms = list(dict.fromkeys(arm for arm, _, _ in self.cells))
        self.sets = list(dict.fromkeys(name for _, name, _ in self.cells))
        self.sizes = sorted({key[2] for key in self.cells})

    def __str__(self) -> str:
        return "\n".join(line for size in self.sizes for line in (*self._accuracies(size), *self._gains(size), ""))

    def headline(self) -> tuple[str, bool]:
        """What the targets ask, in sentences, and whether all are met: a comparison that is missing misses."""
        parts = [self._beside_peer(size) for size in self.sizes]
        parts += [self._time(max(self.sizes, default=0)), self._beside_untrained(max(self.sizes, default=0))]
        met = all(good for _, good in parts) and len(self.sizes) > 1
        return " ".join(told for told, _ in parts) + f" Targets: {'met' if met else 'missed'}.", met

    def _accuracies(self, size: int) -> list[str]:
        lines = [f"{size} labels a class: accuracy, mean and deviation over draws (draws); training, seconds a draw"]
        lines.append(f"{'':32}" + "".join(f"{name:>16}" for name in self.sets) + f"{'processor s':>13}{'wall s':>8}")
        for arm in self.arms:
            row, spent, wall = f"{arm:32}", [], []
            for name in self.sets:
                cells = self.cells.get((arm, name, size), [])
                values = [100 * cell.scores["accuracy"] for cell in cells]
                told = f"{mean(values):.1f} ± {np.std(values):.1f} ({len(values)})" if values else "not run"
                row += f"{told:>16}"
                spent += [cell.extras["train_processor_seconds"] for cell in cells]
                wall += [cell.seconds for cell in cells if _quiet(cell)]
            times = [f"{mean(spent):.1f}" if spent else "", f"{mean(wall):.1f}" if wall else "busy" if spent else ""]
            lines.append(row + f"{times[0]:>13}{times[1]:>8}")
        return lines

    def _gains(self, size: int) -> list[str]:
        """By how much ours is above each other arm: points with a 95% interval over draws and test texts."""
        lines = [f"  points of {self.ours} above"]
        for arm in self.arms:
            told = []
            for name in self.sets:
                gain = None if arm == self.ours else self._gain((self.ours, arm), name, size)
                if gain is not None:
                    told.append(f"{name} {100 * gain.gain:+.1f} [{100 * gain.low:.1f}, {100 * gain.high:.1f}]")
            lines += [f"  {arm:30}{', '.join(told)}"] * bool(told)
        return lines if len(lines) > 1 else []

    def _gain(self, arms: tuple[str, str], name: str, size: int) -> Interval | None:
        """By how much the first arm is above the second, over the draws that both have; None where there are none."""
        ours, theirs = (self.cells.get((which, name, size), []) for which in arms)
        if not {cell.seed for cell in ours} & {cell.seed for cell in theirs}:
            return None
        pairs = same_seeds(ours, theirs)
        one, other = (np.stack([cell.contributions["accuracy"] for cell in side]) for side in pairs)
        return paired_gain(one, other)

    def _pairs(self, size: int) -> dict[str, tuple[list[Cell], list[Cell]]]:
        """Data set -> our cells and the peer's of the same draws, where there are any."""
        found = {}
        for name in self.judged:
            ours, theirs = (self.cells.get((arm, name, size), []) for arm in (self.ours, PEER))
            if {cell.seed for cell in ours} & {cell.seed for cell in theirs}:
                found[name] = same_seeds(ours, theirs)
        return found

    def _beside_peer(self, size: int) -> tuple[str, bool]:
        pairs = self._pairs(size)
        if not pairs:
            return f"{size} labels a class: not compared with {PEER}.", False
        ours, theirs = (
            mean(mean(c.scores["accuracy"] for c in pair[side]) for pair in pairs.values()) for side in (0, 1)
        )
        whole = len(pairs) == len(self.judged)
        draws = sum(len(pair[0]) for pair in pairs.values())
        means = f"{self.ours} {ours:.1%}, {PEER} {theirs:.1%}"
        told = f"{size} labels a class: {means} over {', '.join(pairs)} ({draws} draws)."
        return told + ("" if whole else " Not all sets!"), whole and ours >= theirs

    def _time(self, size: int) -> tuple[str, bool]:
        """Training's share of the peer's time at the larger size; wall time where both began on a quiet machine."""
        pairs = [pair for two in self._pairs(size).values() for pair in zip(*two, strict=True)]
        if not pairs:
            return f"Time at {size} labels a class: not compared.", False
        quiet = [pair for pair in pairs if all(_quiet(cell) for cell in pair)]
        if quiet:
            ours, theirs = (sum(pair[side].seconds for pair in quiet) for side in (0, 1))
        else:
            ours, theirs = (sum(pair[side].extras["train_processor_seconds"] for pair in pairs) for side in (0, 1))
        kind = "wall time, quiet" if quiet else "processor time, the machine was busy"
        share = ours / theirs
        told = f"Training with {size} takes {share:.1%} of {PEER}'s time (target {SHARE_OF_TIME:.0%}; {kind})."
        return told, share <= SHARE_OF_TIME

    def _beside_untrained(self, size: int) -> tuple[str, bool]:
        gain = self._gain((TUNED, TWIN), ON, size)
        if gain is None:
            return f"{TUNED} on {ON} with {size}: not compared with untrained.", False
        accuracy = mean(cell.scores["accuracy"] for cell in self.cells[TUNED, ON, size])
        told = (
            f"{TUNED} on {ON} with {size}: {accuracy:.1%} (target above {ACCURACY:.0%}), {100 * gain.gain:.1f} points"
            f" [{100 * gain.low:.1f}, {100 * gain.high:.1f}] above untrained (target above {100 * GAIN:.0f})."
        )
        return told, accuracy > ACCURACY and gain.gain > GAIN


def _quiet(cell: Cell) -> bool:
    """Whether its training began while the machine had little else to do."""
    return bool(cell.extras["load"] < (os.cpu_count() or 1) / 2)
