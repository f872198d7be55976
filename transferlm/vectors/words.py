"""A text as the words that vectors stand for."""

from __future__ import annotations

import re
from typing import Literal, get_args

from transferlm.errors import SettingError, alternatives
from transferlm.text.word_starts import han_words

__all__ = ["Chinese", "check_chinese", "cut"]

Chinese = Literal["spaces", "characters", "words"]
"""How the words of Chinese are told."""

_PIECES = re.compile(r"<unk>|\w+|[^\w\s]")
_HAN = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+)")


def cut(text: str, lowercase: bool = False, punctuation: bool = False, chinese: Chinese = "spaces") -> list[str]:
    """The words of a text, in order.

    Args:
        text: Any text; words stand between white space.
        lowercase: Read capital letters as small ones.
        punctuation: Split punctuation and symbols off, each sign a word of its own.
        chinese: `spaces` for Chinese that was segmented before; else a run of Chinese characters is parted from what is
            about it, and is its characters one by one, or the words that `rjieba` finds in it.

    Raises:
        UnsupportedError: `words` are wanted, the text holds Chinese and `rjieba` is not installed.

    >>> cut("The film's good.")
    ['The', "film's", 'good.']
    >>> cut("The film's good.", lowercase=True, punctuation=True)
    ['the', 'film', "'", 's', 'good', '.']
    >>> cut("DVD很好。", chinese="characters")
    ['DVD', '很', '好', '。']
    """
    text = text.lower() if lowercase else text
    if chinese != "spaces":
        text = _HAN.sub(lambda run: f" {' '.join(run[0] if chinese == 'characters' else han_words(run[0]))} ", text)
    return _PIECES.findall(text) if punctuation else text.split()


def check_chinese(chinese: str) -> None:
    """Refuse a way of telling the words of Chinese that there is not.

    Raises:
        SettingError: It is none of `spaces`, `characters`, `words`.
    """
    if chinese not in get_args(Chinese):
        raise SettingError(f"chinese {chinese!r}: {alternatives(chinese, get_args(Chinese))}")
