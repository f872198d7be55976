"""How well word vectors agree with people: similarity judged for pairs of words, and analogies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from transferlm.errors import DataError
from transferlm.progress import track
from transferlm.text.files import numbered_lines
from transferlm.vectors.table import COSINES_AT_ONCE, WordTable

__all__ = ["Analogies", "Section", "Similarity", "WordScores", "read_word_file"]

_MOST_FREQUENT = 300_000
"""Words that may be answers, as in gensim's evaluation: the first of the table, which are the most frequent."""


@dataclass(frozen=True)
class Section:
    """One kind of analogies ("capital-world").

    Attributes:
        accuracy: The share answered rightly; None where none is known.
        known: Those whose words all have vectors.
        total: All there were.
    """

    accuracy: float | None
    known: int
    total: int


@dataclass(frozen=True)
class WordScores:
    """What was found.

    Attributes:
        measure: "spearman" or "accuracy".
        value: The rank correlation with people's judgements, or the share of analogies answered rightly.
        known: Pairs or analogies whose words all have vectors: what `value` is over.
        total: All there were.
        unknown: The words that have none, each once, as the file writes them, in its order.
        sections: Analogies of each kind, where the file names kinds.
    """

    measure: str
    value: float
    known: int
    total: int
    unknown: Sequence[str] = ()
    sections: Mapping[str, Section] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data, the value under the measure's name."""
        scores = {self.measure: self.value, "known": self.known, "total": self.total, "unknown": list(self.unknown)}
        sections = {name: asdict(section) for name, section in self.sections.items()}
        return scores | ({"sections": sections} if sections else {})


@dataclass(frozen=True)
class Similarity:
    """Pairs of words and how alike people found them (WS-353, SimLex-999, MEN ...).

    Attributes:
        pairs: First word, second word, judgement.
    """

    pairs: Sequence[tuple[str, str, float]]

    def score(self, table: WordTable) -> WordScores:
        """Spearman's rank correlation of cosines with judgements, over pairs of known words, letters' case ignored.

        Equal cosines and equal judgements share their mean rank.

        Raises:
            DataError: Fewer than two pairs are known, or all are alike, so that there is nothing to rank.
        """
        from scipy.stats import spearmanr

        folded = _Folded(table)
        words = [[str(pair[side]) for pair in self.pairs] for side in (0, 1)]
        one, other = (folded.places(side) for side in words)
        known = (one >= 0) & (other >= 0)
        if known.sum() < 2:
            raise DataError(f"{known.sum()} of {len(self.pairs):,} pairs have vectors: two are needed to rank")
        cosines = (folded.units[one[known]] * folded.units[other[known]]).sum(axis=1)
        judged = np.array([pair[2] for pair in self.pairs])[known]
        for what, values in (("judgements", judged), ("cosines", cosines)):
            if (values == values[0]).all():
                raise DataError(
                    f"all {what} of the {known.sum():,} pairs that have vectors are {values[0]:g}: no ranks"
                )
        rho = float(spearmanr(cosines, judged).statistic)
        return WordScores("spearman", rho, int(known.sum()), len(self.pairs), folded.unknown(*words))


@dataclass(frozen=True)
class Analogies:
    """Questions "a is to b as c is to what", with their answers (Mikolov et al. 2013).

    Attributes:
        questions: The four words of each.
        sections: The kind of each; empty where kinds are not named.
    """

    questions: Sequence[tuple[str, str, str, str]]
    sections: Sequence[str] = ()

    def score(self, table: WordTable) -> WordScores:
        """Share answered rightly by 3CosAdd, over questions of known words, letters' case ignored, as gensim does.

        Raises:
            DataError: No question is known.
        """
        folded = _Folded(table)
        words = [[asked[at] for asked in self.questions] for at in range(4)]
        places = np.stack([folded.places(each) for each in words], axis=1)
        known = np.all(places >= 0, axis=1)
        if not known.any():
            raise DataError(f"none of {len(self.questions):,} analogies has vectors for its words")
        right = np.zeros(len(known), np.bool_)
        right[known] = folded.answered(places[known])
        return WordScores(
            "accuracy",
            float(right.sum() / known.sum()),
            int(known.sum()),
            len(known),
            folded.unknown(*words),
            self._by_section(right, known),
        )

    def _by_section(self, right: np.ndarray, known: np.ndarray) -> dict[str, Section]:
        kinds = np.array(self.sections)
        found = {}
        for name in dict.fromkeys(self.sections):
            own = kinds == name
            asked = int((own & known).sum())
            found[name] = Section(float(right[own].sum() / asked) if asked else None, asked, int(own.sum()))
        return found


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

    def unknown(self, *columns: Iterable[str]) -> tuple[str, ...]:
        """The words that have no place, each once, row by row."""
        words = dict.fromkeys(word for row in zip(*columns, strict=True) for word in row)
        return tuple(word for word in words if word.lower() not in self._place_of)

    def answered(self, questions: np.ndarray) -> np.ndarray:
        """Which analogies, int64 (questions, 4) of places, 3CosAdd answers rightly: bool (questions,)."""
        right = np.zeros(len(questions), np.bool_)
        step = max(1, COSINES_AT_ONCE // len(self.units))
        for start in track(range(0, len(questions), step), "answering analogies", unit="parts"):
            a, b, c, d = questions[start : start + step].T
            scores = self._scores(self.units[b] - self.units[a] + self.units[c])
            for asked in (a, b, c):
                scores[np.arange(len(a)), asked] = -np.inf
            right[start : start + step] = scores.argmax(axis=1) == d
        return right

    def _scores(self, targets: np.ndarray) -> np.ndarray:
        """Highest product of each target with any form of each word: float32 (targets, words)."""
        products = targets @ self._forms.T
        if len(self._starts) == len(self._forms):
            return np.asarray(products)
        return np.maximum.reduceat(products, self._starts, axis=1)


def read_word_file(path: Path, encoding: str = "utf-8") -> Similarity | Analogies:
    """Judged pairs (two words and a number a line, parted by tabs, commas or spaces) or analogies (four words a line).

    A line that begins with `:` names the kind of the analogies after it; one with `#` is a remark and read over.

    Raises:
        DataError: A line is neither, or of another kind than the first; it is named.
    """
    pairs: list[tuple[str, str, float]] = []
    questions: list[tuple[str, str, str, str]] = []
    sections: list[str] = []
    section = ""
    for number, line in numbered_lines(path, encoding):
        if line.startswith(":"):
            section = line[1:].strip()
        if not line.strip() or line.startswith((":", "#")):
            continue
        fields = line.replace("\t", " ").replace(",", " ").split()
        judged = _judgement(fields)
        if len(fields) == 4 and not pairs:
            questions.append((fields[0], fields[1], fields[2], fields[3]))
            sections.append(section)
        elif judged is not None and not questions:
            pairs.append((fields[0], fields[1], judged))
        else:
            told = f"{line[:60]!r}: two words and a number (similarity), or four words (analogies), are wanted"
            raise DataError(told, path=path, line=number)
    if not pairs and not questions:
        raise DataError("holds neither pairs of words with a number nor analogies", path=path)
    return Similarity(pairs) if pairs else Analogies(questions, sections if any(sections) else ())


def _judgement(fields: Sequence[str]) -> float | None:
    """The number after two words; None where there are not three fields, or the third is none."""
    try:
        judged = float(fields[2]) if len(fields) == 3 else math.nan
    except ValueError:
        return None
    return judged if math.isfinite(judged) else None
