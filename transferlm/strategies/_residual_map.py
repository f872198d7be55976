"""A linear head and a residual linear map below it, learnt together: one convex problem.

With scores (x + T x) W + b, a loss L summed over the rows, and both penalised,

    min over T, W, b:  L + |W|^2 / (2 C) + |T|^2 / (2 r C),

only V = (I + T)' W meets the data. For a given V the best T is symmetric, with V's left singular vectors (von Neumann's
trace inequality), and the two penalties come to the sum over V's singular values s of

    phi(s) = s^2 / (2 C (1 + t)^2) + t^2 / (2 r C),   where t solves t (1 + t)^3 = r s^2.

phi is convex, as its slope s / (C (1 + t)^2) rises with s, so that the problem is convex in V (Lewis 1995): near 0 it
is weight decay, far out it is the trace norm, which Argyriou, Evgeniou & Pontil (2008) learn features by. Where V has
one column (two classes, a number) it tells V's length alone, and the classifier is one that ridge finds at another C:
the map is then of use to later tasks, not to this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from transferlm.seeding import derive
from transferlm.strategies._linear import STRENGTHS, Link, rotated, softmax_form

__all__ = ["MapSolver", "ResidualMap", "stretches"]

_RANK = 1e-6
"""Singular values below this share of the largest are rounding, and no direction of the map."""


@dataclass(frozen=True)
class ResidualMap:
    """What was fitted.

    Attributes:
        directions: U, orthonormal: float64 of shape (columns, rank).
        stretch: t: float64 of shape (rank,); the map is T = U diag(t) U'.
        weights: W, of the mapped features: float64 of shape (columns, size).
        bias: float64 of shape (size,).
        regularisation: The inverse strength C.
        iterations: What the solver took.
    """

    directions: np.ndarray
    stretch: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    regularisation: float
    iterations: int

    def scores(self, features: Any) -> np.ndarray:
        """(x + T x) W + b of features that are not mapped yet: float64 of shape (rows, size)."""
        together = self.weights + self.directions @ (self.stretch[:, None] * (self.directions.T @ self.weights))
        return np.asarray(features @ together + self.bias)


def stretches(lengths: np.ndarray, looseness: float) -> np.ndarray:
    """The t of each singular value s: t (1 + t)^3 = r s^2, by Newton's method.

    Args:
        lengths: Singular values s.
        looseness: r; 0 gives no map.

    >>> stretches(np.array([0.0, 8**0.5, 54**0.5]), 1.0).round(6).tolist()
    [0.0, 1.0, 2.0]
    """
    wanted = looseness * lengths**2
    found = np.minimum(wanted, wanted**0.25)  # above the root, where the left side is convex: no step falls below it
    for _ in range(100):
        step = (found * (1 + found) ** 3 - wanted) / ((1 + found) ** 2 * (1 + 4 * found))
        found = found - step
        if np.all(step <= 1e-12 * (1 + found)):
            break
    return np.asarray(found)


@dataclass(frozen=True)
class MapSolver:
    """How to fit; fields as those of `Solver`.

    Attributes:
        link: How scores are read.
        regularisation: C; None chooses it by cross-validated loss.
        looseness: r.
        folds: Folds of that cross-validation.
        steps: Most iterations.
        class_weights: One weight a class, or None.
        seed: Decides the folds.
    """

    link: Link
    regularisation: float | None
    looseness: float
    folds: int
    steps: int
    class_weights: np.ndarray | None
    seed: int

    def fit(self, features: Any, targets: np.ndarray) -> ResidualMap:
        """Map and head for features of shape (rows, columns) and the task's targets."""
        if self.regularisation is None:
            return self.at(self._chosen(features, targets)).fit(features, targets)
        short, back = rotated(features)
        mean = np.zeros(short.shape[1]) if issparse(short) else short.mean(axis=0)
        short = short if issparse(short) else (short - mean).astype(np.float64)
        loss, size, unit, centre = self._loss(targets)
        found, bias, iterations = self._minimum(short, loss, size)
        columns, lengths, rows = np.linalg.svd(np.asarray(back(found)), full_matrices=False)
        kept = lengths > lengths.max(initial=0.0) * _RANK
        directions, lengths, rows = columns[:, kept], lengths[kept], rows[kept]
        stretch = stretches(lengths, self.looseness)
        weights, bias = (directions * (lengths / (1 + stretch))) @ rows * unit, (bias - mean @ found) * unit + centre
        if self.link == "softmax" and size == 1:
            weights, bias = softmax_form(weights.T, bias)
        return ResidualMap(directions, stretch, weights, bias, self.regularisation, iterations)

    def at(self, regularisation: float) -> MapSolver:
        """The same at this strength."""
        return replace(self, regularisation=regularisation)

    def left_out(self, features: Any, targets: np.ndarray) -> np.ndarray:
        """Scores (rows, size) of rows that map and head, fitted anew to the others, have not seen."""
        parts = [(test, self.fit(features[train], targets[train])) for train, test in self._parts(targets)]
        scores = np.zeros((len(targets), len(parts[0][1].bias)))
        for test, fitted in parts:
            scores[test] = fitted.scores(features[test])
        return scores

    def _chosen(self, features: Any, targets: np.ndarray) -> float:
        """The strength with the lowest loss on rows left out; 1 where there are too few rows to leave any out."""
        fewest = int(np.unique(targets, return_counts=True)[1].min()) if self.link == "softmax" else len(targets)
        if fewest < 2:
            return 1.0
        judge = replace(self, class_weights=None)._loss(targets)
        losses = []
        for strength in STRENGTHS:
            scores = self.at(strength).left_out(features, targets)
            narrow = scores[:, 1:] - scores[:, :1] if self.link == "softmax" and scores.shape[1] == 2 else scores
            losses.append(judge[0]((narrow - judge[3]) / judge[2])[0])
        return STRENGTHS[int(np.argmin(losses))]

    def _parts(self, targets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from sklearn.model_selection import KFold, StratifiedKFold

        seed = derive(self.seed, "folds")
        if self.link == "softmax":
            fewest = int(np.unique(targets, return_counts=True)[1].min())
            folds = StratifiedKFold(min(self.folds, fewest), shuffle=True, random_state=seed)
        else:
            folds = KFold(min(self.folds, len(targets)), shuffle=True, random_state=seed)
        yield from folds.split(np.zeros(len(targets)), targets if self.link == "softmax" else None)

    def _minimum(self, features: Any, loss: _Loss, size: int) -> tuple[np.ndarray, np.ndarray, int]:
        """V, its bias and the iterations, by L-BFGS."""
        from scipy.optimize import minimize

        rows, columns = features.shape
        assert self.regularisation is not None
        strength = self.regularisation

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            whole = flat.reshape(columns + 1, size)
            value, slope = loss(features @ whole[:-1] + whole[-1])
            penalty, decay = _penalty(whole[:-1], strength, self.looseness)
            gradient = np.vstack([features.T @ slope + decay, slope.sum(axis=0)])
            return (value + penalty) / rows, gradient.reshape(-1) / rows

        options = {"maxiter": self.steps, "maxfun": 2 * self.steps, "gtol": 1e-6, "ftol": 1e-12}
        found = minimize(objective, np.zeros((columns + 1) * size), jac=True, method="L-BFGS-B", options=options)
        whole = found.x.reshape(columns + 1, size)
        return whole[:-1], whole[-1], int(found.nit)

    def _loss(self, targets: np.ndarray) -> tuple[_Loss, int, float, float]:
        """The loss, how many scores it reads, and the unit and zero of what they stand for."""
        if self.link == "squared":
            centre, unit = float(targets.mean()), float(targets.std()) or 1.0
            return _squared((targets.reshape(-1, 1) - centre) / unit), 1, unit, centre
        if self.link == "sigmoid":
            return _sigmoid(targets.astype(np.float64), np.ones((len(targets), 1))), targets.shape[1], 1.0, 0.0
        weights = np.ones(len(targets)) if self.class_weights is None else self.class_weights[targets]
        classes = int(targets.max()) + 1
        if classes == 2:
            return _sigmoid(targets[:, None].astype(np.float64), weights[:, None]), 1, 1.0, 0.0
        return _softmax(np.eye(classes)[targets], weights[:, None]), classes, 1.0, 0.0


_Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""From scores (rows, size) to the loss summed over rows, and its gradient, of their shape."""


def _penalty(together: np.ndarray, strength: float, looseness: float) -> tuple[float, np.ndarray]:
    """The sum of phi over the singular values of V, and its gradient."""
    left, lengths, right = np.linalg.svd(together, full_matrices=False)
    stretch = stretches(lengths, looseness)
    slopes = lengths / (1 + stretch) ** 2 / strength
    value = float(lengths @ slopes) / 2
    if looseness:
        value += float(stretch @ stretch) / (2 * looseness * strength)
    return value, (left * slopes) @ right


def _softmax(truth: np.ndarray, weights: np.ndarray) -> _Loss:
    def loss(scores: np.ndarray) -> tuple[float, np.ndarray]:
        logs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        return -float((weights * truth * logs).sum()), weights * (np.exp(logs) - truth)

    return loss


def _sigmoid(truth: np.ndarray, weights: np.ndarray) -> _Loss:
    def loss(scores: np.ndarray) -> tuple[float, np.ndarray]:
        value = np.logaddexp(0, scores) - truth * scores
        return float((weights * value).sum()), weights * ((1 + np.tanh(scores / 2)) / 2 - truth)

    return loss


def _squared(truth: np.ndarray) -> _Loss:
    def loss(scores: np.ndarray) -> tuple[float, np.ndarray]:
        apart = scores - truth
        return float((apart**2).sum()) / 2, apart

    return loss
