"""Whether the texts of a stream have become harder: ADWIN over their scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from transferlm.errors import SettingError

__all__ = ["Alarm", "Drift"]


@dataclass(frozen=True)
class Alarm:
    """New texts cost more than the texts before them, by more than chance allows.

    Attributes:
        period: Where it was noticed.
        text: Which text of that period it was noticed at, from 1.
        before: Mean score of the texts before the change.
        after: Mean score since.
    """

    period: str
    text: int
    before: float
    after: float

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {"period": self.period, "text": self.text, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        return f"{self.period}, text {self.text:,}: scores rose from {self.before:.3f} to {self.after:.3f}"


class _Window(Protocol):
    """What ADWIN tells of its window."""

    drift_detected: bool
    total: float
    width: float
    estimation: float

    def update(self, score: float) -> None:
        """Take in one more."""


class Drift:
    """Adaptive windowing (ADWIN; Bifet & Gavaldà 2007), as river has it: the window of texts whose scores are alike.

    A change is noticed where the means of two parts of the window differ by more than chance allows; the older part is
    then dropped. An alarm is given where the newer part is the higher: that text has become easier is no alarm.

    Args:
        delta: Chance of a false alarm at each check, between 0 and 1; river's own 0.002.
    """

    def __init__(self, delta: float = 0.002) -> None:
        if not 0 < delta < 1:
            raise SettingError(f"delta {delta}: give a chance between 0 and 1, such as 0.002")
        from river import drift

        self._window: _Window = cast(Any, drift).ADWIN(delta=delta)  # river tells no types of its own

    def watch(self, period: str, scores: Iterable[float]) -> list[Alarm]:
        """Take in the scores of a period's texts, in their order, and give the alarms."""
        alarms = []
        for number, score in enumerate(scores, start=1):
            total, width = self._window.total + score, self._window.width + 1
            self._window.update(float(score))
            dropped = width - self._window.width
            if not self._window.drift_detected or not dropped:
                continue
            before, after = (total - self._window.total) / dropped, self._window.estimation
            if after > before:
                alarms.append(Alarm(period, number, before, after))
        return alarms
