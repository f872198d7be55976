"""The gate of an update: what the model gained and lost on texts it never trained on, and whether that is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from transferlm.errors import ForgettingError, SettingError, UnsupportedError
from transferlm.measure.cost import Cost
from transferlm.measure.held_out import Change, HeldOut, Loss, held_out
from transferlm.measure.language import finite
from transferlm.measure.step import Step
from transferlm.models.base import Model
from transferlm.progress import track
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus

__all__ = ["Gate", "Report"]


SHARES = (7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
"""Shares of a step that are tried, from the largest: along a step of counts the loss does not only rise."""
HALVINGS = 3
"""Halvings between the first share that passes and the next larger one, which does not."""


@dataclass(frozen=True)
class Report:
    """What an update did to texts that it never trained on, and what it cost.

    Attributes:
        new: Loss on texts of the new kind before and after; None where it was not measured.
        old: The same for the old kind.
        accepted: Whether the update stands; False only where it forgot more than was allowed.
        remarks: Why something was not measured.
        share: Share of the update's step that was taken.
        would_pass: After a refusal: the largest share of the same step that passes, and what it would do; None where
            none passes, or the step can't be divided.
        cost: Time, memory and added size; None before they are known.
    """

    new: Change | None
    old: Change | None
    accepted: bool
    remarks: tuple[str, ...]
    share: float = 1.0
    would_pass: Report | None = None
    cost: Cost | None = None

    @property
    def gain(self) -> float | None:
        """By how many nats a token the loss on the new text fell; None where it was not measured or is infinite."""
        return None if self.new is None else finite(self.new.before.nats - self.new.after.nats)

    def as_json(self) -> dict[str, Any]:
        """`old` (or null), `new`, `accepted`, `share`, `cost` and `would_pass` (or null); losses in nats a token, null
        where infinite or not measured.
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
        lines = [f"{kind} text: {change or 'not measured'}" for kind, change in (("new", self.new), ("old", self.old))]
        lines += [f"share of the step taken: {self.share:.3g}"] * (self.share < 1)
        return "\n".join([*lines, *self.remarks, *([f"cost: {self.cost}"] if self.cost else [])])


class Gate:
    """Keeps texts aside, measures a model on them before and after, and refuses what forgot too much.

    Args:
        new: Texts to learn from.
        old: Texts of the kind that the model knew before; without them forgetting is not measured.
        limit: Largest relative rise of the loss on the old text; none lets everything pass.
        seed: Decides which texts are kept aside.

    Raises:
        SettingError: There is a limit and no old text, or a limit below 0.
    """

    def __init__(self, new: Corpus, old: Corpus | None, limit: float | None, seed: int) -> None:
        if limit is not None and not limit >= 0:
            raise SettingError(f"max_forgetting {limit}: give 0 or more; 0.02 lets the old text's loss rise by 2%")
        if limit is not None and old is None:
            raise SettingError(f"max_forgetting {limit} needs old text to measure on: give some, or leave it out")
        self.limit = limit
        self.new = held_out(new, seed)
        self.old = None if old is None else held_out(old, seed).without(self.new.train)
        self._parts = [self.new] if self.old is None else [self.new, self.old]
        self._losses: list[list[Loss | None]] = []

    @property
    def rehearsed(self) -> Corpus | None:
        """The old text that may be trained on."""
        return None if self.old is None else self.old.train

    def measure(self, model: Model) -> None:
        """Score the held-out texts: call it before the update and after it.

        Raises:
            UnsupportedError: Forgetting is limited and can't be measured.
        """
        self._losses.append([part.loss(model) for part in self._parts])
        if self.limit is None or self.old is None:
            return
        loss = self._losses[0][1]
        if loss is None or finite(loss.nats) is None:
            told = _unmeasured(self.old) if loss is None else "the old text has probability 0 before the update already"
            raise UnsupportedError(f"forgetting can't be limited where it can't be measured: {told}")

    def judge(self, share: float = 1.0) -> Report:
        """The report of both measurements, accepted or not.

        Args:
            share: Share of the step that the model measured last has taken.

        Raises:
            UnsupportedError: Forgetting is limited and can't be measured.
        """
        before, after = self._losses
        changes = [
            Change(b, a) if b and a and b.vocabulary == a.vocabulary else None
            for b, a in zip(before, after, strict=True)
        ]
        if self.limit is not None and changes[-1] is None:
            raise UnsupportedError(f"forgetting can't be limited where it can't be measured: {_OTHER_WORDS}")
        return self._report(changes, share)

    def judge_again(self, model: Model, share: float) -> Report:
        """The report with another model in the place of the one that was measured after the update."""
        self._losses = self._losses[:1]
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
            advice = f"no share of its step passes, down to {SHARES[-1]:.3g}: look at the new text, or allow more"
        else:
            advice = "take fewer steps, a lower learning rate, or a higher limit"
        return ForgettingError(
            f"refused: the loss on held-out old text rose by {report.old.rise:.2%} ({report.old.before.nats:.4f}"
            f" to {report.old.after.nats:.4f} nats a token), more than the {self.limit:.2%} allowed; nothing is"
            f" written: {advice}",
            replace(report, would_pass=passing),
        )

    def tell(self, lineage: Lineage, report: Report) -> None:
        """Put what was measured, and on what, into a model's story."""
        lineage.data += [part.described() for part in self._parts if part.texts]
        lineage.notes += report.remarks
        for kind, change in (("new", report.new), ("old", report.old)):
            for when, loss in (("before", change.before), ("after", change.after)) if change else ():
                figures = {"loss": finite(loss.nats), "bits_per_byte": finite(loss.bits_per_byte)}
                if figures["loss"] is None:
                    lineage.notes.append(f"{kind} text {when}: the loss was infinite, some token had probability 0")
                known = {f"{kind}_{name}_{when}": figure for name, figure in figures.items() if figure is not None}
                lineage.scores |= known

    def _report(self, changes: Sequence[Change | None], share: float) -> Report:
        old = changes[1] if self.old is not None else None
        remarks = [
            _unmeasured(part) if loss is None else _OTHER_WORDS
            for part, change, loss in zip(self._parts, changes, self._losses[0], strict=True)
            if change is None
        ]
        if self.old is None:
            remarks.append("no old text was given, so forgetting was not measured")
        accepted = self.limit is None or (old is not None and old.rise <= self.limit)
        return Report(changes[0], old, accepted, tuple(dict.fromkeys(remarks)), share)


_OTHER_WORDS = (
    "the vocabulary is closed and has changed, so that losses before and after are not of the same tokens: open it"
    " (open_vocabulary) to have them compared"
)


def _what_passes(report: Report, passing: Report) -> str:
    """What a share of the step does to both texts, beside the whole step."""
    assert passing.old is not None
    told = f"old text {passing.old.rise:+.2%}"
    if report.gain is None or passing.gain is None:
        return told
    if report.gain <= 0:
        return f"{told}; the held-out new text gains nothing from the whole step"
    return f"{told}, {passing.gain / report.gain:.0%} of the new text's gain kept"


def _unmeasured(part: HeldOut) -> str:
    if part.texts:
        return "the model has no loss of its own to measure with (no head that predicts tokens)"
    return f"{part.name} holds no text that could be kept aside: give several, not all of them in the new text too"
