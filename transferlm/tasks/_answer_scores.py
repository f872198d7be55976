"""How good an answer is: exact match and F1 as the official scripts of SQuAD and CMRC 2018 define them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from transferlm.text.units import spaceless

__all__ = ["Language", "exact_match", "f1"]

Language = Literal["auto", "english", "chinese"]

# What CMRC 2018's script takes off, and how it cuts: each Chinese character, and each word of other scripts.
_SIGNS = set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_SEGMENT = re.compile(r"[\u4e00-\u9fa5]|\d+(?:[.,]\d+)+|[^\W\u4e00-\u9fa5]+|[^\w\s]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def exact_match(answer: str, golds: Sequence[str], language: Language = "auto") -> float:
    """1 where the answer is one of the right ones after normalisation, else 0; an empty one is right where none is.

    >>> exact_match("The Rhine.", ["rhine"]), exact_match("", []), exact_match("《莱茵河》", ["莱茵河"])
    (1.0, 1.0, 1.0)
    """
    return _best(lambda one, other, chinese: float(_key(one, chinese) == _key(other, chinese)), answer, golds, language)


def f1(answer: str, golds: Sequence[str], language: Language = "auto") -> float:
    """The best F1 between the answer and a right one: of words in English, of the longest common run in Chinese.

    In Chinese each character counts, and each word of another script (Cui et al. 2019, section 4.2).

    >>> f1("the river Rhine", ["Rhine"]), f1("莱茵河畔", ["莱茵河"])
    (0.6666666666666666, 0.8571428571428571)
    """
    return _best(
        lambda one, other, chinese: (_f1_of_runs if chinese else _f1_of_words)(one, other), answer, golds, language
    )


def _best(score: Callable[[str, str, bool], float], answer: str, golds: Sequence[str], language: Language) -> float:
    """The best over the right answers; those that normalisation leaves nothing of don't count (SQuAD 2.0's rule)."""
    chinese = spaceless("".join([answer, *golds])) if language == "auto" else language == "chinese"
    usable = [gold for gold in golds if _key(gold, chinese)] or [""]
    return max(score(answer, gold, chinese) for gold in usable)


def _key(text: str, chinese: bool) -> str:
    """What two answers must share to be the same."""
    if chinese:
        return "".join(c for c in text.lower().strip() if c not in _SIGNS)
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    """Lower-case words without punctuation and articles (Rajpurkar et al. 2016, section 6.1)."""
    bare = "".join(c for c in text.lower() if c not in string.punctuation)
    return _ARTICLES.sub(" ", bare).split()


def _f1_of_words(one: str, other: str) -> float:
    mine, theirs = _words(one), _words(other)
    if not mine or not theirs:
        return float(mine == theirs)
    return _f1(sum((Counter(mine) & Counter(theirs)).values()), len(mine), len(theirs))


def _f1_of_runs(one: str, other: str) -> float:
    mine, theirs = _segments(one), _segments(other)
    if not mine or not theirs:
        return float(mine == theirs)
    return _f1(_longest_run(mine, theirs), len(mine), len(theirs))


def _segments(text: str) -> list[str]:
    return _SEGMENT.findall(_key(text, chinese=True))


def _longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common run.

    >>> _longest_run("abcd", "xbcy")
    2
    """
    longest, row = 0, [0] * (len(other) + 1)
    for item in one:
        row = [0, *(row[place] + 1 if item == same else 0 for place, same in enumerate(other))]
        longest = max(longest, *row)
    return longest


def _f1(shared: int, one: int, other: int) -> float:
    return 2 * shared / (one + other)
