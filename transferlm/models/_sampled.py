"""The loss that a model's `softmax` and `samples` ask for in training."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from transferlm.errors import SettingError
from transferlm.neural.sampled_softmax import SampledLoss
from transferlm.seeding import derive

__all__ = ["check_softmax", "sampled_loss"]

_SHAPES = ("full", "sampled")
_AT_ONCE = 1 << 22
"""Tokens that are counted at once."""


class _Sampling(Protocol):
    samples: int

    @property
    def softmax(self) -> str: ...


def check_softmax(model: _Sampling) -> None:
    """Refuse settings that make no sense.

    Raises:
        SettingError: One is out of its range.
    """
    if model.softmax not in _SHAPES:
        raise SettingError(f"softmax {model.softmax!r}: choose {' or '.join(_SHAPES)}")
    if model.samples < 1:
        raise SettingError(f"samples {model.samples}: give 1 or more")


def sampled_loss(model: _Sampling, stream: np.ndarray, size: int, seed: int) -> SampledLoss | None:
    """The loss over samples that follow the stream's own counts, or None where the settings ask for the exact one.

    Args:
        model: Its settings decide.
        stream: Token ids, shape (tokens,); read once.
        size: Rows of the output layer.
        seed: Decides all samples.

    Raises:
        SettingError: A sample would be the whole vocabulary.
    """
    if model.softmax == "full":
        return None
    if model.samples >= size:
        raise SettingError(
            f"samples {model.samples:,}: the vocabulary has {size:,} tokens, give fewer or choose the full softmax"
        )
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(stream), _AT_ONCE):
        counts += np.bincount(stream[start : start + _AT_ONCE], minlength=size)
    return SampledLoss(counts, model.samples, derive(seed, "samples"))
