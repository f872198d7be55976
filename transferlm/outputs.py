"""What a task asks of a model: one score vector a text or a token, and how the scores are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Output", "Stretch"]


@dataclass(frozen=True)
class Output:
    """The shape and meaning of a task's scores; heads and losses follow from it (`neural/heads.py`).

    Attributes:
        per: One score vector a text, or one a token.
        size: Length of that vector (classes, tags, or 1 for a rating).
        link: How scores become predictions: `softmax` (one of several), `sigmoid` (any of several),
            `squared` (a number), `span` (start and end over the tokens).
    """

    per: Literal["text", "token"]
    size: int
    link: Literal["softmax", "sigmoid", "squared", "span"]

    def __str__(self) -> str:
        return f"{self.link} a {self.per}"


@dataclass(frozen=True, eq=False)
class Stretch:
    """The scores of a text's tokens that a model read together: a long text has several stretches, which overlap.

    Attributes:
        offsets: int32 of shape (tokens, 2): each token's characters in the text (in a pair, in the second one).
        scores: float32 of shape (tokens, size).
        whole: float32 of shape (size,): scores of the special token that stands for all that was read.
        ahead: Whether each token has seen those that follow it.
    """

    offsets: np.ndarray
    scores: np.ndarray
    whole: np.ndarray
    ahead: bool = True
