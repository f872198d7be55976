"""What holds for every task, whatever is predicted: read, hashed, split, learnt, saved, scored, printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog
from transferlm.errors import DataError, UnsupportedError
from transferlm.tasks.base import Examples, Prediction, Task
from transferlm.text.framing import flat

TASKS = sorted(catalog.entries("tasks"))
STRATEGIES = sorted(catalog.entries("strategies"))
ROWS = 24
Run = Callable[..., Any]


def rows_of(texts: list[str], labels: list[str]) -> dict[str, Callable[[Path], Path]]:
    """Task -> a function that writes a small file of it."""
    names = [text.split()[1] for text in texts]

    def table(header: str, row: Callable[[int], str]) -> Callable[[Path], Path]:
        def write(folder: Path) -> Path:
            path = folder / "data.csv"
            path.write_text("\n".join([header, *map(row, range(len(texts)))]) + "\n")
            return path

        return write

    def ner(folder: Path) -> Path:
        path = folder / "data.conll"
        tagged = [
            "\n".join(f"{word} {'B-THING' if word == name else 'O'}" for word in text.split())
            for text, name in zip(texts, names, strict=True)
        ]
        path.write_text("\n\n".join(tagged) + "\n")
        return path

    def question_answering(folder: Path) -> Path:
        path = folder / "data.json"
        paragraphs = [
            {
                "context": text,
                "qas": [
                    {"id": f"{n}", "question": "what was it", "answers": [{"text": name, "answer_start": 4}]},
                    {"id": f"{n}-no", "question": "who was it", "answers": [], "is_impossible": True},
                ],
            }
            for n, (text, name) in enumerate(zip(texts[: ROWS // 2], names, strict=False))
        ]
        path.write_text(json.dumps({"data": [{"title": "reviews", "paragraphs": paragraphs}]}))
        return path

    return {
        "classification": table("text,label", lambda n: f'"{texts[n]}",{labels[n]}'),
        "multilabel": table("text,labels", lambda n: f'"{texts[n]}","{labels[n]},{names[n]}"'),
        "ner": ner,
        "question_answering": question_answering,
        "regression": table("text,score", lambda n: f'"{texts[n]}",{len(names[n]) + n % 2}'),
    }


@pytest.fixture
def file_of(make_reviews: Callable[..., Any], tmp_path: Path) -> Callable[[str], Path]:
    """`file_of("ner")`: a small file of that task."""
    written = rows_of(*make_reviews(ROWS))

    def of(task: str) -> Path:
        if task not in written:
            pytest.fail(f"{__file__} writes no file for the task {task!r}: add one")
        folder = tmp_path / task
        folder.mkdir(exist_ok=True)
        return written[task](folder)

    return of


def task_of(name: str) -> Task:
    made: Task = catalog.find("tasks", name)()
    return made


def learns_labels(name: str) -> bool:
    """Whether there are more scores where there are more labels."""
    return task_of(name).output(("a", "b", "c")).size > task_of(name).output(("a", "b")).size


def examples_of(name: str, file_of: Callable[[str], Path]) -> Examples:
    return task_of(name).read(file_of(name))


def same(one: Any, other: Any) -> bool:
    """Whether two models gave the same scores to the bit, whatever their kind."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("offsets", "scores", "whole"))


@pytest.mark.parametrize("name", TASKS)
def test_what_is_read_is_whole_and_has_a_hash_of_its_own(name: str, file_of: Callable[[str], Path]) -> None:
    examples = examples_of(name, file_of)
    assert len(examples) == len(examples.targets) == ROWS
    assert examples.hash == examples_of(name, file_of).hash
    turned = examples.subset(np.arange(ROWS)[::-1])
    assert turned.hash != examples.hash
    assert turned.subset(np.arange(ROWS)[::-1]).hash == examples.hash
    json.dumps(examples.task.plain(examples.targets, examples.labels))


@pytest.mark.parametrize("name", TASKS)
def test_parts_share_no_input_and_no_group(name: str, file_of: Callable[[str], Path]) -> None:
    examples = examples_of(name, file_of)
    train, test = examples.split(0.25, seed=1)
    assert len(train) > len(test) > 0
    assert not {flat(text) for text in train.texts} & {flat(text) for text in test.texts}
    groups = [set(examples.task.groups(part.texts) or ()) for part in (train, test)]
    assert not groups[0] & groups[1]
    assert train.hash == examples.split(0.25, seed=1)[0].hash
    kept, held = examples.hold_out(0.25, 3)
    assert len(held) > 0
    assert sorted([*kept, *held]) == list(range(ROWS))
    assert [len(rows) for rows in examples.hold_out(0.0, 3)] == [ROWS, 0]


@pytest.mark.parametrize("name", [name for name in TASKS if learns_labels(name)])
def test_labels_fixed_by_training_are_kept(name: str, file_of: Callable[[str], Path]) -> None:
    examples = examples_of(name, file_of)
    assert examples.labels
    more = ("another", *examples.labels)
    assert task_of(name).read(file_of(name), labels=more).labels == more
    with pytest.raises(DataError, match="is not among the training labels"):
        task_of(name).read(file_of(name), labels=("another", "one"))


@pytest.mark.parametrize("name", [name for name in TASKS if not learns_labels(name)])
def test_a_task_without_labels_has_none(name: str, file_of: Callable[[str], Path]) -> None:
    assert examples_of(name, file_of).labels == ()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", TASKS)
def test_a_strategy_learns_it_or_names_what_does(
    name: str,
    strategy: str,
    file_of: Callable[[str], Path],
    quick: Callable[[str], Any],
    bert_folder: Path,
    tmp_path: Path,
) -> None:
    examples, method = examples_of(name, file_of), quick(strategy)
    model: Any = tl.load(bert_folder, max_length=32)
    if not all(isinstance(model, capability) for capability in method.requires):
        model = tl.models.KneserNey(order=2).fit([flat(text) for text in examples.texts])
    output = str(task_of(name).output(examples.labels))
    able = [other for other in STRATEGIES if output in catalog.find("strategies", other).learns]
    assert able, f"no strategy learns {name}"
    if strategy not in able:
        with pytest.raises(UnsupportedError) as error:
            method.transfer(model, examples)
        assert all(word in str(error.value) for word in (strategy, name, *able))
        return
    made = method.transfer(model, examples, seed=1)
    again = method.transfer(model, examples, seed=1)
    scores, read = made.scores(examples.texts)
    assert same(scores, again.scores(examples.texts)[0])
    assert read.tolist() == [1.0] * ROWS
    made.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, tl.TaskModel)
    assert (opened.task, opened.labels, opened.lineage) == (made.task, made.labels, made.lineage)
    assert same(scores, opened.scores(examples.texts)[0])
    found = opened.score(examples)
    assert examples.task.headline in found.metrics
    assert all(np.isfinite(value) for value in found.metrics.values())
    json.dumps(found.to_json(), allow_nan=False)
    assert found.to_json() == made.score(examples).to_json()


@pytest.mark.parametrize("name", TASKS)
def test_predictions_print_on_a_line_and_go_to_json(
    name: str, file_of: Callable[[str], Path], quick: Callable[[str], Any], bert_folder: Path
) -> None:
    examples = examples_of(name, file_of)
    made = quick("fine_tuning").transfer(tl.load(bert_folder), examples)
    found = made.predict(examples.texts)
    assert len(found) == ROWS
    for prediction in found:
        assert isinstance(prediction, Prediction)
        assert isinstance(prediction, examples.task.predicts)
        assert "\n" not in str(prediction)
        assert str(prediction).count("\t") == len(prediction.columns) - 1
        assert set(prediction.to_json()) == set(prediction.columns)
        json.dumps(prediction.to_json(), allow_nan=False)
    blank: Any = "  " if isinstance(examples.texts[0], str) else ("", " ")
    streamed = list(made.predict_stream([*examples.texts[:3], blank]))
    assert [prediction for _, prediction in streamed] == [*made.predict(examples.texts[:3]), None]


@pytest.mark.parametrize("name", TASKS)
def test_right_predictions_score_best(name: str, file_of: Callable[[str], Path]) -> None:
    examples = examples_of(name, file_of)
    right = [truth(name, examples, row) for row in range(ROWS)]
    metrics = examples.task.metrics(examples.targets, right, examples.labels)
    errors = {"rmse", "mae"}
    assert {key: value for key, value in metrics.items() if value != pytest.approx(float(key not in errors))} == {}


def truth(name: str, examples: Examples, row: int) -> Prediction:
    from transferlm.tasks.base import Answer, Entities, LabelPrediction, LabelSet, Number

    target, labels = examples.targets[row], examples.labels
    if name == "classification":
        return LabelPrediction(labels[target], 1.0)
    if name == "multilabel":
        chances = {label: float(on) for label, on in zip(labels, target, strict=True)}
        return LabelSet(tuple(label for label, chance in chances.items() if chance), chances)
    if name == "ner":
        return Entities(target)
    if name == "regression":
        return Number(float(target))
    return Answer(target[0].text, target[0].start, target[0].end, 1.0) if target else Answer("", None, None, 1.0)


@pytest.mark.parametrize("name", TASKS)
def test_the_command_line_checks_transfers_scores_and_predicts(
    name: str, file_of: Callable[[str], Path], bert_folder: Path, tmp_path: Path, run: Run
) -> None:
    data, out = file_of(name), tmp_path / "made"
    told = run("check", data, "--task", name, "--from", bert_folder, "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["train"]["rows"] == ROWS
    quickly = ("--epochs", "1", "--minimum-steps", "2")
    told = run("transfer", bert_folder, data, "--task", name, "--strategy", "fine_tuning", *quickly, "-o", out, "-q")
    assert told.code == 0, told.err
    told = run("evaluate", out, data, "--json")
    assert told.code == 0, told.err
    scores = json.loads(told.out)
    assert task_of(name).headline in scores["scores"]
    assert scores["share_read"] == 1.0
    told = run("evaluate", out, data)
    assert told.code == 0, told.err
    assert task_of(name).headline in told.out
    told = run("predict", out, "--file", data, "--table", "--json")
    assert told.code == 0, told.err
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert len(lines) == ROWS
    assert set(task_of(name).predicts.columns) <= set(lines[0])
