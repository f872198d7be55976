"""Answers to questions, found in a context: the stretch that answers, or the word that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.outputs import Output, Stretch
from transferlm.tasks._answer_scores import exact_match, f1
from transferlm.tasks._questions import Questions
from transferlm.tasks._spans import Best, best_span, tokens_of
from transferlm.tasks._tables import place_of
from transferlm.tasks.base import Answer, Examples, Gold, Prediction, TokenTask
from transferlm.text.checks import Labelled
from transferlm.text.framing import Text, flat, parts

__all__ = ["QuestionAnswering"]


@dataclass(frozen=True)
class QuestionAnswering(TokenTask):
    """Extractive question answering: the stretch of a context that answers a question, given by its characters.

    Files are JSON as SQuAD 1.1, SQuAD 2.0 and CMRC 2018 have it, or JSON lines with `question`, `context` and `answers`
    (`{"text", "answer_start"}` each; an empty list where the context holds no answer). Inputs are pairs of question and
    context. Long contexts are read whole in overlapping windows, each with the question before it; the answer is the
    best span of all windows, unless there being none scores higher by more than a threshold. Metrics are exact match
    and F1 by the definitions of the official scripts, in Chinese by character.
    """

    question_column: str = "question"
    """Key of the question in JSON lines."""
    context_column: str = "context"
    """Key of the context in JSON lines."""
    answers_column: str = "answers"
    """Key of the answers in JSON lines."""
    unusable: Literal["refuse", "drop"] = "refuse"
    """What to do with a question that is empty, or whose answer does not stand in its context: refuse the file, or drop
    the question and note it."""
    longest_answer: int = 200
    """Characters of an answer at the most."""
    null_threshold: float | None = None
    """By how much no answer must score higher than the best one to be given; none fits it on held-out questions where
    some have no answer, and else always gives an answer."""
    language: Literal["auto", "english", "chinese"] = "auto"
    """Whose rules answers are compared by: those of SQuAD or of CMRC 2018; auto looks at each answer's script."""
    encoding: str = "utf-8"
    """Character encoding of files."""

    headline: ClassVar[str] = "f1"
    predicts: ClassVar[type[Prediction]] = Answer

    def __post_init__(self) -> None:
        for name, known in (("unusable", ("refuse", "drop")), ("language", ("auto", "english", "chinese"))):
            if getattr(self, name) not in known:
                raise SettingError(f"{name} {getattr(self, name)!r}: choose {', '.join(known)}")
        if self.longest_answer < 1:
            raise SettingError(f"longest_answer {self.longest_answer}: give 1 character or more")

    @property
    def paired(self) -> bool:
        """Always: a question and its context."""
        return True

    def _questions(self, source: Any, fault: Callable[[str], None], unusable: Callable[[str], None]) -> Questions:
        columns = (self.question_column, self.context_column, self.answers_column)
        return Questions(source, columns, self.encoding, fault, unusable)

    def read(self, source: Any, labels: Sequence[str] | None = None) -> Examples:  # noqa: ARG002
        """Read questions from a file, a frame, a dataset, or a list of mappings.

        An answer that does not stand where the file says is moved to the nearest place where it does, and noted.
        White space at its ends is no part of it.

        Raises:
            DataError: JSON that can't be read, an empty answer, no question at all, or (unless `unusable` is `drop`) an
                empty question or context, or an answer that does not stand in its context.
        """

        def refuse(message: str) -> None:
            raise DataError(message, path=place_of(source))

        def unusable(message: str) -> None:
            if self.unusable == "refuse":
                refuse(f"{message}: repair it, or leave such questions out with --unusable drop")

        reader = self._questions(source, refuse, unusable)
        found = reader.read()
        if not found:
            raise DataError("there is no question", path=place_of(source))
        targets = np.fromiter((question.answers for question in found), dtype=object, count=len(found))
        texts: list[Text] = [(question.question, question.context) for question in found]
        return Examples(self, texts, targets, (), Path(place_of(source)).name, tuple(reader.notes()))

    def labelled(self, source: Any) -> Labelled:
        """Questions with their contexts, how many have an answer, and every fault of the file."""
        faults: list[str] = []

        def collect(message: str) -> None:
            faults.append(f"{message[:1].upper()}{message[1:]}.")

        reader = self._questions(source, collect, collect)
        found = reader.read()
        answered = sum(bool(question.answers) for question in found)
        counts = {"with an answer": answered, "without an answer": len(found) - answered}
        faults += reader.notes(left_out=False)
        texts = [flat((question.question, question.context)) for question in found]
        bodies = [question.context for question in found]
        counted = {name: count for name, count in counts.items() if count}
        return Labelled(texts, None, counted, faults, bodies, classes=False, learnt=False)

    def inputs(self, source: Any) -> Iterator[Text]:
        """Questions with their contexts; no answers are needed."""

        def refuse(message: str) -> None:
            raise DataError(message, path=place_of(source))

        return self._questions(source, refuse, refuse).inputs()

    def output(self, labels: Sequence[str]) -> Output:  # noqa: ARG002
        """Two scores a token: that it is an answer's first, and its last."""
        return Output("token", 2, "span")

    def token_targets(
        self,
        text: Text,  # noqa: ARG002
        target: Sequence[Gold],
        offsets: np.ndarray,
        labels: Sequence[str],  # noqa: ARG002
        ahead: bool = True,  # noqa: ARG002
    ) -> np.ndarray:
        """First and last token of the first answer in the context; -1 both where the stretch does not hold it whole."""
        first = next((gold for gold in target if gold.start >= 0), None)
        return tokens_of(offsets, first.start, first.end) if first else np.array([-1, -1])

    def decode(
        self,
        scores: Sequence[Sequence[Stretch]],
        texts: Sequence[Text],
        labels: Sequence[str],  # noqa: ARG002
    ) -> list[Answer]:
        """The best span of each context, or none."""
        found = (best_span(stretches, self.longest_answer) for stretches in scores)
        return [self._answer(best, parts(text)[1]) for text, best in zip(texts, found, strict=True)]

    def _answer(self, best: Best, context: str) -> Answer:
        silent = self.null_threshold is not None and best.null - best.score > self.null_threshold
        if best.start is None or silent:
            return Answer("", None, None, float(np.exp(best.null - best.total)))
        chance = float(np.exp(best.score - best.total))
        return Answer(context[best.start : best.end], best.start, best.end, chance)

    def metrics(
        self,
        targets: np.ndarray,
        predictions: Sequence[Prediction],
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, float]:
        """Exact match and F1; where some questions have no answer, of those that have one and of those that have none.

        Of the latter both are the share for which no answer was given.
        """
        table = self._judgements(targets, predictions)
        found = {"f1": float(table[:, 1].mean()), "exact_match": float(table[:, 0].mean())}
        has = np.array([bool(row) for row in targets])
        if not has.all():
            found["no_answer_accuracy"] = float(table[~has, 0].mean())
        if not has.all() and has.any():
            found["has_answer_f1"] = float(table[has, 1].mean())
            found["has_answer_exact_match"] = float(table[has, 0].mean())
        return found

    def contributions(
        self,
        targets: np.ndarray,
        predictions: Sequence[Prediction],
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, np.ndarray]:
        """F1 and exact match."""
        table = self._judgements(targets, predictions)
        return {"f1": table[:, 1], "exact_match": table[:, 0]}

    def _judgements(self, targets: np.ndarray, predictions: Sequence[Prediction]) -> np.ndarray:
        """Exact match and F1 of each question, float64 of shape (questions, 2)."""
        rows = [
            self._judged(prediction.answer, row)
            for row, prediction in zip(targets, predictions, strict=True)
            if isinstance(prediction, Answer)
        ]
        return np.array(rows, dtype=np.float64)

    def _judged(self, answer: str, golds: Sequence[Gold]) -> tuple[float, float]:
        texts = [gold.text for gold in golds]
        return exact_match(answer, texts, self.language), f1(answer, texts, self.language)

    def plain(self, targets: np.ndarray, labels: Sequence[str]) -> list[list[list[Any]]]:  # noqa: ARG002
        """Start and text of each right answer."""
        return [[[gold.start, gold.text] for gold in row] for row in targets]

    def targets_of(self, plain: Sequence[Sequence[Sequence[Any]]], labels: Sequence[str]) -> np.ndarray:  # noqa: ARG002
        """The right answers of each question, objects of shape (questions,)."""
        rows = (
            tuple(Gold(start, start + len(text) if start >= 0 else -1, text) for start, text in row) for row in plain
        )
        return np.fromiter(rows, dtype=object, count=len(plain))

    def groups(self, texts: Sequence[Text]) -> list[str]:
        """The context of each question: all questions about one stay together."""
        return [parts(text)[1] for text in texts]

    def is_open(self, targets: np.ndarray) -> bool:
        """Whether the threshold is to be fitted: it is not set, and some questions have an answer, some have none."""
        answered = sum(bool(row) for row in targets)
        return self.null_threshold is None and 0 < answered < len(targets)

    def fitted(
        self,
        targets: np.ndarray,
        scores: Sequence[Sequence[Stretch]],
        texts: Sequence[Text],
        labels: Sequence[str],  # noqa: ARG002
    ) -> Self:
        """The task with the threshold that gives the best F1 on these questions, as SQuAD 2.0's script finds it."""
        margins, gained = [], []
        for row, stretches, text in zip(targets, scores, texts, strict=True):
            best = best_span(stretches, self.longest_answer)
            context, found = parts(text)[1], (best.start, best.end)
            said = self._judged(context[slice(*found)] if best.start is not None else "", row)[1]
            margins.append(best.null - best.score if best.start is not None else 1e6)
            gained.append(said - self._judged("", row)[1])
        return replace(self, null_threshold=_best_threshold(np.array(margins), np.array(gained)))

    def doubts(self, targets: np.ndarray, predictions: Sequence[Prediction]) -> list[str]:
        """That the best threshold is one which answers nothing: the model has not learnt to tell where answers are."""
        silent = not any(isinstance(row, Answer) and row.answer for row in predictions)
        if not silent or not any(targets):
            return []
        return [
            f"of {len(targets):,} held-out questions none is answered, as F1 is highest so: the model has not learnt"
            " where answers are. Train longer, at a higher learning rate or on more questions, or set null_threshold"
        ]


def _best_threshold(margins: np.ndarray, gained: np.ndarray) -> float:
    """The margin above which no answer is given, for the most F1 in all.

    Args:
        margins: By how much no answer scores higher, one a question.
        gained: F1 of answering it less F1 of not answering it.

    >>> _best_threshold(np.array([-3.0, -1.0, 2.0]), np.array([1.0, 0.5, -1.0]))
    0.5
    """
    order = np.argsort(margins, kind="stable")
    ranked = np.concatenate([[margins.min() - 2], margins[order], [margins.max() + 2]])
    total = np.concatenate([[0.0], np.cumsum(gained[order])])
    total[1:-1][ranked[1:-2] == ranked[2:-1]] = -np.inf  # two of one margin stay together
    best = int(np.argmax(total))
    return float((ranked[best] + ranked[best + 1]) / 2)
