"""Linear models on frozen features: logistic and ridge regression, their strength chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse

from transferlm.seeding import derive

__all__ = ["STRENGTHS", "Linear", "Link", "Solver", "rotated", "scaled", "softmax_form"]

STRENGTHS = tuple(float(c) for c in np.logspace(-2, 4, 7))
"""Inverse strengths that cross-validation chooses among."""

Link = Literal["softmax", "sigmoid", "squared", "span"]


@dataclass(frozen=True)
class Linear:
    """What was fitted.

    Attributes:
        weights: float64 of shape (columns, size).
        bias: float64 of shape (size,).
        iterations: The most that any solver took.
        strengths: The inverse strength C of each column of `weights` (one for all of a softmax).
    """

    weights: np.ndarray
    bias: np.ndarray
    iterations: int
    strengths: tuple[float, ...]


def scaled(features: Any) -> tuple[Any, float]:
    """Features such that rows have a typical length of 1, and the factor that made them so."""
    factor = 1 / _typical_length(features)
    return features * factor, factor


@dataclass(frozen=True)
class Solver:
    """How to fit.

    Attributes:
        link: How scores are read.
        regularisation: Inverse strength C of the L2 penalty; None chooses it by cross-validated loss.
        folds: Folds of that cross-validation, fewer where a class has fewer rows.
        steps: Most iterations.
        class_weights: One weight a class, or None.
        seed: Decides the folds.
    """

    link: Link
    regularisation: float | None
    folds: int
    steps: int
    class_weights: np.ndarray | None
    seed: int

    def fit(self, features: Any, targets: np.ndarray) -> Linear:
        """Weights and bias for features of shape (rows, columns) and the task's targets."""
        short, back = rotated(features)
        # A constant added to a column moves only the intercept, which is not penalised; without it the solver needs a
        # fraction of the steps.
        mean = np.zeros(short.shape[1]) if issparse(short) else short.mean(axis=0)
        short = short if issparse(short) else short - mean
        with warnings.catch_warnings():
            from sklearn.exceptions import ConvergenceWarning

            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # told by `iterations`, in our words
            fits = {"softmax": self._softmax, "sigmoid": self._sigmoid, "squared": self._squared}
            found = fits[self.link](short, targets)
        return Linear(back(found.weights), found.bias - mean @ found.weights, found.iterations, found.strengths)

    def left_out(self, features: Any, targets: np.ndarray, found: Linear) -> np.ndarray:
        """Scores (rows, size) of rows that the weights, fitted anew at the strengths found, have not seen."""
        from sklearn.model_selection import KFold

        scores = np.zeros((features.shape[0], len(found.bias)))
        folds = KFold(min(self.folds, features.shape[0]), shuffle=True, random_state=derive(self.seed, "left out"))
        strength = float(np.median(found.strengths))
        fixed = replace(self, regularisation=strength)
        for train, test in folds.split(np.arange(features.shape[0])):
            fitted = fixed.fit(features[train], targets[train])
            scores[test] = np.asarray(features[test] @ fitted.weights) + fitted.bias
        return scores

    def _softmax(self, features: Any, targets: np.ndarray) -> Linear:
        classifier = self._logistic(features, targets)
        weights, bias = softmax_form(classifier.coef_, classifier.intercept_)
        return Linear(weights, bias, int(np.max(classifier.n_iter_)), (_strength(classifier),))

    def _sigmoid(self, features: Any, targets: np.ndarray) -> Linear:
        """One logistic regression a label; a label that all rows have, or none, gets the bias that says so."""
        columns, rows = [], len(targets)
        for label in range(targets.shape[1]):
            count = int(targets[:, label].sum())
            if count in (0, rows):
                constant = float(np.log((count + 0.5) / (rows - count + 0.5)))
                columns.append(Linear(np.zeros(features.shape[1]), np.array(constant), 0, (1.0,)))
                continue
            fitted = self._logistic(features, targets[:, label].astype(np.int64))
            parts = fitted.coef_[0], fitted.intercept_[0]
            columns.append(Linear(*parts, int(np.max(fitted.n_iter_)), (_strength(fitted),)))
        return Linear(
            np.stack([column.weights for column in columns], axis=1),
            np.array([float(column.bias) for column in columns]),
            max(column.iterations for column in columns),
            tuple(column.strengths[0] for column in columns),
        )

    def _squared(self, features: Any, targets: np.ndarray) -> Linear:
        """Ridge regression on standardised numbers, its strength by leaving each row out in turn (in closed form)."""
        from sklearn.linear_model import Ridge, RidgeCV

        mean, deviation = float(targets.mean()), float(targets.std()) or 1.0
        single = self.regularisation if self.regularisation is not None else 1.0 if len(targets) < 3 else None
        model = Ridge(alpha=1 / single) if single is not None else RidgeCV(alphas=[1 / c for c in STRENGTHS])
        model.fit(features, (targets - mean) / deviation)
        strength = single if single is not None else 1 / float(model.alpha_)
        weights = np.asarray(model.coef_).reshape(-1, 1) * deviation
        return Linear(weights, np.array([float(model.intercept_) * deviation + mean]), 0, (strength,))

    def _logistic(self, features: Any, targets: np.ndarray) -> Any:
        from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
        from sklearn.model_selection import StratifiedKFold

        weights = None if self.class_weights is None else dict(enumerate(self.class_weights))
        fewest = int(np.unique(targets, return_counts=True)[1].min())
        if self.regularisation is not None or fewest < 2:
            strength = self.regularisation if self.regularisation is not None else 1.0
            single = LogisticRegression(C=strength, max_iter=self.steps, class_weight=weights)
            return single.fit(features, targets)
        folds = StratifiedKFold(min(self.folds, fewest), shuffle=True, random_state=derive(self.seed, "folds"))
        searched = LogisticRegressionCV(
            Cs=STRENGTHS,
            cv=folds,
            scoring="neg_log_loss",
            max_iter=self.steps,
            class_weight=weights,
            l1_ratios=(0,),
            use_legacy_attributes=False,
        )
        return searched.fit(features, targets)


def _strength(classifier: Any) -> float:
    """The inverse strength that a classifier was given, or that cross-validation chose."""
    return float(np.max(classifier.C_ if hasattr(classifier, "C_") else classifier.C))


def rotated(features: Any) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
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


def softmax_form(coefficients: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (width, labels) and bias (labels,) whose softmax is the classifier's, two classes included."""
    if len(coefficients) == 1:
        coefficients, intercept = (
            np.vstack([-coefficients, coefficients]) / 2,
            np.concatenate([-intercept, intercept]) / 2,
        )
    return coefficients.T, intercept
