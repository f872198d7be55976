"""Exact match, F1 and the best null threshold as the scripts of SQuAD 1.1, SQuAD 2.0 and CMRC 2018 define them.

Written from their definitions alone and sharing nothing with `transferlm`: what our own metrics are held against.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

Scores = tuple[float, float]
"""Exact match and F1 of one question."""

CMRC_SIGNS = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"


def squad(answer: str, golds: Sequence[str]) -> Scores:
    """Lower case, no punctuation, no articles, single spaces; then equality, and F1 over the bags of words."""
    right = [gold for gold in golds if _squad_words(gold)] or [""]
    said = _squad_words(answer)
    exact = max(float(said == _squad_words(gold)) for gold in right)
    return exact, max(_bag_f1(said, _squad_words(gold)) for gold in right)


def _squad_words(text: str) -> list[str]:
    lower = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(?:a|an|the)\b", " ", lower).split()


def _bag_f1(said: list[str], gold: list[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    same = sum(min(count, gold.count(word)) for word, count in Counter(said).items())
    precision, recall = same / len(said), same / len(gold)
    return 2 * precision * recall / (precision + recall) if same else 0.0


def cmrc(answer: str, golds: Sequence[str]) -> Scores:
    """No listed signs, lower case; then equality, and F1 over the longest run of common pieces.

    A piece is a Chinese character, or a word of what stands between them as NLTK cuts it.
    """
    exact = max((float(_cmrc_plain(answer) == _cmrc_plain(gold)) for gold in golds), default=float(answer == ""))
    pieces = _cmrc_pieces(answer)
    return exact, max((_run_f1(pieces, _cmrc_pieces(gold)) for gold in golds), default=float(answer == ""))


def _cmrc_plain(text: str) -> str:
    return "".join(sign for sign in text.lower().strip() if sign not in CMRC_SIGNS)


def _cmrc_pieces(text: str) -> list[str]:
    from nltk.tokenize import NLTKWordTokenizer

    cut = NLTKWordTokenizer().tokenize
    pieces: list[str] = []
    for part in re.split(r"([\u4e00-\u9fa5])", _cmrc_plain(text)):
        pieces += [part] if re.fullmatch(r"[\u4e00-\u9fa5]", part) else cut(part)
    return pieces


def _run_f1(said: list[str], gold: list[str]) -> float:
    longest = max(
        (
            length
            for length in range(1, min(len(said), len(gold)) + 1)
            if {tuple(said[n : n + length]) for n in range(len(said) - length + 1)}
            & {tuple(gold[n : n + length]) for n in range(len(gold) - length + 1)}
        ),
        default=0,
    )
    if not longest:
        return 0.0
    precision, recall = longest / len(said), longest / len(gold)
    return 2 * precision * recall / (precision + recall)


def best_threshold(
    spoken: Sequence[str],
    margins: Sequence[float],
    golds: Sequence[Sequence[str]],
    score: Callable[..., Scores] = squad,
) -> tuple[float, float]:
    """The mean F1 at the best null threshold, and that threshold, as SQuAD 2.0's script searches for it.

    It begins with no answer to any question, and lets questions speak one by one, by how little no answer is ahead.

    Args:
        spoken: The best span of each question.
        margins: By how much no answer scores higher than that span.
        golds: The right answers of each question; none where the context holds none.
        score: Exact match and F1 of an answer.
    """
    total = best = float(sum(not right for right in golds))
    threshold = 0.0
    for number in sorted(range(len(margins)), key=lambda n: margins[n]):
        if golds[number]:
            total += score(spoken[number], golds[number])[1]
        elif spoken[number]:
            total -= 1.0
        if total > best:
            best, threshold = total, margins[number]
    return best / len(golds), threshold
