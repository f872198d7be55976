"""A stream of texts in windows bounded in number and characters: what is worked on together fits in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from transferlm.text.framing import Text

__all__ = ["windows"]

T = TypeVar("T", bound=Text)


def windows(texts: Iterable[T], count: int = 512, characters: int = 1 << 17) -> Iterator[list[T]]:
    """Consecutive texts in lists, read no further ahead than the list at hand.

    Args:
        texts: Any number of texts (or pairs of them), read once.
        count: Most texts in a window.
        characters: A window ends with the text that reaches this many, so that only one text can be longer than this.

    >>> list(windows(["one", "two", "three", "four"], count=3, characters=8))
    [['one', 'two', 'three'], ['four']]
    """
    if isinstance(texts, str):
        raise TypeError("several texts are needed: give [text]")
    window: list[T] = []
    size = 0
    for text in texts:
        window.append(text)
        size += len(text) if isinstance(text, str) else sum(map(len, text))
        if len(window) >= count or size >= characters:
            yield window
            window, size = [], 0
    if window:
        yield window
