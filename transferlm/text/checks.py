"""What is wrong with labelled examples before anything is trained on them: facts and sentences, nothing
printed.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from transferlm.errors import DataError
from transferlm.progress import track
from transferlm.text.check_sentences import listed, part_problems
from transferlm.text.duplicates import exact_duplicates, leaks, near_duplicates

if TYPE_CHECKING:
    from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["CheckReport", "Labelled", "Lengths", "Part", "TokenLengths", "check"]


class Labelled(NamedTuple):
    """Texts with their labels; a plain `(texts, labels)` pair does as well.

    Attributes:
        texts: The texts.
        labels: The label of each, or None where there are none.
        counted: Label -> how often it stands there, where a text may have several or none; else None.
        faults: What is wrong with single rows, a sentence each.
        bodies: The text that each row is about, where several rows are about one (questions): near duplicates and leaks
            are then looked for in these.
        classes: Whether labels are classes to tell rows apart by, whose balance matters; else they are kinds of things
            within rows (entities), or say what rows are like (having an answer).
        learnt: Whether labels are something to predict; what rows are like is not.
    """

    texts: Sequence[str]
    labels: Sequence[str] | None = None
    counted: dict[str, int] | None = None
    faults: Sequence[str] = ()
    bodies: Sequence[str] | None = None
    classes: bool = True
    learnt: bool = True


@dataclass(frozen=True)
class Lengths:
    """How long texts are, in characters or tokens: median, 90th and 99th percentile, and the longest."""

    median: float
    p90: float
    p99: float
    longest: int


@dataclass(frozen=True)
class TokenLengths:
    """How long texts are in tokens, and what a maximum length would cut.

    Attributes:
        tokenizer: The tokenizer's description.
        lengths: Tokens a text, special ones included.
        max_length: The maximum asked about, or None.
        texts_cut: Share of texts that are longer.
        text_cut: Share of all characters that would not be read.
    """

    tokenizer: str
    lengths: Lengths
    max_length: int | None
    texts_cut: float
    text_cut: float


@dataclass(frozen=True)
class Part:
    """What was found in one part.

    Attributes:
        rows: How many texts.
        labels: Label -> rows (or things within them) that have it, most frequent first; empty without labels.
        empty: Indices of texts without a visible character.
        exact_duplicates: Groups of indices of equal texts.
        near_duplicates: Groups of indices of nearly equal texts, exact ones included.
        conflicts: Groups of indices of equal texts whose labels differ.
        unknown_characters: Share of characters that are U+FFFD, for private use, or control characters.
        characters: Lengths in characters.
        tokens: Lengths in tokens, where a tokenizer was given.
        faults: What is wrong with single rows, a sentence each.
        classes: Whether labels are classes to tell rows apart by.
        learnt: Whether labels are something to predict.
    """

    rows: int
    labels: dict[str, int]
    empty: list[int]
    exact_duplicates: list[list[int]]
    near_duplicates: list[list[int]]
    conflicts: list[list[int]]
    unknown_characters: float
    characters: Lengths
    tokens: TokenLengths | None
    faults: list[str] = field(default_factory=list)
    classes: bool = True
    learnt: bool = True

    @property
    def shares(self) -> dict[str, float]:
        """Label -> its share: of the rows where labels are classes, else of all that is counted."""
        whole = self.rows if self.classes else sum(self.labels.values())
        return {label: count / whole for label, count in self.labels.items()}


@dataclass(frozen=True)
class CheckReport:
    """Everything found, for the training part and the test part if there is one.

    Attributes:
        train: The training part.
        test: The test part, or None.
        leaks: (training index, test index) of texts that stand in both parts, exactly or nearly.
        unknown_labels: Test labels that no training row has.
        missing_labels: Training labels that no test row has.
    """

    train: Part
    test: Part | None
    leaks: list[tuple[int, int]]
    unknown_labels: list[str]
    missing_labels: list[str]

    def as_json(self) -> dict[str, Any]:
        """The report as plain data, its sentences under `problems`."""
        return {**asdict(self), "leaks": [list(pair) for pair in self.leaks], "problems": self.problems()}

    def problems(self) -> list[str]:
        """One sentence for each thing that would spoil training or a measurement; empty when all is well."""
        sentences = part_problems("training", self.train)
        if self.test is not None:
            sentences += part_problems("test", self.test)
            leaking = len({row for _, row in self.leaks})
            if leaking:
                count = f"{leaking:,} of {self.test.rows:,} test texts ({leaking / self.test.rows:.1%})"
                sentences.append(f"{count} stand in the training part too: a score on them measures memory.")
        return sentences + self._unlike()

    def _unlike(self) -> list[str]:
        """What one part has and the other lacks."""
        unknown, missing = listed(self.unknown_labels), listed(self.missing_labels)
        sentences = [
            f"The test part has labels that training never saw: {unknown}.",
            f"No test text has the label {missing}: its score is unknown.",
        ]
        if not self.train.learnt:
            sentences = [
                f"The test part alone has rows {unknown}: training shows none of that kind.",
                f"No test row is one {missing}: how well such rows go is unknown.",
            ]
        return [told for told, names in zip(sentences, (unknown, missing), strict=True) if names]


def check(
    train: Labelled | tuple[Sequence[str], Sequence[str] | None],
    test: Labelled | tuple[Sequence[str], Sequence[str] | None] | None = None,
    *,
    tokenizer: Tokenizer | None = None,
    max_length: int | None = None,
    threshold: float = 0.9,
) -> CheckReport:
    """Check labelled examples: balance, duplicates, conflicts, leaks, unreadable characters, lengths.

    Args:
        train: Training texts and labels (None for texts alone).
        test: Test texts and labels, to find what leaks from one part to the other.
        tokenizer: Also measure lengths in its tokens.
        max_length: Tokens that a model reads of a text: what it would cut is measured.
        threshold: Jaccard similarity from which two texts are near-duplicates.

    Raises:
        DataError: A part has no texts, or not one label a text.
    """
    first = Labelled(*train)
    second = Labelled(*test) if test is not None else None
    found = _check_part(first, tokenizer, max_length, threshold)
    if second is None:
        return CheckReport(found, None, [], [], [])
    other = _check_part(second, tokenizer, max_length, threshold)
    unknown = sorted(set(other.labels) - set(found.labels)) if found.labels else []
    missing = sorted(set(found.labels) - set(other.labels)) if other.labels else []
    bodies = first.bodies or first.texts, second.bodies or second.texts
    return CheckReport(found, other, leaks(*bodies, threshold), unknown, missing)


def _check_part(part: Labelled, tokenizer: Tokenizer | None, max_length: int | None, threshold: float) -> Part:
    texts, labels, counted, faults, bodies, classes, learnt = part
    if not len(texts):
        raise DataError("there are no texts to check")
    if labels is not None and len(labels) != len(texts):
        raise DataError(f"{len(texts):,} texts and {len(labels):,} labels: there must be one label a text")
    exact = exact_duplicates(texts)
    conflicts = [group for group in exact if labels is not None and len({labels[i] for i in group}) > 1]
    return Part(
        rows=len(texts),
        labels=dict(Counter(counted or (str(label) for label in labels or ())).most_common()),
        empty=[index for index, text in enumerate(texts) if not text.strip()],
        exact_duplicates=exact,
        near_duplicates=near_duplicates(texts, threshold) if bodies is None else _alike(bodies, exact, threshold),
        conflicts=conflicts,
        unknown_characters=_unknown_share(texts),
        characters=_lengths([len(text) for text in texts]),
        tokens=_token_lengths(texts, tokenizer, max_length) if tokenizer is not None else None,
        faults=list(faults),
        classes=classes,
        learnt=learnt,
    )


def _alike(bodies: Sequence[str], exact: list[list[int]], threshold: float) -> list[list[int]]:
    """First rows of bodies that are nearly equal, and groups of rows that are equal."""
    first: dict[str, int] = {}
    for row, body in enumerate(bodies):
        first.setdefault(body, row)
    rows = list(first.values())
    return [*exact, *([rows[place] for place in group] for group in near_duplicates(first, threshold))]


def _unknown_share(texts: Sequence[str]) -> float:
    counts: Counter[str] = Counter()
    for text in track(texts, "counting characters", unit="texts"):
        counts.update(text)
    unknown = sum(count for character, count in counts.items() if _is_unknown(character))
    return unknown / max(1, counts.total())


def _is_unknown(character: str) -> bool:
    if character in "\t\n\r":
        return False
    return character == "\ufffd" or unicodedata.category(character) in ("Cc", "Co", "Cs")


def _lengths(lengths: Sequence[int]) -> Lengths:
    median, p90, p99 = (float(value) for value in np.percentile(lengths, [50, 90, 99]))
    return Lengths(median, p90, p99, max(lengths))


def _token_lengths(texts: Sequence[str], tokenizer: Tokenizer, max_length: int | None) -> TokenLengths:
    lengths: list[int] = []
    cut_texts = cut_characters = 0
    step = 256
    for start in track(range(0, len(texts), step), "counting tokens", unit="batches"):
        batch = texts[start : start + step]
        counts = [len(tokens) for tokens in tokenizer.encode(batch)]
        lengths += counts
        if max_length is None:
            continue
        long = [text for text, count in zip(batch, counts, strict=True) if count > max_length]
        cut_texts += len(long)
        for text, tokens in zip(long, tokenizer.encode(long, max_length), strict=True):
            cut_characters += len(text) - int(tokens.offsets.max(initial=0))
    total = sum(len(text) for text in texts)
    shares = cut_texts / len(texts), cut_characters / max(1, total)
    return TokenLengths(tokenizer.describe(), _lengths(lengths), max_length, *shares)
