"""A text as the words that vectors stand for."""

from __future__ import annotations

import re

__all__ = ["cut"]

_PIECES = re.compile(r"<unk>|\w+|[^\w\s]")


def cut(text: str, lowercase: bool = False, punctuation: bool = False) -> list[str]:
    """The words of a text, in order.

    Args:
        text: Any text; words stand between white space (Chinese has to be segmented before).
        lowercase: Read capital letters as small ones.
        punctuation: Split punctuation and symbols off, each sign a word of its own.

    >>> cut("The film's good.")
    ['The', "film's", 'good.']
    >>> cut("The film's good.", lowercase=True, punctuation=True)
    ['the', 'film', "'", 's', 'good', '.']
    """
    text = text.lower() if lowercase else text
    return _PIECES.findall(text) if punctuation else text.split()
