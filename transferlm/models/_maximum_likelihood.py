"""Relative frequencies: no smoothing, a baseline and a teaching example."""

from __future__ import annotations

import numpy as np

from transferlm.counts.trie import Trie
from transferlm.models._discounting import Estimate, Level, build, event_counts, over_contexts
from transferlm.models._discounting_kernels import interpolate_pseudo_counts

__all__ = ["estimate"]


def estimate(trie: Trie) -> Estimate:
    """p(w | h) = c(hw) / c(h) for a context that was seen; a context never seen gives way to the shorter one.

    Whatever did not follow a seen context has probability 0 there, and so has UNKNOWN unless it was counted.

    Raises:
        DataError: Nothing was counted.
    """

    def weigh(level: Level) -> tuple[np.ndarray, np.ndarray]:
        values = event_counts(trie, level.order)
        return over_contexts(interpolate_pseudo_counts, level, values, 0.0, 0.0)

    return build(trie, weigh, {"smoothing": "maximum_likelihood"}, [])
