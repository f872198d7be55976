"""Texts scored one by one by a causal model, and the gap between two models on them, paired by text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from transferlm.errors import SettingError, UnsupportedError
from transferlm.measure.intervals import Interval, interval_of_mean
from transferlm.models.base import Causal
from transferlm.progress import Progress

__all__ = ["BLOCKS", "TextScores", "gap", "gap_pseudo_values", "score_texts"]

BLOCKS = 20
"""Blocks of neighbouring texts that a stretch of texts is cut into: neighbours tell of the same things, so that an
interval which took each text for independent of the next would be too narrow (block jackknife, Künsch 1989)."""


@dataclass(frozen=True)
class TextScores:
    """What each text costs a model.

    Attributes:
        costs: Bits of each text with its end, or nats where the vocabulary is closed: float64 of shape (texts,).
        sizes: UTF-8 bytes of each and one for its end, or tokens: int64 of shape (texts,).
        unit: `bits per byte`, or `nats a token` where the vocabulary is closed.
        vocabulary: Hash of a closed vocabulary; empty where every string can be written.
    """

    costs: np.ndarray
    sizes: np.ndarray
    unit: str
    vocabulary: str = ""

    @property
    def mean(self) -> float:
        """Over all texts, in `unit`: lower is better."""
        return float(self.costs.sum() / self.sizes.sum())

    @property
    def each(self) -> np.ndarray:
        """Of each text, in `unit`."""
        quotients: np.ndarray = self.costs / self.sizes
        return quotients


def score_texts(model: Causal, texts: Iterable[str], name: str = "the texts") -> TextScores:
    """Score texts one by one, each on its own.

    Args:
        model: Any causal model.
        texts: One or more.
        name: What errors call the texts.

    Raises:
        UnsupportedError: A text has probability 0: infinite scores can't be averaged.
    """
    closed = model.vocabulary.closed
    costs, sizes = [], []
    given = list(texts)
    with Progress(f"scoring {name}", len(given), "texts") as progress:
        for number, (text, scores) in enumerate(zip(given, model.token_scores(given), strict=True), start=1):
            nats = -float(scores.log_probs.sum())
            if not math.isfinite(nats):
                raise UnsupportedError(
                    f"{name}, text {number:,}: its probability is 0, and infinite scores can't be averaged: take a"
                    " smoothed model, such as kneser_ney"
                )
            costs.append(nats if closed else nats / math.log(2))
            sizes.append(len(scores.log_probs) if closed else len(text.encode()) + 1)
            progress.advance()
    unit = "nats a token" if closed else "bits per byte"
    vocabulary = model.vocabulary.hash if closed else ""
    return TextScores(np.array(costs), np.array(sizes, dtype=np.int64), unit, vocabulary)


def gap(theirs: Sequence[TextScores], ours: Sequence[TextScores], confidence: float = 0.95) -> Interval:
    """How much less our model costs than theirs on the same texts, in the scores' unit: above 0 ours is better.

    The gap is one ratio over all texts, total difference by total size. Its interval is a delete-one-block jackknife:
    each stretch is cut into `BLOCKS` blocks of neighbouring texts.

    Args:
        theirs: Their scores of one or more stretches of text.
        ours: Ours of the same stretches.
        confidence: 0.95 by habit.

    Raises:
        UnsupportedError: The scores are not of the same texts or not in one unit.
    """
    return interval_of_mean(gap_pseudo_values(theirs, ours)[None, :], confidence)


def gap_pseudo_values(theirs: Sequence[TextScores], ours: Sequence[TextScores]) -> np.ndarray:
    """What each block of neighbouring texts says of the gap: jackknife pseudo-values (blocks,), whose mean is the gap.

    Those of several seeds on the same texts, stacked to (seeds, blocks), go to `interval_of_mean`: the seeds are then
    as random as the texts.
    """
    return _ratio_pseudo_values(*_blocks(theirs, ours))


def _blocks(theirs: Sequence[TextScores], ours: Sequence[TextScores]) -> tuple[np.ndarray, np.ndarray]:
    """Difference in cost and size of each block."""
    differences, sizes = [], []
    for their, our in zip(theirs, ours, strict=True):
        if their.unit != our.unit or their.vocabulary != our.vocabulary or not np.array_equal(their.sizes, our.sizes):
            raise UnsupportedError("scores of other texts, units or vocabularies can't be paired: score the same texts")
        starts = np.unique(np.linspace(0, len(our.sizes), min(BLOCKS, len(our.sizes)), endpoint=False).astype(int))
        differences.append(np.add.reduceat(their.costs - our.costs, starts))
        sizes.append(np.add.reduceat(our.sizes, starts))
    return np.concatenate(differences), np.concatenate(sizes)


def _ratio_pseudo_values(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values (n,) of a ratio of two sums, such as bits by bytes; their mean is the ratio itself.

    >>> _ratio_pseudo_values(np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 1.0])).round(6).tolist()
    [1.0, 2.0, 6.0]
    """
    if len(numerators) < 2:
        raise SettingError("an interval needs two test examples or more")
    total, size = numerators.sum(), denominators.sum()
    without = (total - numerators) / (size - denominators)
    values: np.ndarray = total / size + (len(numerators) - 1) * (without.mean() - without)
    return values
