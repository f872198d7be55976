"""A model's probabilities after evidence has been seen: counts of longer and longer contexts on top of a prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["posterior"]


def posterior(
    prior: np.ndarray,
    counts: np.ndarray,
    totals: np.ndarray,
    types: np.ndarray,
    concentrations: Sequence[float],
    discounts: Sequence[float],
) -> np.ndarray:
    """Log-probabilities of tokens given a prior and what was counted after the contexts of 0, 1, 2 ... tokens.

    A Pitman-Yor process a context whose base is the distribution of the shorter one, the prior at the bottom, each
    type seated at one table (Teh 2006, eq. 6; with discounts of 0 the Dirichlet process of MacKay & Peto 1995):

        p_k = (max(c_k - d_k, 0) + (a_k + d_k t_k) p_{k-1}) / (C_k + a_k)

    where the context was seen, and p_{k-1} where it was not.

    Args:
        prior: Natural logs, float64 (positions,); each token's under the model before the evidence.
        counts: c, float64 (positions, orders): how often the token followed the context.
        totals: C, how often anything did.
        types: t, how many different tokens did.
        concentrations: a, one an order, above 0.
        discounts: d, one an order, from 0 to below 1.

    >>> round(float(np.exp(posterior(np.log([0.1]), *np.array([[[3.0]], [[4.0]], [[2.0]]]), [1.0], [0.5]))[0]), 3)
    0.54
    """
    found = prior
    for order, (concentration, discount) in enumerate(zip(concentrations, discounts, strict=True)):
        own, total = np.maximum(counts[:, order] - discount, 0), totals[:, order]
        with np.errstate(divide="ignore"):
            mixed = np.logaddexp(np.log(own), np.log(concentration + discount * types[:, order]) + found)
        found = np.where(total > 0, mixed - np.log(total + concentration), found)
    return found
