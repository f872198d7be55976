"""What a task asks of a model: one score vector a text or a token, and how the scores are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Output"]


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
