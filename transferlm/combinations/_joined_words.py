"""Word vectors of several models, in one space already, as one table; and how texts are then cut into its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transferlm.errors import UnsupportedError
from transferlm.models.base import WordVectors
from transferlm.vectors.table import WordTable

__all__ = ["joined"]


def joined(models: Sequence[WordVectors], spaces: Sequence[np.ndarray]) -> tuple[WordTable, dict[str, Any]]:
    """All words once, and `lowercase`, `punctuation` and `chinese` as all models can live with them.

    Args:
        models: What the words are from.
        spaces: Their vectors in one space: float32 (words, width) each. A word that several have gets their mean.

    Raises:
        UnsupportedError: One model reads capital letters, or Chinese, otherwise than another.
    """
    reading = _reading(models)  # before the work
    places: dict[str, int] = {}
    ranks = [(row, which) for which, model in enumerate(models) for row in range(len(model.table))]
    for row, which in sorted(ranks):  # the most frequent words of every model first
        places.setdefault(models[which].table.words[row], len(places))
    sums = np.zeros((len(places), spaces[0].shape[1]), np.float32)
    counts = np.zeros((len(places), 1), np.float32)
    for model, space in zip(models, spaces, strict=True):
        rows = np.fromiter((places[word] for word in model.table.words), np.int64, len(model.table))
        sums[rows] += space
        counts[rows] += 1
    return WordTable.of(places, sums / counts), reading


def _reading(models: Sequence[WordVectors]) -> dict[str, Any]:
    capitals = [any(word != word.lower() for word in model.table.words) for model in models]
    lowercase = any(model.lowercase for model in models)
    if lowercase and any(capitals):
        raise UnsupportedError(
            "one model reads capital letters as small ones and another has words with capitals: train both with"
            " --lowercase true, or both without"
        )
    chinese = sorted({model.chinese for model in models} - {"spaces"})
    if len(chinese) > 1:
        raise UnsupportedError("one model has Chinese by characters and another by words: train them alike")
    punctuation = any(model.punctuation for model in models)
    return {"lowercase": lowercase, "punctuation": punctuation, "chinese": chinese[0] if chinese else "spaces"}
