"""The loop behind a mixture that turns to whichever component has foretold the text so far."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["switch"]

_LEAST = 1e-300


@njit(cache=True, nogil=True)
def switch(logs: np.ndarray, log_weights: np.ndarray, beliefs: np.ndarray, switching: float, mixed: np.ndarray) -> None:
    """Mix token after token, each component weighing as much as it is believed that the text is of its kind.

    Args:
        logs: Natural logs, float64 (components, tokens).
        log_weights: float64 (components, tokens), what each weighs where nothing of the text is known.
        beliefs: float64 (components,), what each is believed after the tokens before, all 0 where there were none; left
            as they are after these.
        switching: Chance at each token that the text turns to another kind, drawn by the weights.
        mixed: Takes the logs of the mixture, one a token.
    """
    components = len(beliefs)
    weights = np.empty(components)
    for token in range(logs.shape[1]):
        known = beliefs.sum() > 0.0
        highest, mix = -np.inf, 0.0
        for i in range(components):
            weights[i] = math.exp(log_weights[i, token])
            if known:
                weights[i] = (1.0 - switching) * beliefs[i] + switching * weights[i]
            highest = max(highest, logs[i, token])
        if highest == -np.inf:
            mixed[token] = -np.inf
            continue
        for i in range(components):
            mix += weights[i] * math.exp(logs[i, token] - highest)
        mixed[token] = highest + math.log(max(mix, _LEAST))
        for i in range(components):
            beliefs[i] = max(weights[i] * math.exp(logs[i, token] - highest) / max(mix, _LEAST), _LEAST)
