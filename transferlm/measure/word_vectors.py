"""How well word vectors agree with people: similarity judged for pairs of words, and analogies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transferlm.errors import DataError
from transferlm.text.files import numbered_lines
from transferlm.vectors.table import WordTable

__all__ = ["Analogies", "Similarity", "WordScores", "read_word_file"]

_MOST_FREQUENT = 300_000
"""Words that may be answers, as in gensim's evaluation: the first of the table, which are the most frequent."""
_AT_ONCE = 1 << 24
"""Cosines computed at a time: 67 MB."""


@dataclass(frozen=True)
class WordScores:
    """What was found.

    Attributes:
        measure: "spearman" or "accuracy".
        value: The rank correlation with people's judgements, or the share of analogies answered rightly.
        known: Pairs or analogies whose words all have vectors: what `value` is over.
        total: All there were.
    """

    measure: str
    value: float
    known: int
    total: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, the value under the measure's name."""
        return {self.measure: self.value, "known": self.known, "total": self.total}


@dataclass(frozen=True)
class Similarity:
    """Pairs of words and how alike people found them (WS-353, SimLex-999, MEN ...).

    Attributes:
        pairs: First word, second word, judgement.
    """

    pairs: Sequence[tuple[str, str, float]]

    def score(self, table: WordTable) -> WordScores:
        """Spearman's rank correlation of cosines with judgements, over pairs of known words, letters' case ignored.

        Raises:
            DataError: Fewer than two pairs are known.
        """
        from scipy.stats import spearmanr

        folded = _Folded(table)
        one, other = (folded.places([str(pair[side]) for pair in self.pairs]) for side in (0, 1))
        known = (one >= 0) & (other >= 0)
        if known.sum() < 2:
            raise DataError(f"{known.sum()} of {len(self.pairs):,} pairs have vectors: two are needed to rank")
        cosines = (folded.units[one[known]] * folded.units[other[known]]).sum(axis=1)
        judged = np.array([pair[2] for pair in self.pairs])[known]
        return WordScores("spearman", float(spearmanr(cosines, judged).statistic), int(known.sum()), len(self.pairs))


@dataclass(frozen=True)
class Analogies:
    """Questions "a is to b as c is to what", with their answers (Mikolov et al. 2013).

    Attributes:
        questions: The four words of each.
    """

    questions: Sequence[tuple[str, str, str, str]]

    def score(self, table: WordTable) -> WordScores:
        """Share answered rightly by 3CosAdd, over questions of known words, letters' case ignored, as gensim does.

        Raises:
            DataError: No question is known.
        """
        folded = _Folded(table)
        places = np.stack([folded.places([asked[at] for asked in self.questions]) for at in range(4)], axis=1)
        known = places[(places >= 0).all(axis=1)]
        if not len(known):
            raise DataError(f"none of {len(self.questions):,} analogies has vectors for its words")
        right = 0
        step = max(1, _AT_ONCE // len(folded.units))
        for start in range(0, len(known), step):
            a, b, c, d = known[start : start + step].T
            scores = folded.scores(folded.units[b] - folded.units[a] + folded.units[c])
            for asked in (a, b, c):
                scores[np.arange(len(a)), asked] = -np.inf
            right += int((scores.argmax(axis=1) == d).sum())
        return WordScores("accuracy", right / len(known), len(known), len(self.questions))


class _Folded:
    """A table without regard to capitals: a word is looked up as its most frequent form, and any form may answer.

    Attributes:
        units: float32 (words, width), vectors of length 1 of each word's most frequent form.
    """

    def __init__(self, table: WordTable) -> None:
        known: dict[str, int] = {}
        words = [known.setdefault(word.lower(), len(known)) for word in table.words[:_MOST_FREQUENT]]
        order = np.argsort(words, kind="stable")
        self._place_of = known
        self._starts = np.searchsorted(np.array(words)[order], np.arange(len(known)))
        self._forms: np.ndarray = table.vectors[order] / table.lengths[order, None]
        self.units: np.ndarray = self._forms[self._starts]

    def places(self, words: Sequence[str]) -> np.ndarray:
        """Place of each word in `units`, -1 where unknown."""
        return np.array([self._place_of.get(word.lower(), -1) for word in words])

    def scores(self, targets: np.ndarray) -> np.ndarray:
        """Highest product of each target with any form of each word: float32 (targets, words)."""
        products = targets @ self._forms.T
        if len(self._starts) == len(self._forms):
            return np.asarray(products)
        return np.maximum.reduceat(products, self._starts, axis=1)


def read_word_file(path: Path, encoding: str = "utf-8") -> Similarity | Analogies:
    """Judged pairs (two words and a number a line, parted by tabs, commas or spaces) or analogies (four words a line).

    Lines that begin with `:` name a section of analogies, ones with `#` are remarks; both are read over.

    Raises:
        DataError: A line is neither, or of another kind than the first; it is named.
    """
    pairs: list[tuple[str, str, float]] = []
    questions: list[tuple[str, str, str, str]] = []
    for number, line in numbered_lines(path, encoding):
        if not line.strip() or line.startswith((":", "#")):
            continue
        fields = line.replace("\t", " ").replace(",", " ").split()
        if len(fields) == 4 and not pairs:
            questions.append((fields[0], fields[1], fields[2], fields[3]))
        elif len(fields) == 3 and not questions and fields[2].replace(".", "", 1).lstrip("-").isdecimal():
            pairs.append((fields[0], fields[1], float(fields[2])))
        else:
            told = f"{line[:60]!r}: two words and a number (similarity), or four words (analogies), are wanted"
            raise DataError(told, path=path, line=number)
    if not pairs and not questions:
        raise DataError("holds neither pairs of words with a number nor analogies", path=path)
    return Similarity(pairs) if pairs else Analogies(questions)
