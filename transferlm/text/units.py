"""A text's words, signs and characters with their places: units that no tokenizer decides."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["spaceless", "unit_offsets"]

# Scripts that put no spaces between words: each character stands for itself. Thai to Burmese, kana, Han.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
_SPACELESS += "\uf900-\ufaff\U00020000-\U0003134f"
# Marks that belong to the letter before them, which Python's \w leaves out: Latin, Hebrew, Arabic, Indic.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0dff"
_LETTER = rf"[^\W{_SPACELESS}]"
_UNIT = re.compile(rf"[{_SPACELESS}]|{_LETTER}(?:{_LETTER}|[{_MARKS}])*|[^\w\s]")
_ONE = re.compile(rf"[{_SPACELESS}]")


def spaceless(text: str) -> bool:
    """Whether any character is of a script that puts no spaces between words (Chinese, Japanese, Thai).

    >>> spaceless("巴黎 Paris"), spaceless("Paris")
    (True, False)
    """
    return _ONE.search(text) is not None


def unit_offsets(text: str) -> np.ndarray:
    """First character and the one after the last of every unit: int32 of shape (units, 2).

    A unit is a run of letters and digits, a single sign, or a single character of a script without spaces.

    >>> [("U.S. 2go 北京")[a:b] for a, b in unit_offsets("U.S. 2go 北京")]
    ['U', '.', 'S', '.', '2go', '北', '京']
    """
    return np.array([match.span() for match in _UNIT.finditer(text)], dtype=np.int32).reshape(-1, 2)
