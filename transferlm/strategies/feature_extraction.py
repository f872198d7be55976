"""Keep the model as it is and learn a linear classifier on its encodings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse

from transferlm.errors import DataError, SettingError
from transferlm.models.base import Encoder, GradientTrained, Model, Trainable
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["FeatureExtraction"]

STRENGTHS = tuple(float(c) for c in np.logspace(-2, 4, 7))


@dataclass(frozen=True)
class FeatureExtraction(Strategy):
    """A frozen body with multinomial logistic regression on top, its strength chosen by cross-validation.

    Convex, so the result depends on the data and on nothing else. Encodings are scaled by one number, so that the
    same strengths suit every encoder.
    """

    regularisation: float | None = None
    """Inverse strength C of the L2 penalty; none chooses it by cross-validated log loss."""
    folds: int = 5
    """Folds of that cross-validation, fewer where a class has fewer rows."""
    steps: int = 1000
    """Most iterations of the solver."""

    requires: ClassVar[tuple[type, ...]] = (Encoder,)
    frozen: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.regularisation is not None and not self.regularisation > 0:
            raise SettingError(f"regularisation {self.regularisation}: give a number above 0")
        if self.steps < 1:
            raise SettingError(f"steps {self.steps}: give 1 or more")
        if self.folds < 2:
            raise SettingError(f"folds {self.folds}: give 2 or more")

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:  # noqa: ARG002
        """Encode, scale, fit, and fold the scale into the weights.

        A trainable model without data (tfidf) learns from the examples' texts first.

        Raises:
            DataError: A label of the task has no example.
        """
        from sklearn.exceptions import ConvergenceWarning

        assert isinstance(model, Encoder)
        counts = np.bincount(examples.targets, minlength=len(examples.labels))
        if counts.min() == 0:
            empty = examples.labels[int(counts.argmin())]
            raise DataError(f"{examples.name}: label {empty!r} has no example to learn from")
        if isinstance(model, Trainable) and not isinstance(model, GradientTrained) and not model.trained:
            model = model.untrained(seed).fit(examples.texts, seed)
        encoding = model.encode(examples.texts)
        features = encoding.features
        scale = 1 / _typical_length(features)
        short, back = _rotated(features * scale)
        # A constant added to a column moves only the intercept, which is not penalised; without it the solver needs a
        # fraction of the steps.
        mean = np.zeros(short.shape[1]) if issparse(short) else short.mean(axis=0)
        short = short if issparse(short) else short - mean
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # told by `n_iter_` below, in our words
            classifier = self._fitted(short, examples, int(counts.min()), seed)
        weights, bias = _softmax_form(classifier.coef_, classifier.intercept_)
        bias = bias - mean @ weights
        weights = back(weights)
        stopped = int(np.max(classifier.n_iter_)) >= self.steps
        notes = [f"the solver stopped after {self.steps} iterations, short of its tolerance: raise steps"] * stopped
        shares = {"train_share_read": float(encoding.read.mean())}
        if encoding.known is not None:
            shares["train_share_known"] = float(encoding.known.mean())
        lineage = Lineage(scores=shares, notes=notes)
        return TaskModel(
            model,
            examples.task,
            examples.labels,
            (weights * scale).astype(np.float32),
            bias.astype(np.float32),
            lineage,
        )

    def _fitted(self, features: Any, examples: Examples, fewest: int, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
        from sklearn.model_selection import StratifiedKFold

        weighted = examples.task.weights(examples.targets, examples.labels)
        weights = None if weighted is None else dict(enumerate(weighted))
        if self.regularisation is not None or fewest < 2:
            strength = self.regularisation if self.regularisation is not None else 1.0
            single = LogisticRegression(C=strength, max_iter=self.steps, class_weight=weights)
            return single.fit(features, examples.targets)
        folds = StratifiedKFold(min(self.folds, fewest), shuffle=True, random_state=derive(seed, "folds"))
        searched = LogisticRegressionCV(
            Cs=STRENGTHS,
            cv=folds,
            scoring="neg_log_loss",
            max_iter=self.steps,
            class_weight=weights,
            l1_ratios=(0,),
            use_legacy_attributes=False,
        )
        return searched.fit(features, examples.targets)


def _rotated(features: Any) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """Fewer columns without loss, where there are more columns than rows, and the way back for the weights.

    L2-regularised weights lie in the span of the rows (representer theorem, Kimeldorf & Wahba 1971), so the rows'
    coordinates in that span give the same classifier: with X = U S V', fit on U S and answer V w. A few hundred texts
    then cost milliseconds a fit, however many terms they hold.

    Returns:
        Features of shape (rows, columns or rank), and a function from weights over them to weights over all columns.
    """
    rows, columns = features.shape
    if columns <= rows:
        return features, lambda weights: weights
    gram = np.asarray((features @ features.T).todense() if issparse(features) else features @ features.T)
    values, vectors = np.linalg.eigh(gram.astype(np.float64))
    kept = values > values.max(initial=0.0) * 1e-7  # below that a direction is the float32 features' rounding
    lengths, directions = np.sqrt(values[kept]), vectors[:, kept]

    def back(weights: np.ndarray) -> np.ndarray:
        return np.asarray(features.T @ (directions / lengths @ weights))

    return directions * lengths, back


def _typical_length(features: Any) -> float:
    """Root mean square length of the rows; 1 if all are zero."""
    squares = features.multiply(features).sum(axis=1) if issparse(features) else (features**2).sum(axis=1)
    return float(np.sqrt(np.mean(np.asarray(squares)))) or 1.0


def _softmax_form(coefficients: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (width, labels) and bias (labels,) whose softmax is the classifier's, two classes included."""
    if len(coefficients) == 1:
        coefficients, intercept = (
            np.vstack([-coefficients, coefficients]) / 2,
            np.concatenate([-intercept, intercept]) / 2,
        )
    return coefficients.T, intercept
