"""By how much one language model predicts texts better than another, with an interval: whether an update paid.

Language modelling is no task of `tasks/`: it has no labels, no head and no strategy, and what an update makes is the
model itself. So whether an update on text of a domain or a style paid is asked where models are scored, on held-out
text of that kind: the updated model against the one that it came from, and against one pretrained on the new text
alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from transferlm.errors import DataError, UnsupportedError
from transferlm.measure.intervals import Interval, paired_gain
from transferlm.models.base import Causal
from transferlm.progress import track

__all__ = ["LanguageGain", "TextLosses", "language_gain"]


@dataclass(frozen=True)
class LanguageGain:
    """How much better one model is than another on the same texts.

    Attributes:
        interval: The difference of the mean losses, theirs less ours, so that above 0 ours predicts better; texts are
            random, and paired.
        unit: What is counted: bits a byte, or bits a token where vocabularies are closed and the same.
    """

    interval: Interval
    unit: Literal["bits per byte", "bits per token"]

    def to_json(self) -> dict[str, Any]:
        """Gain and interval as plain data."""
        found = self.interval
        return {"unit": self.unit, "gain": found.mean, "low": found.low, "high": found.high, "texts": found.examples}

    def __str__(self) -> str:
        low, high = sorted((abs(self.interval.low), abs(self.interval.high)))
        if self.interval.low <= 0 <= self.interval.high:
            ends = f"[{self.interval.low:+.4f}, {self.interval.high:+.4f}]"
            return f"{self.interval.mean:+.4f} {self.unit} {ends}: no difference shown"
        better = "better" if self.interval.mean > 0 else "worse"
        return f"{abs(self.interval.mean):.4f} {self.unit} [{low:.4f}, {high:.4f}] {better}"


@dataclass(frozen=True, eq=False)
class TextLosses:
    """What a model loses on each text, read alone.

    Attributes:
        model: The model.
        bits: Minus the binary logarithm of each text's probability, float64 (texts,).
        bytes: UTF-8 bytes of each, and one for its end.
        tokens: Tokens of each, and one for its end.
    """

    model: Causal
    bits: np.ndarray
    bytes: np.ndarray
    tokens: np.ndarray

    @classmethod
    def of(cls, model: Causal, texts: Sequence[str]) -> TextLosses:
        """Score each text alone.

        Raises:
            DataError: There are fewer than two texts.
        """
        if len(texts) < 2:
            raise DataError(f"{len(texts)} texts: an interval over texts needs two or more")
        found = list(track(model.token_scores(texts, "text"), "scoring", len(texts), unit="texts"))
        bits = np.array([-float(scores.log_probs.sum()) / math.log(2) for scores in found])
        sizes = [len(text.encode("utf-8")) + 1 for text in texts]
        return cls(model, bits, np.array(sizes), np.array([len(scores.log_probs) for scores in found]))


def language_gain(ours: TextLosses, theirs: TextLosses) -> LanguageGain:
    """By how much ours predicts the texts better.

    A loss a byte is a ratio of two sums over texts; each text's share in it is its jackknife pseudo-value.

    Raises:
        UnsupportedError: A vocabulary is closed and the other is not the same: the losses can't be compared.
        DataError: A text has probability 0.
    """
    one, other = ours.model.vocabulary, theirs.model.vocabulary
    if (one.closed or other.closed) and one.hash != other.hash:
        raise UnsupportedError(
            f"losses over {one.name} and over {other.name} can't be compared, one of them being closed: train both with"
            " one tokenizer, or with byte_pair"
        )
    for losses in (ours, theirs):
        if not np.isfinite(losses.bits).all():
            place = int(np.flatnonzero(~np.isfinite(losses.bits))[0])
            raise DataError(f"text {place + 1:,} has probability 0 under one model: no mean loss can be compared")
    mine, others = (_ratio(losses, one.closed) for losses in (ours, theirs))
    return LanguageGain(paired_gain(others[None], mine[None]), "bits per token" if one.closed else "bits per byte")


def _ratio(losses: TextLosses, by_token: bool) -> np.ndarray:
    """Pseudo-values of the bits a byte (or token), float64 (texts,); their mean is the ratio of the sums."""
    sizes = losses.tokens if by_token else losses.bytes
    bits, size = losses.bits.sum(), sizes.sum()
    without = (bits - losses.bits) / (size - sizes)
    return np.asarray(bits / size + (len(sizes) - 1) * (without.mean() - without))
