"""A text's words, signs and characters with their places: units that no tokenizer decides."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np

__all__ = ["is_mark", "spaceless", "unit_offsets"]

# Scripts that put no spaces between words: each character stands for itself. Thai and Lao, Burmese, Khmer, kana, Han.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17ff"
_SPACELESS += "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\U0001aff0-\U0001b16f"
_SPACELESS += "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_ONE = re.compile(rf"[{_SPACELESS}]")
_PLANES = (range(0x20000), range(0xE0000, 0xE0200))
"""Where marks are: the rest of Unicode is Han, for private use, or empty."""


def is_mark(character: str) -> bool:
    """Whether it belongs to the letter before it (an accent, a vowel sign): Unicode's category M.

    >>> is_mark("\u0301"), is_mark("e")
    (True, False)
    """
    return unicodedata.category(character)[0] == "M"


def spaceless(text: str) -> bool:
    """Whether any character is of a script that puts no spaces between words (Chinese, Japanese, Thai).

    >>> spaceless("巴黎 Paris"), spaceless("Paris")
    (True, False)
    """
    return _ONE.search(text) is not None


def unit_offsets(text: str) -> np.ndarray:
    """First character and the one after the last of every unit: int32 of shape (units, 2).

    A unit is a run of letters and digits, a single sign, or a single character of a script without spaces; marks
    belong to the letter before them.

    >>> [("U.S. 2go 北京")[a:b] for a, b in unit_offsets("U.S. 2go 北京")]
    ['U', '.', 'S', '.', '2go', '北', '京']
    """
    return np.array([match.span() for match in _unit().finditer(text)], dtype=np.int32).reshape(-1, 2)


@cache
def _unit() -> re.Pattern[str]:
    """What matches one unit."""
    marks = "".join(chr(code) for codes in _PLANES for code in codes if is_mark(chr(code)))
    mark = rf"(?![\w\s\x00-\x7f])[{marks}]"  # what most words end with is told from a mark at once
    letter = rf"[^\W{_SPACELESS}]"
    return re.compile(rf"[{_SPACELESS}](?:{mark})*|{letter}+(?:(?:{mark})+{letter}*)*|[^\w\s]")
