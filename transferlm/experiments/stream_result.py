"""What a stream showed: every score after every update, what was forgotten, and whether updating paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from transferlm.measure.cost import Cost
from transferlm.measure.drift import Alarm
from transferlm.measure.intervals import Interval
from transferlm.measure.text_scores import TextScores, gap
from transferlm.models.base import Model

__all__ = ["Stream"]


@dataclass(frozen=True)
class Stream:
    """A model that was updated period by period, each period scored before it was learnt.

    Scores are losses: lower is better. Gains, gaps and transfers are differences of losses, above 0 where something is
    better for it.

    Attributes:
        periods: Names of the periods, the earliest first.
        unit: `bits per byte`, or `nats a token` where the vocabulary is closed.
        matrix: Loss on the held-out part of period i after j updates: float64 of shape (periods, periods + 1). Column 0
            is the model given; period i is learnt in update i + 1.
        old: Loss on the held-out old text after j updates: float64 of shape (periods + 1,); None without old text.
        served: Scores of each period's texts before it was learnt: by the model that had learnt all earlier ones.
        frozen: Scores of the same texts by the model given.
        alarms: Where new texts' scores rose by more than chance allows.
        costs: What each update cost.
        model: The model after the last update; the held-out parts were never learnt.
        facts: What decides the figures: model, method, texts, seed, versions.
    """

    periods: tuple[str, ...]
    unit: str
    matrix: np.ndarray
    old: np.ndarray | None
    served: tuple[TextScores, ...]
    frozen: tuple[TextScores, ...]
    alarms: tuple[Alarm, ...]
    costs: tuple[Cost, ...]
    model: Model
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def average_forgetting(self) -> float:
        """How much worse the held-out parts of all periods but the last are at the end than they were at their best
        after any earlier update (Chaudhry et al. 2018, eq. 3, for losses): above 0 something was forgotten.
        """
        past = self.matrix[:-1]
        return float((past[:, -1] - past[:, 1:-1].min(axis=1)).mean())

    @property
    def backward_transfer(self) -> float:
        """How much better all periods but the last are at the end than just after they were learnt (Lopez-Paz & Ranzato
        2017, eq. 3, for losses): above 0 later text helped earlier text, below 0 it was forgotten.
        """
        learnt = np.diagonal(self.matrix, 1)[:-1]
        return float((learnt - self.matrix[:-1, -1]).mean())

    @property
    def forward_transfer(self) -> float:
        """How much better all periods but the first are just before they are learnt than under the model given
        (Lopez-Paz & Ranzato 2017, eq. 4, for losses; the model given stands for their untrained one): above 0 what was
        learnt helps text to come.
        """
        before = np.diagonal(self.matrix)[1:]
        return float((self.matrix[1:, 0] - before).mean())

    @property
    def gap(self) -> Interval:
        """How much the updated model gains over the frozen one on texts that neither has learnt, over all periods but
        the first, before which nothing was learnt.
        """
        return gap(self.frozen[1:], self.served[1:])

    @property
    def gaps(self) -> list[Interval | None]:
        """The gap of each period; None for the first, and for one of a single text."""
        pairs = list(zip(self.frozen, self.served, strict=True))
        return [None, *(gap([theirs], [ours]) if len(ours.costs) > 1 else None for theirs, ours in pairs[1:])]

    @property
    def verdict(self) -> str:
        """One sentence: whether updating paid."""
        found = self.gap
        told = f"{found.mean:+.4f} {self.unit} [{found.low:+.4f}, {found.high:+.4f}]"
        if found.low > 0:
            return f"updating pays: the updated model gains {told} over the frozen one"
        if found.high < 0:
            return f"updating hurts: the updated model gains {told} over the frozen one"
        return f"no difference is shown between the updated and the frozen model: {told}"

    def as_json(self) -> dict[str, Any]:
        """Every figure as plain data, unrounded."""
        return {
            "periods": list(self.periods),
            "unit": self.unit,
            "matrix": self.matrix.tolist(),
            "old": None if self.old is None else self.old.tolist(),
            "served": [scores.mean for scores in self.served],
            "frozen": [scores.mean for scores in self.frozen],
            "gaps": [None if found is None else _plain(found) for found in self.gaps],
            "gap": _plain(self.gap),
            "average_forgetting": self.average_forgetting,
            "backward_transfer": self.backward_transfer,
            "forward_transfer": self.forward_transfer,
            "alarms": [alarm.as_json() for alarm in self.alarms],
            "costs": [cost.as_json() for cost in self.costs],
            "verdict": self.verdict,
            "facts": dict(self.facts),
        }

    def __str__(self) -> str:
        lines = [
            self.verdict,
            f"average forgetting {self.average_forgetting:+.4f}, backward transfer {self.backward_transfer:+.4f}, "
            f"forward transfer {self.forward_transfer:+.4f} {self.unit}",
            *(f"alarm: {alarm}" for alarm in self.alarms),
        ]
        if self.old is not None:
            lines.append(f"old text: {self.old[0]:.4f} before, {self.old[-1]:.4f} after all updates, {self.unit}")
        return "\n".join(lines)

    def rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Of each period its name, the updated model's loss, the frozen one's, the gap and what learning it cost."""
        for period, ours, theirs, gap_of, cost in zip(
            self.periods, self.served, self.frozen, self.gaps, self.costs, strict=True
        ):
            told = "" if gap_of is None else f"{gap_of.mean:+.4f} [{gap_of.low:+.4f}, {gap_of.high:+.4f}]"
            yield period, f"{ours.mean:.4f}", f"{theirs.mean:.4f}", told, str(cost)

    def report(self, path: str | Path, title: str = "A model over time") -> None:
        """Write one self-contained HTML page.

        Raises:
            SettingError: The file can't be written.
        """
        from transferlm.experiments.stream_page import variables
        from transferlm.experiments.templates import write_page

        write_page(path, "stream.html", variables(self, title))


def _plain(interval: Interval) -> dict[str, float]:
    return {"gain": interval.mean, "low": interval.low, "high": interval.high}
