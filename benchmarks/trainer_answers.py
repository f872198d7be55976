"""Answers to questions by the recipe of `transformers`' own example, `run_qa.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from trainer_peer import Budget, Stopwatch, Timed, trained


@dataclass(frozen=True)
class Question:
    """A question of the peer's: `answer` and its place are None where the context holds none."""

    question: str
    context: str
    answer: str | None
    start: int | None


def answer_questions(
    folder: Path, train: Sequence[Question], test: Sequence[Question], budget: Budget, seed: int, stride: int = 128
) -> tuple[list[str], Timed]:
    """Answers to `test` by `run_qa.py`'s recipe: overlapping windows, the first token standing for no answer.

    No answer is given where it scores higher than the best span of all windows (null score difference 0), if any
    question of `train` has none.

    Args:
        folder: The body, a Hugging Face folder.
        train: Questions to learn from.
        test: Questions to answer.
        budget: As ours.
        seed: Of the Trainer.
        stride: Tokens that two windows of a context share.
    """
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, DataCollatorWithPadding, set_seed

    clock = Stopwatch()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    set_seed(seed)
    model = AutoModelForQuestionAnswering.from_pretrained(folder)
    rows = _windows(tokenizer, train, budget.max_length, stride)
    with tempfile.TemporaryDirectory() as scratch:
        collator = DataCollatorWithPadding(tokenizer)
        worker = trained(model, rows.data, collator, tokenizer, budget, seed, Path(scratch))
        clock.lap()
        tests = _windows(tokenizer, test, budget.max_length, stride)
        starts, ends = worker.predict(tests.data).predictions[:2]
    silent = any(question.answer is None for question in train)
    found = [
        _best_answer(question.context, tests, number, starts, ends, silent) for number, question in enumerate(test)
    ]
    clock.lap()
    return found, clock.timed()


@dataclass(frozen=True)
class _Windows:
    """Rows of questions with stretches of their contexts.

    Attributes:
        data: What the Trainer reads.
        owners: The question of each row.
        offsets: The characters of each row's tokens in the context, None where a token is none of its.
    """

    data: Any
    owners: list[int]
    offsets: list[list[tuple[int, int] | None]]


def _windows(tokenizer: Any, questions: Sequence[Question], max_length: int, stride: int) -> _Windows:
    from datasets import Dataset

    cut = tokenizer(
        [question.question for question in questions],
        [question.context for question in questions],
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    owners, offsets = cut.pop("overflow_to_sample_mapping"), []
    targets: dict[str, list[int]] = {"start_positions": [], "end_positions": []}
    for row, places in enumerate(cut.pop("offset_mapping")):
        own = [place if side == 1 else None for place, side in zip(places, cut.sequence_ids(row), strict=True)]
        offsets.append(own)
        for name, token in zip(targets, _span(own, questions[owners[row]]), strict=True):
            targets[name].append(token)
    return _Windows(Dataset.from_dict({**cut, **targets}), owners, offsets)


def _span(offsets: Sequence[tuple[int, int] | None], question: Question) -> tuple[int, int]:
    """First and last token of the answer; the row's first token, twice, where the row does not hold it whole."""
    own = [(token, *place) for token, place in enumerate(offsets) if place is not None]
    if question.answer is None or question.start is None or not own:
        return 0, 0
    start, end = question.start, question.start + len(question.answer)
    if own[0][1] > start or own[-1][2] < end:
        return 0, 0
    first = max(token for token, begin, _ in own if begin <= start)
    last = min(token for token, _, stop in own if stop >= end)
    return first, last


def _best_answer(
    context: str, windows: _Windows, number: int, starts: np.ndarray, ends: np.ndarray, silent: bool
) -> str:
    """The best span of 20 first and 20 last tokens, 30 tokens long at the most, over a question's rows."""
    best, score, null = "", -np.inf, np.inf
    for row in (row for row, owner in enumerate(windows.owners) if owner == number):
        own = windows.offsets[row]
        null = min(null, float(starts[row][0] + ends[row][0]))
        for first in np.argsort(starts[row][: len(own)])[:-21:-1]:
            for last in np.argsort(ends[row][: len(own)])[:-21:-1]:
                begin, stop = own[first], own[last]
                if begin is None or stop is None or not first <= last < first + 30:
                    continue
                if starts[row][first] + ends[row][last] > score:
                    score = float(starts[row][first] + ends[row][last])
                    best = context[begin[0] : stop[1]]
    return "" if silent and null > score else best
