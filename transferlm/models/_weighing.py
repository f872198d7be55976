"""What each component of a mixture weighs at every token, and the mixture that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transferlm.models._confidence import Confidence
from transferlm.models._switching_kernels import switch

__all__ = ["Weighing"]


class Weighing:
    """Weights that are fixed, or follow what one component has counted, and may move with what was read.

    Args:
        weights: float64 (components,), summing to 1. With a confidence, of all but the last, which has none of its own.
        switching: Chance at each token that the text turns to another kind; none leaves the weights as they are.
        confidence: What the last component has counted; none gives it a weight like the others'.
        strength: What the others, the prior, weigh beside that.
    """

    def __init__(
        self,
        weights: np.ndarray,
        switching: float | None = None,
        confidence: Confidence | None = None,
        strength: float | None = None,
    ) -> None:
        self._fixed = np.log(weights)[:, None]
        self._switching, self._confidence, self._strength = switching, confidence, strength

    @property
    def moves(self) -> bool:
        """Whether what was read changes the weights."""
        return self._switching is not None

    @property
    def components(self) -> int:
        """How many are weighed."""
        return len(self._fixed) + (self._confidence is not None)

    def before_reading(self, texts: Sequence[str]) -> list[np.ndarray]:
        """For each text the logs of all weights at its tokens: float64 (components, tokens), or (components, 1)."""
        if self._confidence is None or self._strength is None:
            return [self._fixed] * len(texts)
        with np.errstate(divide="ignore"):
            return [
                np.concatenate([self._fixed + share, np.log(-np.expm1(share))[None]])
                for share in self._confidence.prior_shares(texts, self._strength)
            ]

    def mixed(self, logs: np.ndarray, log_weights: np.ndarray, beliefs: np.ndarray) -> np.ndarray:
        """Logs of the mixture of a text's tokens.

        Args:
            logs: Natural logs, float64 (components, tokens).
            log_weights: What `before_reading` gave.
            beliefs: float64 (components,): 0 each where reading begins; left as they are after the text.
        """
        if self._switching is None:
            mixed: np.ndarray = np.logaddexp.reduce(log_weights + logs, axis=0)
        else:
            mixed = np.empty(logs.shape[1])
            switch(logs, np.broadcast_to(log_weights, logs.shape), beliefs, self._switching, mixed)
        mixed[mixed > 0] = 0  # the sum of what was rounded may be above
        return mixed

    def after_reading(self, logs: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
        """Logs of the weights of the token after a text: float64 (components,).

        Args:
            logs: Of its tokens, as in `mixed`, the end left out.
            log_weights: As in `mixed`, those of the token after it the last.
        """
        fresh: np.ndarray = log_weights[:, -1]
        if self._switching is None or not logs.shape[1]:
            return fresh
        beliefs = np.zeros(self.components)
        self.mixed(logs, np.broadcast_to(log_weights, (len(logs), logs.shape[1] + 1))[:, :-1], beliefs)
        with np.errstate(divide="ignore"):
            weights: np.ndarray = np.log((1 - self._switching) * beliefs + self._switching * np.exp(fresh))
        weights -= np.logaddexp.reduce(weights)
        return weights
