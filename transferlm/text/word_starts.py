"""Where words begin: what tokens belong together, whatever tokenizer wrote them."""

from __future__ import annotations

import importlib
import sys
import unicodedata
from functools import cache
from typing import Any

import numpy as np

from transferlm.errors import UnsupportedError
from transferlm.text.units import is_mark, spaceless

__all__ = ["begins_word", "han_words", "word_starts"]

_ALONE, _LETTER, _HAN, _MARK = range(4)


def word_starts(text: str) -> np.ndarray:
    """Booleans of shape (characters + 1,): True where no word goes on from the character before.

    Letters and digits of one run are a word, with their accents; spaces, punctuation and symbols stand alone. Chinese,
    which has no spaces, is cut by `rjieba` (a dictionary and a hidden Markov model), as words of several characters
    need (Cui et al. 2021, section 3.1). Letters of other scripts without spaces (kana, Thai, Lao, Khmer, Burmese) stand
    alone.

    Raises:
        UnsupportedError: The text holds Chinese and `rjieba` is not installed.

    >>> text = "it's a film"
    >>> [i for i, start in enumerate(word_starts(text)) if start]
    [0, 2, 3, 4, 5, 6, 7, 11]
    """
    kinds = _kinds()[np.frombuffer(text.encode("utf-32-le"), dtype="<u4")]
    starts = np.ones(len(text) + 1, dtype=bool)
    if len(text) < 2:
        return starts
    before, after = kinds[:-1], kinds[1:]
    starts[1:-1] = (after != _MARK) & ~((after == _LETTER) & ((before == _LETTER) | (before == _MARK)))
    han = np.flatnonzero(np.diff(kinds == _HAN, prepend=False, append=False))
    for start, stop in zip(han[::2].tolist(), han[1::2].tolist(), strict=True):
        if stop - start > 1:
            lengths = [len(word) for word in han_words(text[start:stop])]
            starts[start + 1 : stop] = False
            starts[start + np.cumsum(lengths)] = True
    return starts


def begins_word(text: str, offsets: np.ndarray) -> np.ndarray:
    """Booleans of shape (tokens,): False where a token goes on with the word, or the character, of the one before.

    Args:
        text: What was written as tokens.
        offsets: Start and end of each in characters, shape (tokens, 2).
    """
    if not len(offsets):
        return np.zeros(0, dtype=bool)
    begins: np.ndarray = word_starts(text)[offsets[:, 0]]
    begins[1:] &= offsets[1:, 0] >= np.maximum.accumulate(offsets[:, 1])[:-1]
    # A token without characters of its own is a space that RoBERTa's file trims off: the word after it goes on with it.
    begins[1:] &= offsets[1:, 0] > offsets[:-1, 0]
    begins[0] = True
    return begins


@cache
def _kinds() -> np.ndarray:
    """What each code point is: uint8 of shape (code points,)."""
    return np.fromiter(map(_kind, map(chr, range(sys.maxunicode + 1))), dtype=np.uint8, count=sys.maxunicode + 1)


def _kind(character: str) -> int:
    if is_mark(character):
        return _MARK
    if unicodedata.category(character)[0] not in "LN":
        return _ALONE
    if unicodedata.name(character, "").startswith("CJK "):
        return _HAN
    return _ALONE if spaceless(character) else _LETTER


def han_words(run: str) -> list[str]:
    """The words of a run of Chinese characters, as `rjieba` cuts them.

    Raises:
        UnsupportedError: It is not installed.
    """
    try:
        segmenter: Any = importlib.import_module("rjieba")
    except ImportError:
        raise UnsupportedError(
            f"whole words of Chinese text ({run[:10]!r} is some) need a word segmenter: run"
            " `pip install 'transferlm[chinese]'`, or leave words out of it (masking token, characters of Chinese)"
        ) from None
    words: list[str] = segmenter.cut(run)
    return words
