"""Count the texts of each class and ask under which class a new text is most probable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from transferlm.models._inputs import singles
from transferlm.models.base import CountBased, Model
from transferlm.models.class_counts import ClassCounts
from transferlm.storage import Lineage
from transferlm.strategies._labels import refuse_empty_labels
from transferlm.strategies._temperature import sharpness_of
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["ClassConditional"]

_COLDEST = 0.01


@dataclass(frozen=True)
class ClassConditional(Strategy):
    """A generative classifier: one n-gram model a class, shrunk towards the source, and Bayes' rule.

    Learning is counting: a tenth of a second for some hundred texts, and more with every class. Words are less
    independent than the counts have it, so that log-probabilities are divided by a temperature, 1 or above, fitted by
    leaving each labelled text out in turn.
    """

    concentrations: str = "100,3,3"
    """What the prior weighs against the counts, in tokens: of words by themselves, after one word, after two."""
    discount: float = 0.8
    """What is taken from each distinct word's count and given to the prior, from 0 up to 1."""

    requires: ClassVar[tuple[type, ...]] = (CountBased,)
    frozen: ClassVar[bool] = False

    def __post_init__(self) -> None:
        ClassCounts(self.concentrations, self.discount)

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:  # noqa: ARG002
        """Count each class's texts; its share of the examples is its prior.

        Raises:
            DataError: A label of the task has no example.
            UnsupportedError: The inputs are pairs of texts.
        """
        refuse_empty_labels(examples)
        settings = {"concentrations": self.concentrations, "discount": self.discount}
        texts = singles(model, examples.texts)
        body = ClassCounts.of(model, texts, examples.targets, len(examples.labels), **settings)
        weights = examples.task.weights(examples.targets, examples.labels)
        counts = np.bincount(examples.targets, minlength=len(examples.labels))
        shares = counts * (1.0 if weights is None else np.asarray(weights))
        prior = np.log(shares / shares.sum())
        left_out = body.left_out(texts, examples.targets)
        sharpness, loss = sharpness_of(left_out, examples.targets, (_COLDEST, 1.0), prior)
        head = (np.eye(len(examples.labels)) * sharpness).astype(np.float32)
        scores = {"left_out_loss": loss, "temperature": 1 / sharpness, "train_share_read": 1.0}
        return TaskModel(body, examples.task, examples.labels, head, prior.astype(np.float32), Lineage(scores=scores))
