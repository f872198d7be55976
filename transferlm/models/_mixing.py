"""Fitting the parameters of a mixture to held-out tokens: weights by EM, the strength of a prior by line search."""

from __future__ import annotations

import math

import numpy as np

from transferlm.errors import DataError

__all__ = ["fitted_strength", "fitted_weights", "prior_share"]

_STEPS, _TOLERANCE = 1000, 1e-9
_WEAKEST, _STRONGEST = 1e-3, 1e5
_USUAL, _SPREAD = math.log(4), 2.0


def fitted_weights(logs: np.ndarray) -> tuple[np.ndarray, float]:
    """The weights under which the tokens are most probable, by EM (Jelinek & Mercer 1980).

    Every model is credited with one token beforehand, so that none is silenced by a short text that has no use for it
    (the posterior mode under a Dirichlet prior of 2s). That is concave in the weights, so there is one best. A step's
    gain below 1e-9 nats a token ends it.

    Args:
        logs: Natural logs of each token's probability under each model: float64 (models, tokens).

    Returns:
        Weights (models,) that sum to 1, and mean nats a token under them.

    Raises:
        DataError: There is no token, or one that no model gives any probability.

    >>> weights, nats = fitted_weights(np.log([[0.8, 0.8, 0.1], [0.2, 0.2, 0.9]]))
    >>> weights.round(3).tolist()
    [0.559, 0.441]
    """
    impossible = np.flatnonzero(np.all(np.isneginf(logs), axis=0))
    if not logs.shape[1] or len(impossible):
        what = f"token {impossible[0]:,} has no probability under any model" if len(impossible) else "there is no token"
        raise DataError(f"weights can't be fitted: {what}; give other held-out text")
    relative = np.exp(logs - logs.max(axis=0))
    weights, before = np.full(len(logs), 1 / len(logs)), -math.inf
    for _ in range(_STEPS):
        total = weights @ relative
        now = float(np.log(total).sum() + np.log(weights).sum()) / len(total)
        if now - before < _TOLERANCE:
            break
        weights, before = weights * (relative / total).sum(axis=1) + 1, now
        weights /= weights.sum()
    return weights, -float((np.log(weights @ relative) + logs.max(axis=0)).mean())


def prior_share(evidence: np.ndarray, strength: float) -> np.ndarray:
    """Log of the share that a prior keeps: the product over orders of s t / (c + s t).

    Args:
        evidence: float64 (positions, orders): t / c of each context, the share of new words among those that followed
            it; infinite where it was never seen.
        strength: s.

    >>> np.exp(prior_share(np.array([[0.5, np.inf]]), strength=2.0)).round(2).tolist()
    [0.5]
    """
    with np.errstate(divide="ignore"):
        shares: np.ndarray = -np.log1p(1 / (strength * evidence)).sum(axis=1)
    return shares


def fitted_strength(prior: np.ndarray, last: np.ndarray, evidence: np.ndarray) -> tuple[float, float]:
    """The strength under which the tokens are most probable.

    It is believed beforehand to be about 4, give or take a factor of 7 (log-normal): that weighs as a token or two, and
    keeps a short text that has no use for the prior from doing away with it.

    Args:
        prior: Natural logs of each token's probability under the prior: float64 (tokens,).
        last: The same under the model that the evidence speaks for.
        evidence: As in `prior_share`.

    Returns:
        The strength, between 0.001 and 100,000, and mean nats a token.

    Raises:
        DataError: There is no token, or one that neither gives any probability.
    """
    from scipy.optimize import minimize_scalar  # a quarter of a second to load, for this alone

    if not len(prior) or np.isneginf(np.maximum(prior, last)).any():
        raise DataError("the strength can't be fitted: there is no token, or one without any probability")

    def nats(log_strength: float) -> float:
        share = prior_share(evidence, math.exp(log_strength))
        with np.errstate(divide="ignore"):
            return -float(np.logaddexp(share + prior, np.log(-np.expm1(share)) + last).mean())

    def believed(log_strength: float) -> float:
        unlikely = (log_strength - _USUAL) ** 2 / (2 * _SPREAD**2)
        return nats(log_strength) + unlikely / len(prior)

    best = minimize_scalar(believed, bounds=(math.log(_WEAKEST), math.log(_STRONGEST)), method="bounded")
    return math.exp(float(best.x)), nats(float(best.x))
