"""A stream of texts in windows bounded in number and characters: what is worked on together fits in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["windows"]


def windows(texts: Iterable[str], count: int = 512, characters: int = 1 << 17) -> Iterator[list[str]]:
    """Consecutive texts in lists, read no further ahead than the list at hand.

    Args:
        texts: Any number of texts, read once.
        count: Most texts in a window.
        characters: A window ends with the text that reaches this many, so that only one text can be longer than this.

    >>> list(windows(["one", "two", "three", "four"], count=3, characters=8))
    [['one', 'two', 'three'], ['four']]
    """
    if isinstance(texts, str):
        raise TypeError("several texts are needed: give [text]")
    window: list[str] = []
    size = 0
    for text in texts:
        window.append(text)
        size += len(text)
        if len(window) >= count or size >= characters:
            yield window
            window, size = [], 0
    if window:
        yield window
