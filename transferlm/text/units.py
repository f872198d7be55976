"""A text's words, signs and characters with their places: units that no tokenizer decides."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np

__all__ = ["is_mark", "spaceless", "unit_offsets", "word_offsets"]

# Scripts that put no spaces between words: each character stands for itself. Thai and Lao, Burmese, Khmer, kana, Han.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17ff"
_SPACELESS += "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\U0001aff0-\U0001b16f"
_SPACELESS += "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_ONE = re.compile(rf"[{_SPACELESS}]")
_APART = re.compile(rf"[{_SPACELESS}\u3000-\u303f\uff00-\uff65—…“”«»()\[\]{{}}]")
"""What is no part of a word: characters of those scripts, the punctuation that goes with them, and what parts words."""
_LETTER, _POSSESSIVE, _ABBREVIATION = re.compile(r"\w"), re.compile("['’][sS]"), re.compile(r"(?:[^\W\d]{1,2}\.){2,}")
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


def word_offsets(text: str) -> np.ndarray:
    """First character and the one after the last of every word: int32 of shape (words, 2).

    A word is what stands between spaces, but for the signs at its ends, which are words of their own, as is a
    possessive `'s`. `@` and `#` stay before a word, and a full stop after an abbreviation that holds another one.
    Dashes, ellipses, brackets and curly quotes part words as spaces do. Signs alone are one word. Scripts without
    spaces and their punctuation are read by character, as in `unit_offsets`.

    >>> text = "U.S.-led (Ada's), @ada_l: :-) 北京。"
    >>> [text[a:b] for a, b in word_offsets(text)]
    ['U.S.-led', '(', 'Ada', "'s", ')', ',', '@ada_l', ':', ':-', ')', '北', '京', '。']
    """
    units = unit_offsets(text).tolist()
    spaced = [_APART.match(text, start) is None for start, _ in units]
    words: list[list[int]] = []
    begin = 0
    for end in range(1, len(units) + 1):
        if end < len(units) and units[end - 1][1] == units[end][0] and spaced[end - 1] and spaced[end]:
            continue
        words += [units[begin]] if end - begin == 1 else _words(text, units[begin:end])
        begin = end
    return np.array(words, dtype=np.int32).reshape(-1, 2)


def _words(text: str, units: list[list[int]]) -> list[list[int]]:
    """The words of units with no space between them."""
    if _is_possessive(text, units) or not any(_is_word(text, unit) for unit in units):
        return [[units[0][0], units[-1][1]]]
    if not _is_possessive(text, units[-2:]):
        return _one_word(text, units)
    return [*_one_word(text, units[:-2]), [units[-2][0], units[-1][1]]]


def _one_word(text: str, units: list[list[int]]) -> list[list[int]]:
    """A word with the signs around it; signs alone are words each."""
    letters = [place for place, unit in enumerate(units) if _is_word(text, unit)]
    if not letters:
        return units
    first, last = letters[0], letters[-1] + 1
    if first and text[units[first - 1][0]] in "@#":
        first -= 1
    if last < len(units) and _ABBREVIATION.fullmatch(text, units[first][0], units[last][1]):
        last += 1
    return [*units[:first], [units[first][0], units[last - 1][1]], *units[last:]]


def _is_possessive(text: str, units: list[list[int]]) -> bool:
    return len(units) == 2 and _POSSESSIVE.fullmatch(text, units[0][0], units[1][1]) is not None


def _is_word(text: str, unit: list[int]) -> bool:
    return _LETTER.match(text, unit[0]) is not None


@cache
def _unit() -> re.Pattern[str]:
    """What matches one unit."""
    marks = "".join(chr(code) for codes in _PLANES for code in codes if is_mark(chr(code)))
    mark = rf"(?![\w\s\x00-\x7f])[{marks}]"  # what most words end with is told from a mark at once
    letter = rf"[^\W{_SPACELESS}]"
    return re.compile(rf"[{_SPACELESS}](?:{mark})*|{letter}+(?:(?:{mark})+{letter}*)*|[^\w\s]")
