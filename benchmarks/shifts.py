"""Old text and new text of another kind: the shifts that updates are measured on."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, takewhile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["DEVELOPMENT", "SHIFTS", "Shift", "by_month"]

TEST_CHARACTERS = 100_000
"""Of either test text: some 30,000 tokens in English."""
_PARAGRAPH = 300
"""Characters that sentences are put together to, so that texts of all kinds are about as long."""


@dataclass(frozen=True)
class Shift:
    """Text that a model knows, and text that it is updated with, one part after the other.

    Attributes:
        old: Texts of the first training.
        old_test: Others of the same kind.
        new: Texts of each update, in order.
        new_test: Others of the kind of each.
    """

    old: list[str]
    old_test: list[str]
    new: list[list[str]]
    new_test: list[list[str]]


def beginning(texts: Sequence[str], characters: int = TEST_CHARACTERS) -> list[str]:
    """The first texts, up to so many characters."""
    ends = np.cumsum([len(text) for text in texts])
    return list(texts[: max(1, int(np.searchsorted(ends, characters)))])


def lines(path: Path) -> list[str]:
    """The lines of a file that hold text; headings and scraps are left out."""
    stripped = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in stripped if len(line) > 40]


def paragraphs(text: str) -> list[str]:
    """Whole sentences put together to stretches of some hundred characters."""
    found = [""]
    for sentence in re.split(r"(?<=[.!?。！？])\s*", text.strip()):
        if len(found[-1]) > _PARAGRAPH:
            found.append("")
        found[-1] = f"{found[-1]} {sentence}".strip()
    return [text for text in found if text]


def column(path: Path) -> list[str]:
    """The texts of a table of labelled examples."""
    with path.open(encoding="utf-8", newline="") as table:
        return [row["text"] for row in csv.DictReader(table)]


def treebank(data: Path) -> tuple[list[str], list[str]]:
    """News of 1989: training part and test part."""
    return lines(data / "ptb" / "ptb.train.txt"), beginning(lines(data / "ptb" / "ptb.test.txt"))


def encyclopedia(data: Path) -> tuple[list[str], list[str]]:
    """WikiText-2: training part and test part."""
    return lines(data / "wikitext2" / "train.txt"), beginning(lines(data / "wikitext2" / "test.txt"))


def news_to_encyclopedia(data: Path) -> Shift:
    """English news of 1989, then English Wikipedia."""
    (old, old_test), (new, new_test) = treebank(data), encyclopedia(data)
    return Shift(old, old_test, [new], [new_test])


def addresses(data: Path) -> Shift:
    """State of the Union addresses of 1790 to 1900, then of 1950 to 2021; every tenth is for the test."""
    texts = {True: ([], []), False: ([], [])}  # type: dict[bool, tuple[list[str], list[str]]]
    places = {True: 0, False: 0}
    for path in sorted((data / "streams" / "sotu").glob("*.txt")):
        year = int(path.name[:4])
        if 1900 < year < 1950:
            continue
        recent = year >= 1950
        tested = places[recent] % 10 == 5
        places[recent] += 1
        texts[recent][tested].extend(paragraphs(path.read_text(encoding="utf-8")))
    (old, old_test), (new, new_test) = texts[False], texts[True]
    return Shift(old, beginning(old_test), [new], [beginning(new_test)])


def by_month(data: Path) -> dict[str, list[str]]:
    """Headlines of each month (`200302`), in the order of their dates."""
    months: dict[str, list[str]] = {}
    with (data / "streams" / "abc-headlines.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            months.setdefault(row["publish_date"][:6], []).append(row["headline_text"])
    return months


def headlines(data: Path) -> Shift:
    """Headlines of four months, then those of four later months, month by month; every tenth is for the test."""
    months = list(by_month(data).values())
    train = [[text for place, text in enumerate(month) if place % 10] for month in months]
    test = [month[::10] for month in months]
    before, after = slice(0, 4), slice(len(months) - 4, len(months))
    old, old_test = (list(chain.from_iterable(parts[before])) for parts in (train, test))
    quarter = TEST_CHARACTERS // 4
    return Shift(old, beginning(old_test), train[after], [beginning(month, quarter) for month in test[after]])


def english_to_chinese(data: Path) -> Shift:
    """English news, then Chinese Wikipedia: the tokenizer spells what it does not know in bytes."""
    old, old_test = treebank(data)
    new, new_test = (articles(data / "qa" / name) for name in ("cmrc2018_dev.json", "cmrc2018_trial.json"))
    known = set(new)
    return Shift(old, old_test, [new], [beginning([t for t in new_test if t not in known], TEST_CHARACTERS // 3)])


def articles(path: Path) -> list[str]:
    """The texts that a file of questions is about, each once."""
    document = json.loads(path.read_text(encoding="utf-8"))
    found = dict.fromkeys(part["context"] for article in document["data"] for part in article["paragraphs"])
    return [text for context in found for text in paragraphs(context)]


def reviews(data: Path) -> Shift:
    """English Wikipedia, then film reviews: for the choice of settings alone."""
    old, old_test = encyclopedia(data)
    new, new_test = (column(data / "classification" / f"mr-{part}.csv") for part in ("train", "test"))
    return Shift(old, old_test, [new], [beginning(new_test)])


SHIFTS: dict[str, Callable[[Path], Shift]] = {
    "news to encyclopedia": news_to_encyclopedia,
    "addresses": addresses,
    "headlines": headlines,
    "English to Chinese": english_to_chinese,
}
DEVELOPMENT: dict[str, Callable[[Path], Shift]] = {"encyclopedia to film reviews": reviews}


def tokens_of(texts: Sequence[str], tokenizer: Any) -> Iterator[int]:
    """Tokens of each text, its end among them."""
    for start in range(0, len(texts), 500):
        for found in tokenizer.encode_bare(texts[start : start + 500]):
            yield len(found) + 1


def count(texts: Sequence[str], tokenizer: Any) -> int:
    """Tokens of all texts."""
    return sum(tokens_of(texts, tokenizer))


def cut(texts: list[str], tokens: int, tokenizer: Any) -> list[str]:
    """The first texts, up to so many tokens."""
    ends = accumulate(tokens_of(texts, tokenizer))
    return [text for text, end in takewhile(lambda pair: pair[1] <= tokens, zip(texts, ends, strict=True))]


def drawn(texts: Sequence[str], tokens: int, tokenizer: Any) -> list[str]:
    """Texts drawn from all of them, up to so many tokens, the same ones always."""
    order = np.random.default_rng(0).permutation(len(texts))
    return cut([texts[place] for place in order], tokens, tokenizer)
