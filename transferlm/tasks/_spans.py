"""From scores of first and last tokens to the best span of a text, and what speaks for there being none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transferlm.outputs import Stretch

__all__ = ["Best", "best_span", "tokens_of"]


class Best(NamedTuple):
    """The best span of a text.

    Attributes:
        start: Its first character; None where the text has no token.
        end: The character after its last.
        score: The sum of its two scores.
        null: The least score that any stretch gives to there being no answer.
        total: Logarithm of the summed exponentials of all spans and of `null`: what probabilities are shares of.
    """

    start: int | None
    end: int | None
    score: float
    null: float
    total: float


def best_span(stretches: Sequence[Stretch], longest: int) -> Best:
    """The span with the highest score over all stretches of a text (Devlin et al. 2019, section 4.3).

    Scores are compared across stretches as they are, so that one distribution covers the whole text (Clark & Gardner
    2018, shared normalisation); a stretch that holds the answer speaks least for there being none, so the least `null`
    counts.

    Args:
        stretches: Scores of first and last tokens.
        longest: Characters of a span at the most.
    """
    start = end = None
    score, null, parts = -np.inf, np.inf, []
    for stretch in stretches:
        null = min(null, float(stretch.whole.astype(np.float64).sum()))
        if not len(stretch.offsets):
            continue
        table = _table(stretch, longest)
        parts.append(_log_sum(table))
        first, last = np.unravel_index(int(table.argmax()), table.shape)
        if table[first, last] > score:
            score = float(table[first, last])
            start, end = int(stretch.offsets[first, 0]), int(stretch.offsets[last, 1])
    return Best(start, end, score, null, _log_sum(np.array([*parts, null])))


def tokens_of(offsets: np.ndarray, start: int, end: int) -> np.ndarray:
    """The first and the last token of a span of characters, int64 of shape (2,); -1 both where it is not all there."""
    touched = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start) & (offsets[:, 1] > offsets[:, 0]))
    if not len(touched) or offsets[touched[0], 0] > start or offsets[touched[-1], 1] < end:
        return np.array([-1, -1])
    return np.array([touched[0], touched[-1]])


def _table(stretch: Stretch, longest: int) -> np.ndarray:
    """Scores of every span, -inf where it is none: float64 of shape (first tokens, last tokens)."""
    scores, offsets = stretch.scores.astype(np.float64), stretch.offsets.astype(np.int64)
    table = scores[:, None, 0] + scores[None, :, 1]
    lengths = offsets[None, :, 1] - offsets[:, None, 0]
    order = np.arange(len(offsets))
    table[(order[None, :] < order[:, None]) | (lengths > longest) | (lengths < 1)] = -np.inf
    return np.asarray(table)


def _log_sum(values: np.ndarray) -> float:
    highest = float(values.max())
    return highest + float(np.log(np.exp(values - highest).sum())) if np.isfinite(highest) else highest
