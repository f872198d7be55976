"""How a model reads what a task gives it: a text, a pair of texts, a text that is longer than it reads at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transferlm.errors import UnsupportedError
from transferlm.models.base import Encoder, Encoding, MapsVectors, Model, QuickEncoder, TokenEncoder
from transferlm.outputs import Stretch
from transferlm.text.framing import Text, parts, shares_read

__all__ = ["encoded", "features_apart", "means", "scored_tokens", "singles"]


def encoded(model: Model, texts: Sequence[Text], whole: bool = False) -> Encoding:
    """One vector an input.

    Args:
        model: An encoder.
        texts: Texts, or pairs that the model reads together.
        whole: Whether a long text is read in overlapping windows, its vector then being the mean of theirs; else it is
            cut. Models that read every text whole need no windows.

    Raises:
        UnsupportedError: The model can't read a pair together.
    """
    if isinstance(model, MapsVectors):
        return model.mapped(encoded(model.model, texts, whole))
    assert isinstance(model, Encoder)
    if isinstance(model, TokenEncoder) and (whole or any(not isinstance(text, str) for text in texts)):
        rows = model.windows(texts, whole)
        features = model.encode_rows(rows, model.encoding_width)
        return Encoding(means(features, [row.text for row in rows], len(texts)), shares_read(texts, rows))
    return model.encode(singles(model, texts))


def singles(model: Model, texts: Sequence[Text]) -> list[str]:
    """The inputs as single texts, checked.

    Raises:
        UnsupportedError: One is a pair of texts.
    """
    found = [text for text in texts if isinstance(text, str)]
    if len(found) < len(texts):
        raise UnsupportedError(f"a {model.family} model reads one text at a time, no pair of texts")
    return found


def means(features: np.ndarray, owners: Sequence[int], count: int) -> np.ndarray:
    """The mean of each text's rows: float32 of shape (count, width)."""
    sums = np.zeros((count, features.shape[1]), dtype=np.float64)
    np.add.at(sums, np.asarray(owners, dtype=np.int64), features)
    rows = np.bincount(np.asarray(owners, dtype=np.int64), minlength=count)
    return (sums / np.maximum(rows, 1)[:, None]).astype(np.float32)


def features_apart(model: Model, texts: Sequence[Text], whole: bool = False) -> Encoding:
    """Pairs as vectors, each text read by itself: u, v, |u - v| and u * v side by side (Conneau et al. 2017).

    What a frozen encoder knows of likeness stands in the last two.
    """
    from scipy.sparse import hstack

    first, second = (encoded(model, [parts(text)[side] for text in texts], whole) for side in (0, 1))
    u, v = first.features, second.features
    joined: Any
    if isinstance(u, np.ndarray):
        joined = np.concatenate([u, v, np.abs(u - v), u * v], axis=1)
    else:
        joined = hstack([u, v, abs(u - v), u.multiply(v)], format="csr")
    lengths = np.array([[len(side) for side in parts(text)] for text in texts], dtype=np.float64).reshape(-1, 2)
    total = np.maximum(lengths.sum(axis=1), 1)
    read = (lengths * np.stack([first.read, second.read], axis=1)).sum(axis=1) / total
    return Encoding(joined, np.where(lengths.sum(axis=1) > 0, read, 1.0))


def scored_tokens(
    model: Model,
    texts: Sequence[Text],
    weights: np.ndarray,
    bias: np.ndarray,
    longest: int | None = None,
    precision: str | None = None,
) -> tuple[list[list[Stretch]], np.ndarray]:
    """The scores of every token of every input, read whole: a linear function of the token's state.

    Args:
        model: One with token states.
        texts: Texts, or pairs whose second text is scored.
        weights: float32 of shape (token width, size).
        bias: float32 of shape (size,).
        longest: Tokens that are read at once, where that is less than the model's maximum length.
        precision: One of a quick encoder's precisions, to be scored by its quick pass; none takes the usual way.

    Returns:
        Each text's stretches in order, and the share of it that was read, float64 of shape (texts,).
    """
    if precision is not None:
        assert isinstance(model, QuickEncoder)
        rows = model.windows(texts, whole=True, longest=longest)
        scored = model.score_quickly(rows, weights, bias, precision)
    else:
        assert isinstance(model, TokenEncoder)
        rows = model.windows(texts, whole=True, longest=longest)
        scored = model.score_rows(rows, weights, bias)
    found: list[list[Stretch]] = [[] for _ in texts]
    for row, scores in zip(rows, scored, strict=True):
        own = scores[row.start : row.start + len(row.offsets)]
        found[row.text].append(Stretch(row.offsets, own, scores[row.sees_all], row.ahead))
    return found, shares_read(texts, rows)
