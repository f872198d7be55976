"""Questions with contexts and answers, read from SQuAD's and CMRC's JSON or from JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from transferlm.errors import DataError
from transferlm.tasks._predictions import Gold
from transferlm.tasks._tables import listed, place_of, records
from transferlm.text.files import existing, numbered_lines, refuse_half_characters
from transferlm.text.json_lines import json_of
from transferlm.text.readers import format_of

__all__ = ["Question", "Questions"]


class Question(NamedTuple):
    """A question, its context, and the answers that are right; none where the context holds none."""

    question: str
    context: str
    answers: tuple[Gold, ...]


class _Given(NamedTuple):
    """A question as a file gives it: its answers are texts with the place where they are said to stand, if any.

    They are None where the file says neither what answers it nor that nothing does.
    """

    name: str
    question: Any
    context: Any
    answers: list[tuple[Any, Any]] | None


@dataclass
class Questions:
    """What is read from one file, and what was repaired meanwhile.

    Attributes:
        source: A path, or rows with a question, a context and answers.
        columns: Keys of question, context and answers in JSON lines and rows.
        encoding: Character encoding of the file.
        fault: Told what is wrong with a question: reading raises, checking collects.
        unusable: Told of a question that is empty or whose answers do not stand in its context: it is left out.
    """

    source: Any
    columns: tuple[str, str, str]
    encoding: str
    fault: Callable[[str], None]
    unusable: Callable[[str], None]
    moved: list[str] = field(default_factory=list)
    nowhere: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def read(self) -> list[Question]:
        """Every question that is whole.

        Raises:
            DataError: The file can't be read.
        """
        found = (self._whole(given) for given in self._given())
        return [question for question in found if question is not None]

    def notes(self, left_out: bool = True) -> list[str]:
        """What was repaired and (unless told otherwise) what was left out, a sentence each."""
        told = {
            "Answers moved to where they stand in the context": self.moved,
            "Answers that do not stand in the context, which count in scoring only": self.nowhere,
            "Questions left out, being empty or without their answer": self.dropped if left_out else [],
        }
        return [f"{what}: {listed(names)}." for what, names in told.items() if names]

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Question and context alone, empty ones too."""
        for given in self._given():
            question, context = (text if isinstance(text, str) else "" for text in given[1:3])
            yield question, context

    def _given(self) -> Iterator[_Given]:
        if isinstance(self.source, str | Path) and format_of(self.source) != "jsonl":
            path = existing(self.source)
            content = "\n".join(line for _, line in numbered_lines(path, self.encoding))
            yield from _squad(json_of(content, path), path)
            return
        yield from (self._row(line, record) for line, record in records(self.source, self.encoding))

    def _row(self, line: int, record: Mapping[str, Any]) -> _Given:
        question, context, answers = (record.get(name) for name in self.columns)
        return _Given(f"line {line:,}", question, context, _pairs(answers))

    def _texts(self, given: _Given) -> bool:
        for what, text in (("question", given.question), ("context", given.context)):
            if not isinstance(text, str) or not text.strip():
                self._drop(given, f"its {what} is empty")
                return False
            refuse_half_characters(text, place_of(self.source))
        return True

    def _drop(self, given: _Given, why: str) -> None:
        self.unusable(f"{given.name}: {why}")
        self.dropped.append(given.name)

    def _whole(self, given: _Given) -> Question | None:
        if not self._texts(given):
            return None
        if given.answers is None:
            self.fault(f"{given.name}: no list of answers is given (an empty one where the context holds none)")
            return None
        answers, moved = [], False
        for text, said in given.answers:
            if not isinstance(text, str) or not text.strip():
                self.fault(f"{given.name}: an answer is empty: leave it out where the context holds none")
                return None
            if isinstance(said, int):
                said += len(text) - len(text.lstrip())
            text = text.strip()
            start = _nearest(given.context, text, said)
            moved |= said is not None and start not in (None, said)
            answers.append(Gold(-1, -1, text) if start is None else Gold(start, start + len(text), text))
        nowhere = sum(answer.start < 0 for answer in answers)
        if answers and nowhere == len(answers):
            self._drop(given, f"the answer {given.answers[0][0][:60]!r} does not stand in its context")
            return None
        self.moved += [given.name] * moved
        self.nowhere += [given.name] * (nowhere > 0)
        return Question(given.question, given.context, tuple(answers))


def _nearest(context: str, text: str, said: Any) -> int | None:
    """Where the text stands: where it is said to, or else at the place nearest to that; None where nowhere.

    >>> _nearest("a b a", "a", 3), _nearest("a b a", "a", None), _nearest("a b a", "c", 0)
    (4, 0, None)
    """
    wanted: int = said if isinstance(said, int) else 0
    if wanted >= 0 and context.startswith(text, wanted):
        return wanted
    places: list[int] = []
    place = context.find(text)
    while place >= 0:
        places.append(place)
        place = context.find(text, place + 1)
    return min(places, key=lambda found: abs(found - wanted), default=None)


def _pairs(answers: Any) -> list[tuple[Any, Any]] | None:
    """Answers as text and place: a list of objects or of texts, or an object of two lists (as `datasets` has them)."""
    if answers is None:
        return None
    if isinstance(answers, Mapping):
        texts, starts = (list(answers.get(name) or []) for name in ("text", "answer_start"))
        return list(zip(texts, starts + [None] * (len(texts) - len(starts)), strict=False))
    found = answers if isinstance(answers, list | tuple) else [answers]
    return [(a.get("text"), a.get("answer_start")) if isinstance(a, Mapping) else (a, None) for a in found]


def _squad(document: Any, path: Path) -> Iterator[_Given]:
    """The questions of a SQuAD file (1.1, 2.0, CMRC 2018), or of CMRC 2018's own form, a list of contexts."""
    if isinstance(document, list):
        for number, entry in enumerate(document, start=1):
            entry = _object(entry, f"entry {number}", path)
            for question in _list(entry, "qas", f"entry {number}", path):
                name = f"question {question.get('query_id', '?')}"
                yield _Given(
                    name, question.get("query_text"), entry.get("context_text"), _pairs(question.get("answers"))
                )
        return
    for number, article in enumerate(_list(_object(document, "the file", path), "data", "the file", path), start=1):
        for paragraph in _list(article, "paragraphs", f"article {number}", path):
            for question in _list(paragraph, "qas", f"article {number}", path):
                answers = [] if question.get("is_impossible") is True else _pairs(question.get("answers"))
                name = f"question {question.get('id', '?')}"
                yield _Given(name, question.get("question"), paragraph.get("context"), answers)


def _object(value: Any, what: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{what} is a JSON {type(value).__name__}, where an object is expected", path=path)
    return value


def _list(value: dict[str, Any], key: str, what: str, path: Path) -> list[dict[str, Any]]:
    found = value.get(key)
    if not isinstance(found, list):
        raise DataError(f"{what} holds no list {key!r}: this is no SQuAD file", path=path)
    return [_object(item, f"an item of {key!r} in {what}", path) for item in found]
