"""Learn from unlabelled text too: the texts that a model is sure of become examples for the next one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from transferlm import catalog
from transferlm.errors import SettingError
from transferlm.models.base import Encoder, Model
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.strategies._labels import refuse_empty_labels
from transferlm.strategies._temperature import sharpness_of
from transferlm.strategies._unlabelled import Unlabelled
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples, Task

__all__ = ["PseudoLabels"]

_BOUNDS = (0.05, 20.0)


@dataclass(frozen=True)
class PseudoLabels(Strategy):
    """Self-training (Yarowsky 1995; Lee 2013): a strategy learns again and again, from more texts that it labelled.

    Each round takes the texts of each class of which the model is surest, in the classes' shares among the labelled
    examples, and forgets the choice of the round before. How sure it is, is calibrated by one temperature, fitted to
    labelled examples that were left out in turn: few labels make models that are too sure of themselves.
    """

    unlabelled: str | None = None
    """File of unlabelled texts: one a line, or a table with the task's text column."""
    inner: str = "feature_extraction"
    """Name of the strategy that learns, with its defaults."""
    rounds: int = 3
    """Times that it learns from its own labels."""
    share: float = 0.5
    """Share of the unlabelled texts that the last round takes at the most; those before take fewer, evenly rising."""
    least_confidence: float = 0.7
    """Calibrated probability below which a text is left out."""
    limit: int = 2000
    """Unlabelled texts that are read at the most, drawn by the seed."""
    folds: int = 3
    """Folds in which labelled examples are left out, fewer where a class has fewer."""

    requires: ClassVar[tuple[type, ...]] = (Encoder,)

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("limit", 1), ("folds", 2)):
            if getattr(self, name) < least:
                raise SettingError(f"{name} {getattr(self, name)}: give {least} or more")
        for name in ("share", "least_confidence"):
            if not 0 < getattr(self, name) <= 1:
                raise SettingError(f"{name} {getattr(self, name)}: give a share above 0, up to 1")
        if self.inner == catalog.name_of(self):
            raise SettingError(f"inner {self.inner!r}: name another strategy than this one")
        catalog.entry("strategies", self.inner)

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:
        """Learn from the labelled texts, then from both, in rounds.

        Raises:
            SettingError: No file of unlabelled texts is named.
            DataError: A label has no example, or there are no unlabelled texts.
        """
        if self.unlabelled is None:
            raise SettingError("pseudo_labels needs texts without labels: name their file as unlabelled")
        refuse_empty_labels(examples)
        found = Unlabelled.read(self.unlabelled, examples, self.limit, seed)
        learner = _Learner(self._strategy(examples.task, examples.labels), model, seed, checkpoints)
        sharpness, told = self._sharpness(learner, examples)
        made, notes = learner.learn(examples, "round 0"), list(found.notes)
        for number in range(1, self.rounds + 1):
            rows, classes = self._chosen(made, found, examples, sharpness, number)
            notes.append(f"round {number}: {len(rows):,} of {len(found.texts):,} unlabelled texts taken")
            if not len(rows):
                break
            made = learner.learn(_joined(examples, found, rows, classes), f"round {number}")
        story = made.lineage
        made.lineage = Lineage(data=[found.described()], scores={**story.scores, **told}, notes=[*story.notes, *notes])
        return made

    def _strategy(self, task: Task, labels: tuple[str, ...]) -> Strategy:
        inner: Strategy = catalog.find("strategies", self.inner)()
        inner.check_task(task, labels)
        return inner

    def _sharpness(self, learner: _Learner, examples: Examples) -> tuple[float, dict[str, float]]:
        """What scores are multiplied by, so that they are believed as much as texts left out in turn allow."""
        from sklearn.model_selection import StratifiedKFold

        fewest = int(np.bincount(examples.targets).min())
        if fewest < 2:
            return 1.0, {}
        scores = np.zeros((len(examples), len(examples.labels)))
        parts = StratifiedKFold(min(self.folds, fewest), shuffle=True, random_state=derive(learner.seed, "left out"))
        for number, (train, left) in enumerate(parts.split(scores, examples.targets)):
            made = learner.learn(examples.subset(train), f"fold {number}")
            scores[left] = made.scores([examples.texts[row] for row in left])[0]
        sharpness, loss = sharpness_of(scores, examples.targets, _BOUNDS, smoothed=True)
        return sharpness, {"left_out_loss": loss, "temperature": 1 / sharpness}

    def _chosen(
        self, made: TaskModel, found: Unlabelled, examples: Examples, sharpness: float, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of unlabelled texts, ascending, and the class of each."""
        logits = made.scores(found.texts)[0] * sharpness
        chances = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        best, sure = chances.argmax(axis=1), chances.max(axis=1)
        shares = np.bincount(examples.targets, minlength=len(examples.labels)) / len(examples)
        room = np.floor(shares * self.share * number / self.rounds * len(found.texts)).astype(int)
        taken = []
        for label in range(len(examples.labels)):
            own = np.flatnonzero((best == label) & (sure >= self.least_confidence))
            taken.append(own[np.argsort(-sure[own], kind="stable")][: room[label]])
        rows = np.sort(np.concatenate(taken))
        return rows, best[rows]


@dataclass(frozen=True)
class _Learner:
    """The inner strategy on one model; each of its trainings keeps its state in a folder of its own."""

    strategy: Strategy
    model: Model
    seed: int
    checkpoints: Path | None

    def learn(self, examples: Examples, name: str) -> TaskModel:
        folder = None if self.checkpoints is None else self.checkpoints / name.replace(" ", "-")
        return self.strategy.transfer(self.model, examples, self.seed, folder)


def _joined(examples: Examples, found: Unlabelled, rows: np.ndarray, classes: np.ndarray) -> Examples:
    texts: list[Any] = [*examples.texts, *(found.texts[row] for row in rows)]
    targets = np.concatenate([examples.targets, classes.astype(examples.targets.dtype)])
    return replace(examples, texts=texts, targets=targets, name=f"{examples.name} and {found.name}")
