"""The recipes of `transformers`' own examples for tags of words and for answers: the peers of our readers.

Both fine-tune by Hugging Face Trainer at its schedule (a linear fall without a rise), in bfloat16, batches of like
length, as in its quickest setting; what is not named here is its default.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

IGNORED = -100


@dataclass(frozen=True)
class Budget:
    """What both sides get.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Peak step size.
        max_length: Tokens of a row.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int


@dataclass(frozen=True)
class Timed:
    """Seconds of wall and of processor time that training and predicting took."""

    train: float
    predict: float
    train_processor: float
    predict_processor: float

    def cell(self) -> dict[str, float]:
        """As a benchmark keeps it."""
        return {name: round(value, 2) for name, value in vars(self).items()}


class Stopwatch:
    """Wall and processor time between its laps."""

    def __init__(self) -> None:
        self.marks = [(time.perf_counter(), time.process_time())]

    def lap(self) -> None:
        """Note the time."""
        self.marks.append((time.perf_counter(), time.process_time()))

    def timed(self) -> Timed:
        """Training up to the first lap, predicting up to the second."""
        (a, b, c), (d, e, f) = zip(*self.marks[:3], strict=True)
        return Timed(b - a, c - b, e - d, f - e)


def trained(model: Any, rows: Any, collator: Any, tokenizer: Any, budget: Budget, seed: int, scratch: Path) -> Any:
    """A Trainer that has trained `model` on these rows."""
    from transformers import Trainer, TrainingArguments

    settings = TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=budget.epochs,
        learning_rate=budget.learning_rate,
        per_device_train_batch_size=budget.batch_size,
        per_device_eval_batch_size=64,
        train_sampling_strategy="group_by_length",
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        seed=seed,
    )
    worker = Trainer(model=model, args=settings, train_dataset=rows, data_collator=collator, processing_class=tokenizer)
    worker.train()
    worker.args.train_sampling_strategy = "random"  # else `predict` gives rows in the order of its sampler
    return worker


def tag_words(
    folder: Path,
    train: tuple[Sequence[Sequence[str]], Sequence[Sequence[int]]],
    test: Sequence[Sequence[str]],
    tags: Sequence[str],
    budget: Budget,
    seed: int,
) -> tuple[list[list[int]], Timed]:
    """Tags of the words of `test` by `run_ner.py`'s recipe: a word's first token learns and says its tag.

    Args:
        folder: The body, a Hugging Face folder.
        train: Words and tags of the training sentences.
        test: Words of the test sentences.
        tags: Names of the tags; the first stands for words beyond the maximum length, which the recipe cuts off.
        budget: As ours.
        seed: Of the Trainer.
    """
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        set_seed,
    )

    clock = Stopwatch()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    set_seed(seed)
    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(tags))
    rows, _ = _first_tokens(tokenizer, train[0], train[1], budget.max_length)
    tests, places = _first_tokens(tokenizer, test, [[0] * len(words) for words in test], budget.max_length)
    with tempfile.TemporaryDirectory() as scratch:
        collator = DataCollatorForTokenClassification(tokenizer)
        worker = trained(model, rows, collator, tokenizer, budget, seed, Path(scratch))
        clock.lap()
        scores = np.asarray(worker.predict(tests).predictions)
    found = []
    for row, words, firsts in zip(scores.argmax(axis=2), test, places, strict=True):
        said = [0] * len(words)
        for token, word in firsts:
            said[word] = int(row[token])
        found.append(said)
    clock.lap()
    return found, clock.timed()


def _first_tokens(
    tokenizer: Any, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[int]], max_length: int
) -> tuple[Any, list[list[tuple[int, int]]]]:
    """Rows in which a word's first token bears its tag, and each row's (first token, word)."""
    from datasets import Dataset

    cut = tokenizer(
        [list(words) for words in sentences], is_split_into_words=True, truncation=True, max_length=max_length
    )
    places, labels = [], []
    for number, row in enumerate(tags):
        words = cut.word_ids(number)
        firsts = [(t, w) for t, w in enumerate(words) if w is not None and (t == 0 or words[t - 1] != w)]
        laid = [IGNORED] * len(words)
        for token, word in firsts:
            laid[token] = row[word]
        places.append(firsts)
        labels.append(laid)
    return Dataset.from_dict({**cut, "labels": labels}), places


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
