"""Answers to questions beside Hugging Face Trainer's recipe with the same body, in English and Chinese.

    python benchmarks/question_answering.py --data DIR [--quick]

English: MiniLM-L6 learns 3,000 questions of half of SQuAD 2.0's development set, half of them without an answer, none
about a paragraph of XQuAD; it answers XQuAD's 1,190 questions and 600 of the same half about other paragraphs, some
without an answer, and 100 of XQuAD whose context is ten paragraphs joined. Chinese: m3e-small (licence: non-commercial
research only) learns 1,000 questions of CMRC 2018 and answers 600 of its development set. `FineTuning` and the
Trainer (`run_qa.py`'s recipe) get the same weights, epochs, batch size, peak step size and maximum length. Exact match
and F1 are asserted to be what the official definitions give on the same answers (`official_answers.py`). DIR holds the
folder `qa`. Needs `pip install transferlm[benchmarks]`, `transferlm fetch minilm` and `transferlm fetch
m3e-small`. Exit code 1 when the Trainer is shown to be better on a set, or better on average.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from official_answers import Scores, best_threshold, cmrc, squad
from record import Record
from trainer_answers import Question, answer_questions
from trainer_peer import Budget, Stopwatch

import transferlm as tl
from transferlm import sources
from transferlm.measure.intervals import Interval, paired_gain
from transferlm.tasks._spans import best_span
from transferlm.tasks.base import Answer, Examples
from transferlm.text.framing import parts

BUDGET = Budget(epochs=2, batch_size=16, learning_rate=3e-4, max_length=384)
SEEDS = 1
OURS, PEER = "transferlm", "Trainer"


@dataclass(frozen=True)
class Exam:
    """What one body learns and what it is asked.

    Attributes:
        name: Of the language.
        body: The source of the weights.
        train: Questions to learn from.
        tests: Name -> questions to answer.
        score: The official definition.
    """

    name: str
    body: str
    train: Examples
    tests: dict[str, Examples]
    score: Callable[[str, Sequence[str]], Scores]


def english(data: Path, train_rows: int, test_rows: int) -> Exam:
    """SQuAD 2.0's half without XQuAD's paragraphs, split by paragraph; XQuAD, and XQuAD in long contexts."""
    task = tl.tasks.QuestionAnswering()
    half, xquad = (tl.read(data / f"{name}.json", task) for name in ("squad2-half-dev", "xquad.en"))
    shared = {_bare(context) for context in _contexts(xquad)}
    half = half.subset(np.array([n for n, text in enumerate(_contexts(half)) if _bare(text) not in shared]))
    train, mixed = half.split(test=0.2, seed=0)
    tests = {
        "XQuAD": xquad.subset(np.arange(min(len(xquad), 2 * test_rows))),
        "SQuAD 2.0": mixed.subset(np.arange(min(len(mixed), test_rows))),
        "long": _lengthened(xquad, test_rows // 6),
    }
    return Exam("English", "minilm", train.subset(np.arange(min(len(train), train_rows))), tests, squad)


def _bare(text: str) -> str:
    """What two copies of a paragraph share, whatever their punctuation."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _contexts(examples: Examples) -> list[str]:
    return [parts(text)[1] for text in examples.texts]


def _lengthened(examples: Examples, rows: int) -> Examples:
    """Every few questions, each with a context of ten paragraphs of which one, now here, now there, is its own."""
    paragraphs = list(dict.fromkeys(_contexts(examples)))
    chosen = np.linspace(0, len(examples) - 1, rows).astype(int)
    texts, targets = [], np.empty(rows, dtype=object)
    for row, number in enumerate(chosen):
        question, context = parts(examples.texts[number])
        place = paragraphs.index(context)
        others = [paragraphs[(place + k) % len(paragraphs)] for k in range(1, 10)]
        before = "".join(f"{other}\n" for other in others[: row % 10])
        texts.append((question, before + "\n".join([context, *others[row % 10 :]])))
        targets[row] = tuple(
            g._replace(start=g.start + len(before), end=g.end + len(before)) for g in examples.targets[number]
        )
    return replace(examples, texts=texts, targets=targets, name="long")


def chinese(data: Path, train_rows: int, test_rows: int) -> Exam:
    """CMRC 2018's training and development parts; answers that stand elsewhere than they say are moved and counted."""
    task = tl.tasks.QuestionAnswering(unusable="drop")
    train, test = (tl.read(data / f"{name}.json", task) for name in ("train-pseudo-cmrc2018", "cmrc2018_dev"))
    for examples in (train, test):
        for note in examples.notes:
            print(f"{examples.name}: {note}")
    train, test = (
        e.subset(np.linspace(0, len(e) - 1, n).astype(int)) for e, n in ((train, train_rows), (test, test_rows))
    )
    return Exam("Chinese", "m3e-small", train, {"CMRC 2018": test}, cmrc)


def ours(exam: Exam, budget: Budget, seed: int) -> dict[str, Any]:
    """Answers by `FineTuning`; a tenth of the questions is held out where a threshold is to be fitted."""
    task = exam.train.task
    strategy = tl.strategies.FineTuning(
        epochs=budget.epochs,
        minimum_steps=0,
        batch_size=budget.batch_size,
        learning_rate=budget.learning_rate,
        held_out=0.1 if task.is_open(exam.train.targets) else 0.0,
    )
    body = tl.load(sources.fetch(exam.body), max_length=budget.max_length)
    clock = Stopwatch()
    made = tl.transfer(body, exam.train, strategy, seed)
    clock.lap()
    found: dict[str, Any] = {}
    for name, test in exam.tests.items():
        scores, _ = made.scores(test.texts)
        answers: Any = made.task.decode(scores, test.texts, ())
        found[name] = _judged(exam, test, [row.answer for row in answers])
        if name == "SQuAD 2.0":
            found["threshold"] = _thresholds(made, test, scores)
    clock.lap()
    return {**clock.timed().cell(), **found}


def _thresholds(made: tl.TaskModel, test: Examples, scores: Any) -> dict[str, float]:
    """The threshold fitted in training, and the best on the test itself by the official search; both with their F1."""
    task: Any = made.task
    best = [best_span(row, task.longest_answer) for row in scores]
    said = [context[b.start : b.end] for b, context in zip(best, _contexts(test), strict=True)]
    golds = [[gold.text for gold in row] for row in test.targets]
    official, threshold = best_threshold(said, [b.null - b.score for b in best], golds)
    refitted = task.fitted(test.targets, scores, test.texts, ())
    own = test.task.metrics(test.targets, refitted.decode(scores, test.texts, ()), ())["f1"]
    assert abs(own - official) < 1e-9, f"the fitted threshold gives F1 {own}, the official search {official}"
    return {"fitted": task.null_threshold, "best": threshold, "best_f1": official}


def trainer(exam: Exam, budget: Budget, seed: int) -> dict[str, Any]:
    """Answers by the Trainer's recipe."""
    tests = [question for test in exam.tests.values() for question in _questions(test)]
    said, timed = answer_questions(sources.fetch(exam.body), _questions(exam.train), tests, budget, seed)
    found: dict[str, Any] = {}
    for name, test in exam.tests.items():
        found[name], said = _judged(exam, test, said[: len(test)]), said[len(test) :]
    return {**timed.cell(), **found}


def _questions(examples: Examples) -> list[Question]:
    found = []
    for text, golds in zip(examples.texts, examples.targets, strict=True):
        first = next((gold for gold in golds if gold.start >= 0), None)
        found.append(Question(*parts(text), first.text if first else None, first.start if first else None))
    return found


def _judged(exam: Exam, test: Examples, said: Sequence[str]) -> dict[str, Any]:
    """Each question's exact match and F1, after asserting that our metrics are the official ones on these answers."""
    table = np.array([exam.score(a, [g.text for g in golds]) for a, golds in zip(said, test.targets, strict=True)])
    answers = [Answer(answer, None, None, 1.0) for answer in said]
    own = test.task.metrics(test.targets, answers, ())
    for name, column in (("exact_match", 0), ("f1", 1)):
        official = float(table[:, column].mean())
        assert abs(own[name] - official) < 1e-9, f"{test.name}: {name} is {own[name]}, officially {official}"
    return {**own, "exact": _packed(table[:, 0]), "overlap": _packed(table[:, 1])}


def _packed(values: np.ndarray) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def gain(mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], test: str) -> Interval:
    """How many points of F1 the first arm is better, seeds and questions both random."""
    own, other = (np.stack([np.array(cell[test]["overlap"].split(), float) for cell in row]) for row in (mine, theirs))
    return paired_gain(own, other)


def cells(exam: Exam, record: Record, seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Both arms' cells, measured or kept from an earlier run; the arms take turns."""
    hashes = " ".join(examples.hash[:12] for examples in (exam.train, *exam.tests.values()))
    shown: dict[str, list[dict[str, Any]]] = {OURS: [], PEER: []}
    for seed in range(seeds):
        for arm, measure in ((OURS, ours), (PEER, trainer)):
            key = f"{exam.name}, {arm}, seed {seed}, {BUDGET}, data {hashes}"
            shown[arm].append(record.cell(key, partial(measure, exam, BUDGET, seed)))
    return shown


def show(exam: Exam, found: dict[str, list[dict[str, Any]]]) -> list[Interval]:
    """Print a language's rows; how many points of F1 ours is ahead of the Trainer on each test."""
    gains = []
    for name in exam.tests:
        gains.append(gain(found[OURS], found[PEER], name))
        for arm, row in found.items():
            f1, exact = (100 * np.mean([cell[name][metric] for cell in row]) for metric in ("f1", "exact_match"))
            none = [100 * cell[name]["no_answer_accuracy"] for cell in row if "no_answer_accuracy" in cell[name]]
            told = f"{f1:>8.1f}{exact:>8.1f}" + (f"{np.mean(none):>11.1f}" if none else f"{'':>11}")
            seconds, processor = (np.median([cell[part] for cell in row]) for part in ("train", "train_processor"))
            ahead = f"{100 * gains[-1].gain:+.1f} [{100 * gains[-1].low:.1f}, {100 * gains[-1].high:.1f}]"
            times = f"{seconds:>10.0f}{processor:>13.0f}"
            print(f"{name if arm == OURS else '':12}{arm:12}{told}{times}{ahead if arm == PEER else '':>24}")
    for cell in found[OURS]:
        if "threshold" in cell:
            fitted, mixed = cell["threshold"], cell["SQuAD 2.0"]
            print(
                f"{'':12}threshold {fitted['fitted']:.2f} fitted in training: F1 {mixed['f1']:.1%} on SQuAD 2.0;"
                f" {fitted['best']:.2f} is best there by the official search: {fitted['best_f1']:.1%}"
            )
    return gains


def main() -> int:
    """Print the table and the headline; the exit code says whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the folder qa")
    parser.add_argument("--quick", action="store_true", help="English alone, 32 questions")
    arguments = parser.parse_args()
    data, record = arguments.data / "qa", Record("question_answering", arguments.quick)
    exams = [english(data, 32, 24)] if arguments.quick else [english(data, 3000, 600), chinese(data, 1000, 600)]
    print(f"{BUDGET}; {record.facts['machine']}")
    print(f"{'':24}{'F1':>8}{'exact':>8}{'no answer':>11}{'train s':>10}{'processor s':>13}{'F1, ours ahead by':>24}")
    gains = [one for exam in exams for one in show(exam, cells(exam, record, SEEDS))]
    mean, beaten = float(np.mean([g.gain for g in gains])), sum(g.high < 0 for g in gains)
    met = mean >= 0 and not beaten
    print(
        f"F1 of answers is {100 * mean:+.1f} points beside the Trainer's on average (target 0 or more); it is shown to"
        f" be better on {beaten} of {len(gains)} sets (target 0): {'met' if met else 'missed'}"
    )
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
