"""Texts drawn from a model with a cache of its hidden states, which grows with every token drawn."""

from __future__ import annotations

from typing import Self

import numpy as np

from transferlm.models._sampling import HiddenContinuation
from transferlm.models._state_cache import mixed, next_shares

__all__ = ["CachedContinuation"]


class CachedContinuation(HiddenContinuation):
    """A text of another continuation, whose states and tokens are remembered.

    Args:
        inner: Reads the tokens; it stands behind the prompt.
        read: Ids of the prompt's tokens.
        size: States that are remembered.
        flatness: How much their resemblance counts.
        weight: Share of the probability that they give.
    """

    def __init__(self, inner: HiddenContinuation, read: np.ndarray, size: int, flatness: float, weight: float) -> None:
        self._inner, self._size, self._flatness, self._weight = inner, size, flatness, weight
        self.end_id, self.barred = inner.end_id, inner.barred
        self.hidden = inner.hidden[-(1 + len(read)) :]
        self._states = self.hidden[-(1 + size) :]
        self._ids = read[len(read) - (len(self._states) - 1) :].astype(np.int64)

    def log_probs(self) -> np.ndarray:
        """The distribution after the last token read."""
        row = self._inner.log_probs()
        shares = next_shares(self._states, self._ids, self._size, self._flatness, len(row))
        return mixed(row, shares, len(self._ids) == 0, self._weight)

    def take(self, token: int) -> None:
        """Read one token more, and remember what state it followed."""
        self._inner.take(token)
        self.hidden = self._inner.hidden[-1:]
        self._states = np.concatenate([self._states, self.hidden])[-(1 + self._size) :]
        self._ids = np.append(self._ids, token)[-self._size :]

    def text(self) -> str:
        """The prompt and what was taken."""
        return self._inner.text()

    def fork(self) -> Self:
        """A twin with a reader of its own."""
        twin = super().fork()
        twin._inner = self._inner.fork()
        return twin
