"""Witten-Bell smoothing: a context leaves as much to the shorter one as it has kinds of successors."""

from __future__ import annotations

import numpy as np

from transferlm.counts.trie import Trie
from transferlm.models._discounting import Estimate, Level, build, event_counts, over_contexts
from transferlm.models._discounting_kernels import interpolate_pseudo_counts

__all__ = ["estimate"]


def estimate(trie: Trie) -> Estimate:
    """Interpolated Witten-Bell smoothing (Witten & Bell 1991; Chen & Goodman 1999, eq. 17).

    p(w | h) = (c(hw) + N(h) p(w | h')) / (c(h) + N(h)), N(h) being the number of distinct symbols that followed h.
    Unigrams rest on the uniform distribution over the words that occur, END and UNKNOWN.

    Raises:
        DataError: Nothing was counted.
    """

    def weigh(level: Level) -> tuple[np.ndarray, np.ndarray]:
        values = event_counts(trie, level.order)
        return over_contexts(interpolate_pseudo_counts, level, values, 1.0, 0.0)

    return build(trie, weigh, {"smoothing": "witten_bell"}, [])
