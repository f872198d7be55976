"""The precision of predictions is chosen on texts, and stays in the folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def judge(run: Run, bert_folder: Path, make_examples: Callable[..., Any], tmp_path: Path) -> Path:
    """A tiny BERT that tells reviews apart."""
    examples = make_examples(60)
    with (tmp_path / "reviews.csv").open("w", encoding="utf-8", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["text", "label"])
        rows.writerows(
            [text, examples.labels[label]] for text, label in zip(examples.texts, examples.targets, strict=True)
        )
    words = ("transfer", bert_folder, tmp_path / "reviews.csv", "--strategy", "feature_extraction")
    assert run(*words, "-o", tmp_path / "judge").code == 0
    return tmp_path / "judge"


def test_the_choice_is_told_and_kept(run: Run, judge: Path, make_examples: Callable[..., Any], tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(make_examples(80, seed=7).texts), encoding="utf-8")
    told = run("quicken", judge, texts, "-o", tmp_path / "quick", "--json")
    assert told.code == 0
    found = json.loads(told.out)
    assert {trial["precision"] for trial in found["trials"]} <= {"bf16", "int8"}
    kept = json.loads((tmp_path / "quick" / "transferlm.json").read_text(encoding="utf-8"))["task"]
    assert kept["precision"] == found["precision"]
    assert kept["rounding"] == {t["precision"]: t["change"] for t in found["trials"] if t["accepted"]}
    quick, exact = (
        run("predict", tmp_path / "quick", "the film was good", *more) for more in ((), ("--precision", "fp32"))
    )
    assert quick.code == exact.code == 0
    assert quick.out.split()[0] == exact.out.split()[0]


def test_too_few_texts_are_refused(run: Run, judge: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a film\nanother film\n", encoding="utf-8")
    told = run("quicken", judge, texts, "-o", tmp_path / "quick")
    assert told.code == 1
    assert "2 distinct texts say little about a precision: give 64 or more" in told.err
    assert not (tmp_path / "quick").exists()


def test_several_tasks_are_refused_without_naming_a_flag_that_is_not_there(
    run: Run, bert_folder: Path, judge: Path, tmp_path: Path
) -> None:
    data = judge.parent / "reviews.csv"
    tasks = [f'[{name}]\ntask = "classification"\ndata = "{data.name}"\n' for name in ("one", "two")]
    (tmp_path / "tasks.toml").write_text("\n".join(tasks), encoding="utf-8")
    words = ("--strategy", "multi_task", "--epochs", "1")
    assert run("transfer", bert_folder, tmp_path / "tasks.toml", *words, "-o", tmp_path / "both").code == 0
    told = run("quicken", tmp_path / "both", data, "--column", "text", "-o", tmp_path / "quick")
    assert told.code == 1
    assert "holds several tasks, and a precision is chosen for one" in told.err
    assert "--task" not in told.err


def test_a_model_that_predicts_in_one_way_says_so(run: Run, judge: Path, tmp_path: Path) -> None:
    words = ("transfer", "tfidf", judge.parent / "reviews.csv", "--strategy", "feature_extraction")
    assert run(*words, "-o", tmp_path / "counted").code == 0
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(f"film {number}" for number in range(70)), encoding="utf-8")
    told = run("quicken", tmp_path / "counted", texts, "-o", tmp_path / "quick")
    assert told.code == 0
    assert "one way only" in told.out


def test_a_model_without_a_task_is_refused(run: Run, bert_folder: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a film\n", encoding="utf-8")
    told = run("quicken", bert_folder, texts, "-o", tmp_path / "quick")
    assert told.code == 1
    assert "task" in told.err
