"""`transferlm compare` end to end: one document, one page, and finished cells that are never run again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def data(write_review_file: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path]:
    return write_review_file(tmp_path / "train.csv", 80), write_review_file(tmp_path / "test.csv", 30, seed=9)


@pytest.fixture
def lm(recurrent: Any, tmp_path: Path) -> Path:
    recurrent.save(tmp_path / "lm")
    return tmp_path / "lm"


def words(data: tuple[Path, Path], source: Path | str, *more: str | Path) -> tuple[str | Path, ...]:
    train, test = data
    return (
        *("compare", train, "--test", test, "--from", source, "--strategy", "feature_extraction"),
        *("--sizes", "2,8", "--seeds", "2", "--json", *more),
    )


def test_the_document_holds_cells_gains_and_a_verdict(
    run: Run, data: tuple[Path, Path], lm: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    quick = ("--strategy", "fine_tuning", "--fine_tuning.epochs", "1", "--fine_tuning.minimum_steps", "2")
    told = run(*words(data, lm, *quick, "--report", report))
    assert told.code == 0, told.err
    found = json.loads(told.out)
    arms = {(cell["source"], cell["strategy"]) for cell in found["cells"]}
    assert arms == {
        ("lm", "feature_extraction"),
        ("lm", "fine_tuning"),
        ("lm-untrained", "feature_extraction"),
        ("lm-untrained", "fine_tuning"),
        ("tfidf", "feature_extraction"),
    }
    assert len(found["cells"]) == 5 * 2 * 2
    cell = found["cells"][0]
    assert {"source", "strategy", "labels", "seed", "scores", "seconds", "peak_bytes"} <= set(cell)
    assert {"accuracy", "macro_f1", "macro_precision", "macro_recall"} <= set(cell["scores"])
    gain = found["gains"][0]
    assert {"source", "strategy", "labels", "metric", "against", "gain", "low", "high"} <= set(gain)
    assert {g["against"] for g in found["gains"] if g["source"] == "lm"} == {"lm-untrained", "tfidf"}
    assert found["verdict"]
    page = report.read_text(encoding="utf-8")
    assert "<svg" in page
    assert not re.search(r"""(src|href)=["']https?:""", page)


def test_the_same_draws_for_every_arm(run: Run, data: tuple[Path, Path], lm: Path) -> None:
    found = json.loads(run(*words(data, lm)).out)
    hashes: dict[tuple[int, int], set[str]] = {}
    for cell in found["cells"]:
        place = (cell["labels"], cell["seed"])
        hashes.setdefault(place, set()).add(json.dumps(cell.get("extras", cell).get("training_hash")))
    assert all(len(same) == 1 for same in hashes.values())


def test_the_second_run_repeats_nothing_and_says_the_same(
    run: Run, data: tuple[Path, Path], lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(*words(data, lm))
    from transferlm.experiments import runs
    from transferlm.strategies.feature_extraction import FeatureExtraction

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished cell was run again")

    monkeypatch.setattr(FeatureExtraction, "transfer", never)
    monkeypatch.setattr(runs, "Remembered", never)
    second = run(*words(data, lm))
    assert (first.code, second.code) == (0, 0), second.err
    assert json.loads(second.out)["cells"] == json.loads(first.out)["cells"]
    assert json.loads(second.out)["gains"] == json.loads(first.out)["gains"]


def test_another_setting_is_another_cell(run: Run, data: tuple[Path, Path], tmp_path: Path) -> None:
    cells = tmp_path / "cells"
    one = json.loads(run(*words(data, "tfidf", "--cells", cells)).out)
    more = ("--cells", cells, "--feature_extraction.regularisation", "0.01")
    other = json.loads(run(*words(data, "tfidf", *more)).out)
    assert len(one["cells"]) == len(other["cells"])
    assert [c["seconds"] for c in one["cells"]] != [c["seconds"] for c in other["cells"]]


def test_killed_and_run_again_it_says_what_an_uninterrupted_run_says(
    run: Run, data: tuple[Path, Path], lm: Path, tmp_path: Path
) -> None:
    def scores(told: Any) -> list[tuple[Any, ...]]:
        assert told.code == 0, told.err
        return [(c["source"], c["labels"], c["seed"], c["scores"]) for c in json.loads(told.out)["cells"]]

    def kept() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in (tmp_path / "a").rglob("*.json")}

    command = [sys.executable, "-m", "transferlm", *map(str, words(data, lm, "--cells", tmp_path / "a"))]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while killed.poll() is None and len(kept()) < 2:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = kept()
    assert before, "nothing was finished"
    again = run(*words(data, lm, "--cells", tmp_path / "a"))
    assert scores(again) == scores(run(*words(data, lm, "--cells", tmp_path / "b")))
    after = kept()
    assert all(after[file] == when for file, when in before.items()), "a finished cell was written anew"
    assert len(after) == 12


def test_the_table_for_people(run: Run, data: tuple[Path, Path]) -> None:
    told = run(*(w for w in words(data, "tfidf", "--no-baselines") if w != "--json"))
    assert told.code == 0, told.err
    assert "tfidf" in told.out
    assert len(told.out.strip().splitlines()[-1]) > 10


def test_without_a_test_part_a_fifth_is_split_off(run: Run, data: tuple[Path, Path]) -> None:
    told = run(
        *("compare", data[0], "--from", "tfidf", "--strategy", "feature_extraction"),
        *("--sizes", "2", "--seeds", "2", "--json"),
    )
    assert told.code == 0, told.err
    assert len(json.loads(told.out)["cells"]) == 2


def test_duplicates_are_left_out_and_that_is_said(run: Run, data: tuple[Path, Path]) -> None:
    train, test = data
    rows = train.read_text().splitlines()
    train.write_text("\n".join([*rows, *rows[1:6], test.read_text().splitlines()[1]]) + "\n")
    told = run(*words(data, "tfidf"))
    assert told.code == 0, told.err
    assert "5 duplicates and 1 rows of the test part left out" in told.err


def test_a_source_that_can_do_no_strategy_is_refused(run: Run, data: tuple[Path, Path]) -> None:
    train, test = data
    told = run("compare", train, "--test", test, "--from", "tfidf", "--strategy", "fine_tuning", "--sizes", "2")
    assert told.code == 1
    assert "works with: causal_transformer, masked_transformer, recurrent" in told.err
