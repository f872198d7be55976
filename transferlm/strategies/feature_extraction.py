"""Keep the model as it is and learn a linear model on its encodings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from transferlm.models._inputs import encoded, features_apart
from transferlm.models.base import Encoder, Model
from transferlm.storage import Lineage
from transferlm.strategies._frozen import check_solver, ready, told
from transferlm.strategies._labels import refuse_empty_labels
from transferlm.strategies._linear import Linear, Solver, scaled
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["FeatureExtraction"]


@dataclass(frozen=True)
class FeatureExtraction(Strategy):
    """A frozen body with a linear model on top, its strength chosen by cross-validation.

    Multinomial logistic regression where a text has one label, a logistic regression a label where it has several,
    ridge regression for numbers. Convex, so the result depends on the data and on nothing else. Encodings are scaled by
    one number, so that the same strengths suit every encoder. The two texts of a pair are encoded each by itself, and
    what is learnt from is both, their difference and their product (Conneau et al. 2017).
    """

    regularisation: float | None = None
    """Inverse strength C of the L2 penalty; none chooses it by cross-validated loss."""
    folds: int = 5
    """Folds of that cross-validation, fewer where a class has fewer rows."""
    steps: int = 1000
    """Most iterations of the solver."""

    requires: ClassVar[tuple[type, ...]] = (Encoder,)
    learns: ClassVar[frozenset[str]] = frozenset({"softmax a text", "sigmoid a text", "squared a text"})
    frozen: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_solver(self)

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:  # noqa: ARG002
        """Encode, scale, fit, and fold the scale into the weights.

        A trainable model without data (tfidf) learns from the examples' texts first.

        Raises:
            DataError: A label of the task has no example.
        """
        refuse_empty_labels(examples)
        model = ready(model, examples, seed)
        apart = examples.task.paired
        encoding = (features_apart if apart else encoded)(model, examples.texts, examples.task.reads_whole)
        solver = Solver(
            examples.task.output(examples.labels).link,
            self.regularisation,
            self.folds,
            self.steps,
            examples.task.weights(examples.targets, examples.labels),
            seed,
        )
        features, factor = scaled(encoding.features)
        found = solver.fit(features, examples.targets)
        scores, notes = told(encoding, found.iterations, self.steps)
        weights, bias = (found.weights * factor).astype(np.float32), found.bias.astype(np.float32)
        task = self._task(examples, solver, features, found)
        return TaskModel(model, task, examples.labels, weights, bias, Lineage(scores=scores, notes=notes), apart)

    def _task(self, examples: Examples, solver: Solver, features: Any, found: Linear) -> Any:
        """The task with what it leaves open fitted to scores of rows that were left out in turn."""
        if not examples.task.is_open(examples.targets):
            return examples.task
        scores = solver.left_out(features, examples.targets, found)
        return examples.task.fitted(examples.targets, scores, examples.texts, examples.labels)
