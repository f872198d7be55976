"""How far a classifier's scores are to be believed: one temperature, fitted to scores that it didn't learn from."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["sharpness_of"]


def sharpness_of(
    scores: np.ndarray,
    targets: np.ndarray,
    bounds: tuple[float, float],
    prior: np.ndarray | float = 0.0,
    smoothed: bool = False,
) -> tuple[float, float]:
    """What to multiply scores by, so that softmax(sharpness * scores + prior) has the least log loss (Guo et al. 2017).

    Args:
        scores: Of shape (texts, labels).
        targets: int64 (texts,): the true label of each.
        bounds: Least and largest sharpness, the inverse of a temperature.
        prior: Added to the scores of every text; shape (labels,).
        smoothed: Whether the true label counts as (n + 1) / (n + 2) and the others share the rest, as Platt (1999) has
            it: n texts, all of them right, are no reason to be sure without limit.

    Returns:
        The sharpness, and the log loss with it in nats a text (of the smoothed labels, where they are).
    """
    from scipy.optimize import minimize_scalar  # a quarter of a second to load, for this alone

    truth = np.eye(scores.shape[1])[targets]
    if smoothed:
        doubt = 1 / (len(targets) + 2)
        truth = truth * (1 - doubt) + (1 - truth) * doubt / max(1, scores.shape[1] - 1)

    def loss(logarithm: float) -> float:
        logits = scores * math.exp(logarithm) + prior
        return float((np.logaddexp.reduce(logits, axis=1) - (logits * truth).sum(axis=1)).mean())

    lowest, highest = (math.log(bound) for bound in bounds)
    best = minimize_scalar(loss, bounds=(lowest, highest), method="bounded")
    return math.exp(float(best.x)), float(best.fun)
