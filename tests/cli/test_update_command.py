"""`transferlm update` from its words to its files; and what long commands keep while they run."""

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
from transferlm.models.recurrent import Recurrent
from transferlm.storage import file_hash

Run = Callable[..., Any]
HARD = ("--learning-rate", "0.03", "--steps", "60")


@pytest.fixture
def desk(tmp_path: Path, recurrent: Recurrent, review_texts: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a language model `lm`, the text it knows (`old.txt`), and other text (`new.txt`)."""
    recurrent.save(tmp_path / "lm")
    (tmp_path / "old.txt").write_text("\n".join(review_texts) + "\n")
    new = [f"{a} sails over {b} at {c}" for a in ("she", "he", "it") for b in ("seas", "lakes") for c in range(12)]
    (tmp_path / "new.txt").write_text("\n".join(new) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_the_updated_model_and_tells_what_happened(run: Run, desk: Path) -> None:
    told = run("update", "lm", "new.txt", "--method", "continued_pretraining", "--steps", "5", "-o", "out")
    assert told.code == 0, told.err
    lines = told.out.splitlines()
    assert lines[0] == "out"
    assert lines[1].startswith("new text: ")
    assert lines[2] == "old text: not measured"
    story = json.loads(run("show", "out", "--json").out)["lineage"]
    assert (story["step"], story["method"]["name"]) == ("update", "continued_pretraining")
    assert all(word in run("show", "out").out for word in ("continued_pretraining", "new.txt", "not measured"))
    assert run("update", "out", "new.txt", "--method", "denoising", "--steps", "1", "-o", "out").code == 0


def test_the_document_has_these_fields_and_no_others(run: Run, desk: Path) -> None:
    words = ("update", "lm", "new.txt", "--method", "continued_pretraining", "--steps", "5", "-o", "out", "--json")
    alone = json.loads(run(*words).out)
    assert set(alone) == {"old", "new", "accepted", "share", "cost", "would_pass"}
    assert set(alone["cost"]) == {"seconds", "peak_bytes", "device_bytes", "added_bytes"}
    assert alone["old"] is None
    assert set(alone["new"]) == {"before", "after"}
    assert alone["accepted"] is True
    both = json.loads(run(*words, "--old", "old.txt").out)
    assert set(both["old"]) == {"before", "after"}
    assert both["new"] == alone["new"]


def test_an_update_that_forgets_is_refused_and_replaces_nothing(run: Run, desk: Path) -> None:
    before = {file.name: file.read_bytes() for file in (desk / "lm").iterdir()}
    words = ("update", "lm", "new.txt", "--method", "continued_pretraining", *HARD, "--old", "old.txt")
    told = run(*words, "--max-forgetting", "0.02", "-o", "lm", "--json", "-q")
    assert told.code == 1
    found = json.loads(told.out)
    assert found["accepted"] is False
    rise = found["old"]["after"] / found["old"]["before"] - 1
    assert rise > 0.02
    assert f"rose by {rise:.2%}" in told.err
    assert told.err.count("\n") == 1
    assert {file.name: file.read_bytes() for file in (desk / "lm").iterdir()} == before
    assert not (desk / ".lm.training").exists()
    allowed = run(*words, "--max-forgetting", str(rise * 1.01), "-o", "lm", "--json", "-q")
    assert (allowed.code, json.loads(allowed.out)["accepted"]) == (0, True)
    assert (desk / "lm" / "model.safetensors").read_bytes() != before["model.safetensors"]


def test_a_limit_without_old_text_is_one_clear_line(run: Run, desk: Path) -> None:
    words = ("update", "lm", "new.txt", "--method", "continued_pretraining", "--max-forgetting", "0.02", "-o", "out")
    told = run(*words)
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "needs old text" in told.err
    assert not (desk / "out").exists()


def test_an_unsupported_pair_is_one_line_with_alternatives(run: Run, desk: Path) -> None:
    told = run("update", "tfidf", "new.txt", "--method", "denoising", "-o", "out")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "works with: causal_transformer, masked_transformer, recurrent" in told.err


@pytest.mark.parametrize("words", [("new.txt", "-o", "out"), ("--method", "denoising", "-o", "out")])
def test_wrong_usage_is_exit_code_2(run: Run, desk: Path, words: tuple[str, ...]) -> None:
    assert run("update", "lm", *words).code == 2


def test_a_column_of_a_table(run: Run, desk: Path, review_file: Path) -> None:
    words = ("--column", "text", "--method", "contrastive_pretraining", "--steps", "1", "-o", "out")
    told = run("update", "lm", review_file, *words)
    assert told.code == 0, told.err
    assert tl.load("out").lineage.data[0]["texts"] > 70


def test_the_training_log_is_left_in_the_model_folder(run: Run, desk: Path, review_file: Path) -> None:
    small = ("--width", "8", "--embedding-width", "8", "--epochs", "2", "--batch-size", "4", "--sequence-length", "8")
    assert run("pretrain", "recurrent", "old.txt", *small, "-o", "new-lm").code == 0
    update = ("update", "new-lm", "new.txt", "--method", "continued_pretraining", "--steps", "3", "-o", "up")
    assert run(*update).code == 0
    quick = ("--strategy", "fine_tuning", "--epochs", "1", "--minimum-steps", "2")
    assert run("transfer", "up", review_file, *quick, "-o", "task").code == 0
    for folder in ("new-lm", "up", "task"):
        lines = [json.loads(line) for line in (desk / folder / "training.jsonl").read_text().splitlines()]
        assert all(line["loss"] > 0 for line in lines)
        assert lines[-1]["step"] >= 2
        assert not (desk / f".{folder}.training").exists()
        assert tl.load(folder)


def test_curves_for_tensorboard_are_written_where_they_are_asked_for(run: Run, desk: Path, review_file: Path) -> None:
    pytest.importorskip("tensorboard")
    small = ("--width", "8", "--embedding-width", "8", "--epochs", "1", "--batch-size", "4", "--sequence-length", "8")
    assert run("pretrain", "recurrent", "old.txt", *small, "-o", "board-lm", "--tensorboard", "board").code == 0
    update = ("update", "board-lm", "new.txt", "--method", "continued_pretraining", "--steps", "2", "-o", "board-up")
    assert run(*update, "--tensorboard", "board").code == 0
    quick = ("--strategy", "fine_tuning", "--epochs", "1", "--minimum-steps", "2")
    assert run("transfer", "board-up", review_file, *quick, "-o", "board-task", "--tensorboard", "board").code == 0
    written = sorted(place.name for place in (desk / "board").iterdir())
    assert written == ["fine-tuning", "pretraining", "training-further"]


KILLED_WHEN_SAVED = """
import os, sys, time
from transferlm.neural.checkpoint import Checkpoint
real, count = Checkpoint.save, 0
def save(self, tensors, facts):
    global count
    real(self, tensors, facts)
    count += 1
    if count == int(sys.argv[1]):
        open("saved", "w").close()
        time.sleep(60)
Checkpoint.due, Checkpoint.save = True, save
from transferlm.cli import main
main(sys.argv[2:])
"""


def test_killed_for_good_the_same_command_goes_on_to_the_same_file(run: Run, desk: Path) -> None:
    words = ["update", "lm", "new.txt", "--method", "continued_pretraining", "--steps", "6", "-q"]
    assert run(*words, "-o", "calm").code == 0
    child = subprocess.Popen([sys.executable, "-c", KILLED_WHEN_SAVED, "3", *words, "-o", "out"], env=os.environ)
    for _ in range(600):
        if Path("saved").exists() or child.poll() is not None:
            break
        time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not Path("out").exists()
    assert (desk / ".out.training" / "state.safetensors").is_file()
    assert run(*words, "-o", "out").code == 0
    assert file_hash(desk / "out" / "model.safetensors") == file_hash(desk / "calm" / "model.safetensors")
    assert not (desk / ".out.training").exists()
