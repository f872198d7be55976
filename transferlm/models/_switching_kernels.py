"""The loop behind a mixture that turns to whichever component has foretold the text so far."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["switch"]


@njit(cache=True, nogil=True)
def switch(logs: np.ndarray, log_weights: np.ndarray, merits: np.ndarray, switching: float, mixed: np.ndarray) -> None:
    """Mix token after token; each component's weight times its merit, which grows as it foretells better than the mix.

    Args:
        logs: Natural logs, float64 (components, tokens).
        log_weights: float64 (components, tokens), what each weighs before any token of the text is known.
        merits: float64 (components,), 1 each at the beginning of a text; left as they are after it.
        switching: Share of its merit that each component gives up at every token, to begin again at 1.
        mixed: Takes the logs of the mixture, one a token.
    """
    components = len(merits)
    for token in range(logs.shape[1]):
        highest, total, mix = -np.inf, 0.0, 0.0
        for i in range(components):
            highest = max(highest, logs[i, token])
        for i in range(components):
            weight = merits[i] * math.exp(log_weights[i, token])
            total += weight
            mix += weight * math.exp(logs[i, token] - highest) if highest > -np.inf else 0.0
        if mix == 0.0:
            mixed[token] = -np.inf
            continue
        mixed[token] = highest + math.log(mix / total)
        for i in range(components):
            better = math.exp(logs[i, token] - highest) / (mix / total)
            merits[i] = (1.0 - switching) * merits[i] * better + switching
