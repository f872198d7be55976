"""Labelled examples kept aside from an update, and how a task model does on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from transferlm.errors import DataError
from transferlm.labelled.learner import Learner
from transferlm.models.base import Model
from transferlm.tasks.base import Examples
from transferlm.text.corpus import Corpus

__all__ = ["HeldOutExamples", "ScoreChange", "TaskFigures", "all_held_out", "held_out_examples"]

SHARE, MOST = 0.2, 1000
"""A fifth is held out, and no more than some thousand: a twentieth of a few hundred labels would tell nothing."""


@dataclass(frozen=True)
class TaskFigures:
    """How a task model does on examples.

    Attributes:
        metric: The task's metric that updates are judged by (`Task.judged_by`), larger being better.
        score: Its value.
        loss: The mean loss, in nats a prediction, or in squared standard deviations for numbers.
    """

    metric: str
    score: float
    loss: float

    @property
    def known(self) -> bool:
        """Whether a change from it can be told as a share: it is above 0."""
        return self.score > 0

    def figures(self) -> dict[str, float | None]:
        """Score and loss."""
        return {self.metric: self.score, "loss": self.loss}


@dataclass(frozen=True)
class ScoreChange:
    """The score before and after, with the loss beside it."""

    before: TaskFigures
    after: TaskFigures

    @property
    def rise(self) -> float:
        """By which share of what it was the score fell: 0.02 is 2%; negative where it rose."""
        if not self.before.known:
            return 0.0 if self.after.score >= self.before.score else float("inf")
        return 1 - self.after.score / self.before.score

    @property
    def gain(self) -> float:
        """By how much the score rose."""
        return self.after.score - self.before.score

    def told(self) -> str:
        """The score before and after."""
        share = f" ({0 - self.rise:+.2%})" if self.before.known else ""
        return f"{self._metric} {self.before.score:.4f} to {self.after.score:.4f}{share}"

    def worse(self) -> str:
        """By how much it fell, as a refusal says it."""
        return (
            f"the {self._metric} on held-out old examples fell by {self.rise:.2%} ({self.before.score:.4f} to"
            f" {self.after.score:.4f})"
        )

    def as_json(self) -> dict[str, Any]:
        """The score `before` and `after`, the `metric`, and the `loss` before and after."""
        loss = {"before": self.before.loss, "after": self.after.loss}
        return {"before": self.before.score, "after": self.after.score, "metric": self.before.metric, "loss": loss}

    def __str__(self) -> str:
        before, after = self.before, self.after
        return f"{self.told()}, loss {before.loss:.4f} before, {after.loss:.4f} after"

    @property
    def _metric(self) -> str:
        return self.before.metric.replace("_", " ").replace("f1", "F1")


@dataclass(frozen=True)
class HeldOutExamples:
    """Examples kept aside to be scored.

    Attributes:
        name: Where they come from.
        train: The records of the rest, for training; None where there is no rest.
        examples: Those kept aside, none of which stands in a training part; possibly none.
    """

    name: str
    train: Corpus | None
    examples: Examples
    kind: ClassVar[str] = "examples"

    @property
    def held(self) -> bool:
        """Whether any could be kept aside."""
        return len(self.examples) > 0

    def without(self, trained_on: Examples) -> HeldOutExamples:
        """The same without examples whose input stands, word for word, in another training part."""
        return HeldOutExamples(self.name, self.train, _unseen(self.examples, trained_on))

    def measured(self, model: Model) -> TaskFigures | None:
        """Score and loss of a learner; None where nothing could be kept aside."""
        assert isinstance(model, Learner)
        if not self.held:
            return None
        metric = self.examples.task.judged_by
        score = model.task_model().score(self.examples).metrics[metric]
        objective = model.objective(_records(self.examples))
        objective.module.eval()
        with torch.inference_mode():
            return TaskFigures(metric, score, objective.mean_loss())

    def change(self, before: Any, after: Any) -> ScoreChange:
        """What changed from one measurement to another."""
        return ScoreChange(before, after)

    def unmeasured(self) -> str:
        """Why there is nothing to measure on."""
        return (
            f"{self.name} has too few examples for some to be kept aside, or all of them are trained on too: give"
            " several of each label"
        )

    def unknown(self) -> str:
        """Why what was measured can't be compared with."""
        return f"the {self.examples.task.judged_by} on old examples is 0 or below before the update already"

    def described(self) -> dict[str, Any]:
        """For a lineage."""
        return {**self.examples.described(), "name": f"{self.name} (held out)"}


def held_out_examples(examples: Examples, seed: int) -> tuple[HeldOutExamples, Examples]:
    """Keep a fifth aside, a thousand at the most, every label among them; and the examples that are left to train on.

    Raises:
        DataError: There are none.
    """
    if not len(examples):
        raise DataError(f"{examples.name}: no examples to learn from")
    train, held = examples.hold_out(min(SHARE, MOST / len(examples)), seed)
    rest = examples.subset(train)
    return HeldOutExamples(examples.name, _records(rest), _unseen(examples.subset(held), rest)), rest


def all_held_out(examples: Examples) -> HeldOutExamples:
    """Examples that nothing is trained on: all of them are there to be scored."""
    return HeldOutExamples(examples.name, None, examples)


def _records(examples: Examples) -> Corpus:
    corpus = Corpus(list(examples.records()))
    corpus.name = examples.name
    return corpus


def _unseen(examples: Examples, others: Examples) -> Examples:
    seen = set(others.strings)
    return examples.subset(np.array([row for row, text in enumerate(examples.strings) if text not in seen], np.int64))
