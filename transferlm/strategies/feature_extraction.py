"""Keep the model as it is and learn a linear model on its encodings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from transferlm.models.base import Encoder, Model
from transferlm.strategies._head import with_linear_head
from transferlm.strategies._labels import refuse_empty_labels
from transferlm.strategies._solving import check_solver, ready
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
        return with_linear_head(
            ready(model, examples, seed),
            examples,
            seed,
            regularisation=self.regularisation,
            folds=self.folds,
            iterations=self.steps,
            apart=examples.task.paired,
        )
