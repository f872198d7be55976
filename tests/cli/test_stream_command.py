"""`transferlm stream`, `rollback` and `show` of versions, from their words to their files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import transferlm as tl
from transferlm.storage import file_hash

Run = Callable[..., Any]


@pytest.fixture
def desk(tmp_path: Path, recurrent: Any, review_texts: list[str], make_reviews: Any, monkeypatch: Any) -> Path:
    """A folder with an LSTM, an n-gram model, dated files and a dated table."""
    recurrent.save(tmp_path / "lstm")
    tl.models.KneserNey(order=3).fit(review_texts).save(tmp_path / "ngram")
    (tmp_path / "dated").mkdir()
    rows = []
    for month in (1, 2, 3):
        texts = make_reviews(60, seed=month)[0]
        (tmp_path / "dated" / f"2003-0{month}.txt").write_text("\n".join(texts) + "\n")
        rows += [f'2003-0{month}-15,"{text}"' for text in texts]
    (tmp_path / "dated.csv").write_text("when,what\n" + "\n".join(rows) + "\n")
    (tmp_path / "old.txt").write_text("\n".join(make_reviews(60, seed=7)[0]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_of_dated_files(run: Run, desk: Path) -> None:
    told = run(
        "stream", "ngram", "dated", "--method", "decay", "--keep", "0.9", "-o", "out", "--report", "r.html", "-q"
    )
    assert told.code == 0, told.err
    assert "over the frozen one" in told.out or "no difference is shown" in told.out
    assert all(month in told.out for month in ("2003-01", "2003-02", "2003-03"))
    assert "average forgetting" in told.out
    assert (desk / "r.html").read_text().startswith("<!doctype html>")
    assert tl.load("out").lineage.method == {"name": "decay", "hyper_parameters": {"keep": 0.9}}
    assert not (desk / ".out.training").exists()


def test_a_table_gives_the_same_figures_as_a_folder(run: Run, desk: Path) -> None:
    words = ("--method", "count_merging", "--old", "old.txt", "-o", "out", "--json", "-q")
    one = json.loads(run("stream", "ngram", "dated", *words).out)
    other = json.loads(run("stream", "ngram", "dated.csv", "--date", "when", "--column", "what", *words).out)
    for name in ("periods", "unit", "matrix", "old", "served", "frozen", "gap", "alarms", "backward_transfer"):
        assert one[name] == other[name]
    assert (len(one["matrix"]), len(one["matrix"][0]), len(one["old"]), len(one["costs"])) == (3, 4, 4, 3)
    assert set(one["gap"]) == {"gain", "low", "high"}
    years = run("stream", "ngram", "dated", *words, "--by", "year")
    assert (years.code, years.err.count("\n")) == (1, 1)
    assert "all texts are of 2003" in years.err


KILLED_WHEN_LEARNT = """
import sys, time
from transferlm.experiments import stream_state
real = stream_state.State.keep
def keep(self, model, updates):
    real(self, model, updates)
    if updates == 2:
        open("learnt", "w").close()
        time.sleep(60)
stream_state.State.keep = keep
from transferlm.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("model", ["ngram", "lstm"])
def test_killed_for_good_the_same_command_goes_on_to_the_same_matrix(run: Run, desk: Path, model: str) -> None:
    method = ("count_merging",) if model == "ngram" else ("online_bayes", "--steps", "3")
    words = ["stream", model, "dated", "--method", *method, "--old", "old.txt", "--json", "-q"]
    calm = json.loads(run(*words, "-o", "calm").out)
    child = subprocess.Popen([sys.executable, "-c", KILLED_WHEN_LEARNT, *words, "-o", "out"], env=os.environ)
    for _ in range(2000):  # a busy machine takes its time
        if Path("learnt").exists() or child.poll() is not None:
            break
        time.sleep(0.1)
    assert Path("learnt").exists()
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (desk / "out").exists()
    assert len(list(desk.glob(".out.training/*/cost-*.json"))) == 1, "the second is learnt, and its cost not yet kept"
    gone_on = run(*words, "-o", "out")
    assert gone_on.code == 0, gone_on.err
    found = json.loads(gone_on.out)
    assert {**found, "costs": None} == {**calm, "costs": None}
    assert file_hash(desk / "out" / "model.safetensors") == file_hash(desk / "calm" / "model.safetensors")
    assert not (desk / ".out.training").exists()


def test_an_update_in_place_keeps_a_version_and_one_command_goes_back(run: Run, desk: Path) -> None:
    before = file_hash(desk / "ngram" / "model.safetensors")
    update = ("update", "ngram", "old.txt", "--method", "count_merging", "-o", "ngram", "-q")
    assert run(*update).code == 0
    after = file_hash(desk / "ngram" / "model.safetensors")
    assert after != before
    shown = run("show", "ngram").out
    assert "earlier version 1: fitted by kneser_ney" in shown
    assert "MB on disk" in shown
    assert [version["number"] for version in json.loads(run("show", "ngram", "--json").out)["versions"]] == [1]
    told = run("rollback", "ngram")
    assert (told.code, told.out) == (0, "ngram: version 1 is back (fitted by kneser_ney)\n")
    assert file_hash(desk / "ngram" / "model.safetensors") == before
    assert run("rollback", "ngram", "--to", "2").code == 0
    assert file_hash(desk / "ngram" / "model.safetensors") == after
    wrong = run("rollback", "ngram", "--to", "9")
    assert (wrong.code, wrong.err) == (1, "transferlm: ngram: no version 9 is kept; there are: 3\n")


def test_how_many_versions_are_kept_can_be_said(run: Run, desk: Path) -> None:
    update = ("update", "ngram", "old.txt", "--method", "count_merging", "-o", "ngram", "-q")
    for _ in range(2):
        assert run(*update, "--versions", "1").code == 0
    assert [version.number for version in tl.versions_of("ngram")] == [2]
    assert run(*update, "--versions", "0").code == 0
    none = run("rollback", "ngram")
    assert (none.code, none.err) == (1, "transferlm: ngram: no earlier version is kept of it\n")
