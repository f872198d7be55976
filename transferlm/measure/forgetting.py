"""The gate of an update: what the model gained and lost on texts it never trained on, and whether that is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from transferlm.errors import ForgettingError, SettingError, UnsupportedError
from transferlm.measure.cost import Cost
from transferlm.measure.held_out import held_out
from transferlm.measure.parts import Changed, Measured, Part
from transferlm.measure.step import Step
from transferlm.models.base import Model
from transferlm.progress import track
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus

__all__ = ["Gate", "Report", "check_limit"]


SHARES = (7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
"""Shares of a step that are tried, from the largest: along a step of counts the loss does not only rise."""
HALVINGS = 3
"""Halvings between the first share that passes and the next larger one, which does not."""


@dataclass(frozen=True)
class Report:
    """What an update did to texts (or labelled examples) that it never trained on, and what it cost.

    Attributes:
        new: Loss on texts of the new kind before and after, or score and loss on labelled examples (`ScoreChange`);
            None where it was not measured.
        old: The same for the old kind.
        accepted: Whether the update stands; False only where it forgot more than was allowed.
        remarks: Why something was not measured.
        share: Share of the update's step that was taken.
        would_pass: After a refusal: the largest share of the same step that passes, and what it would do; None where
            none passes, or the step can't be divided.
        cost: Time, memory and added size; None before they are known.
        kind: What was learnt from: `text` or `examples`.
    """

    new: Changed | None
    old: Changed | None
    accepted: bool
    remarks: tuple[str, ...]
    share: float = 1.0
    would_pass: Report | None = None
    cost: Cost | None = None
    kind: str = "text"

    @property
    def gain(self) -> float | None:
        """How much better the new kind became, in nats a token or points of the score; None where it is not known."""
        return None if self.new is None else self.new.gain

    def as_json(self) -> dict[str, Any]:
        """`old` (or null), `new`, `accepted`, `share`, `cost` and `would_pass` (or null).

        `before` and `after` are losses in nats a token, null where infinite or not measured; of a task model they are
        scores, with the name of the metric and the losses beside them.
        """
        new = self.new.as_json() if self.new else {"before": None, "after": None}
        return {
            "old": self.old.as_json() if self.old else None,
            "new": new,
            "accepted": self.accepted,
            "share": self.share,
            "cost": self.cost.as_json() if self.cost else None,
            "would_pass": self.would_pass.as_json() if self.would_pass else None,
        }

    def __str__(self) -> str:
        changes = (("new", self.new), ("old", self.old))
        lines = [f"{which} {self.kind}: {change or 'not measured'}" for which, change in changes]
        lines += [f"share of the step taken: {self.share:.3g}"] * (self.share < 1)
        return "\n".join([*lines, *self.remarks, *([f"cost: {self.cost}"] if self.cost else [])])


class Gate:
    """Measures a model on what was kept aside, before and after, and refuses what forgot too much.

    Args:
        new: What is to be learnt, a part of it kept aside.
        old: The same of what the model knew before; without it forgetting is not measured.
        limit: By which share the model may become worse on the old part, at the most; none lets everything pass.

    Raises:
        SettingError: There is a limit and nothing old, or a limit below 0.
    """

    def __init__(self, new: Part, old: Part | None, limit: float | None) -> None:
        self.new, self.old, self.limit = new, old, limit
        self._parts = [new] if old is None else [new, old]
        self._found: list[list[Measured | None]] = []

    @classmethod
    def of_texts(cls, new: Corpus, old: Corpus | None, limit: float | None, seed: int) -> Self:
        """The gate of an update with text: the loss on the old text may rise by the limit, relative to what it was.

        Args:
            new: Texts to learn from.
            old: Texts of the kind that the model knew before.
            limit: As for the class.
            seed: Decides which texts are kept aside.

        Raises:
            SettingError: As for the class.
        """
        check_limit(limit, old is not None, "text")
        kept = held_out(new, seed)
        return cls(kept, None if old is None else held_out(old, seed).without(kept.train), limit)

    @property
    def rehearsed(self) -> Corpus | None:
        """What is old and may be trained on."""
        return None if self.old is None else self.old.train

    def measure(self, model: Model) -> None:
        """Score what was kept aside: call it before the update and after it.

        Raises:
            UnsupportedError: Forgetting is limited and can't be measured.
        """
        self._found.append([part.measured(model) for part in self._parts])
        if self.limit is None or self.old is None:
            return
        before = self._found[0][1]
        if before is None or not before.known:
            told = self.old.unmeasured() if before is None else self.old.unknown()
            raise UnsupportedError(f"forgetting can't be limited where it can't be measured: {told}")

    def judge(self, share: float = 1.0) -> Report:
        """The report of both measurements, accepted or not.

        Args:
            share: Share of the step that the model measured last has taken.

        Raises:
            UnsupportedError: Forgetting is limited and can't be measured.
        """
        before, after = self._found
        changes = [
            part.change(b, a) if b and a else part.unmeasured()
            for part, b, a in zip(self._parts, before, after, strict=True)
        ]
        if self.limit is not None and isinstance(changes[-1], str):
            raise UnsupportedError(f"forgetting can't be limited where it can't be measured: {changes[-1]}")
        return self._report(changes, share)

    def judge_again(self, model: Model, share: float) -> Report:
        """The report with another model in the place of the one that was measured after the update."""
        self._found = self._found[:1]
        self.measure(model)
        return self.judge(share)

    def largest_share(self, step: Step) -> tuple[Model, Report] | None:
        """The largest share of a step that is found to pass, to a 64th: its model and report; None where none does.

        What is returned has been measured. It is chosen on the very texts that the report is about: one number on
        hundreds of texts.
        """
        found, failed = None, 1.0
        for share in track(SHARES, "searching a share of the step that passes", unit="shares"):
            found = self._at(step, share)
            if found is not None:
                break
            failed = share
        for _ in range(HALVINGS if found else 0):
            assert found is not None
            middle = (found[1].share + failed) / 2
            larger = self._at(step, middle)
            found, failed = (larger, failed) if larger else (found, middle)
        return found

    def _at(self, step: Step, share: float) -> tuple[Model, Report] | None:
        """The model at a share and its report, if it passes."""
        model = step.at(share)
        report = self.judge_again(model, share)
        return (model, report) if report.accepted else None

    def refusal(self, report: Report, passing: Report | None, divisible: bool) -> ForgettingError:
        """Why an update is refused, and which setting would have passed."""
        assert report.old is not None
        if passing is not None:
            advice = f"the same run passes with --step-share {passing.share}: {_what_passes(report, passing)}"
        elif divisible:
            advice = (
                f"no share of its step passes, down to {SHARES[-1]:.3g}: look at the new {report.kind}, or allow more"
            )
        else:
            advice = "take fewer steps, a lower learning rate, or a higher limit"
        return ForgettingError(
            f"refused: {report.old.worse()}, more than the {self.limit:.2%} allowed; nothing is written: {advice}",
            replace(report, would_pass=passing),
        )

    def tell(self, lineage: Lineage, report: Report) -> None:
        """Put what was measured, and on what, into a model's story."""
        lineage.data += [part.described() for part in self._parts if part.held]
        lineage.notes += report.remarks
        for kind, change in (("new", report.new), ("old", report.old)):
            for when, found in (("before", change.before), ("after", change.after)) if change else ():
                figures = found.figures()
                if figures["loss"] is None:
                    lineage.notes.append(f"{kind} text {when}: the loss was infinite, some token had probability 0")
                known = {f"{kind}_{name}_{when}": figure for name, figure in figures.items() if figure is not None}
                lineage.scores |= known

    def _report(self, changes: Sequence[Changed | str], share: float) -> Report:
        new, old = [None if isinstance(change, str) else change for change in (*changes, None)[:2]]
        remarks = [change for change in changes if isinstance(change, str)]
        if self.old is None:
            remarks.append(f"no old {self.new.kind} {_were(self.new.kind)} given, so forgetting was not measured")
        accepted = self.limit is None or (old is not None and old.rise <= self.limit)
        return Report(new, old, accepted, tuple(dict.fromkeys(remarks)), share, kind=self.new.kind)


def check_limit(limit: float | None, old: bool, kind: str) -> None:
    """Check how much may be forgotten.

    Args:
        limit: The largest share, or none.
        old: Whether there is anything to measure it on.
        kind: What that is: `text` or `examples`.

    Raises:
        SettingError: There is a limit and nothing old, or a limit below 0.
    """
    if limit is not None and not limit >= 0:
        lets = "the old text's loss rise" if kind == "text" else "the old examples' score fall"
        raise SettingError(f"max_forgetting {limit}: give 0 or more; 0.02 lets {lets} by 2%")
    if limit is not None and not old:
        raise SettingError(f"max_forgetting {limit} needs old {kind} to measure on: give some, or leave it out")


def _were(kind: str) -> str:
    return "was" if kind == "text" else "were"


def _what_passes(report: Report, passing: Report) -> str:
    """What a share of the step does to both texts, beside the whole step."""
    assert passing.old is not None
    told = f"old {report.kind} {passing.old.told()}"
    if report.gain is None or passing.gain is None:
        return told
    if report.gain <= 0:
        return f"{told}; the held-out new {report.kind} gains nothing from the whole step"
    return f"{told}, {passing.gain / report.gain:.0%} of the gain on new {report.kind} kept"
