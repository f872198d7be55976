"""Several processes that train together end where one does: the same weights, the same log, files written once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shared_training

import transferlm as tl
from transferlm.errors import SettingError
from transferlm.neural.processes import Share

FREE = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"


def both(*words: object) -> list[tuple[int, str, str]]:
    """Exit code, standard output and error of two processes, each told what a launcher tells it."""
    port = subprocess.run([sys.executable, "-c", FREE], capture_output=True, text=True, check=True).stdout.strip()
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    pair = [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            env={**os.environ, **place, "RANK": str(process), "LOCAL_RANK": str(process)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(2)
    ]
    try:
        told = [each.communicate(timeout=280) for each in pair]
    finally:
        for each in pair:
            each.kill()
            each.wait()
    return [(each.returncode, *words) for each, words in zip(pair, told, strict=True)]


# Two processes on a busy machine wait for one another: a quiet one needs ten seconds.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory, bert_folder: Path) -> tuple[Path, dict[str, Any]]:
    """The folder and the figures of two processes."""
    folder = tmp_path_factory.mktemp("two")
    ended = both(shared_training.__file__, folder, bert_folder)
    assert [code for code, *_ in ended] == [0, 0], ended
    assert ended[1][2] == "", "the second process says nothing"
    return folder, json.loads((folder / "figures.json").read_text())


@pytest.fixture(scope="module")
def by_one(tmp_path_factory: pytest.TempPathFactory, bert_folder: Path) -> dict[str, Any]:
    """Those of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_training.precision, "has_bfloat16", lambda _: False)
        return shared_training.figures(tmp_path_factory.mktemp("one"), bert_folder)


@pytest.mark.parametrize("kind", ["recurrent", "causal", "recurrent sampled", "causal sampled", "masked"])
def test_two_processes_end_where_one_does(
    kind: str, by_one: dict[str, Any], by_two: tuple[Path, dict[str, Any]]
) -> None:
    one, two = by_one[kind], by_two[1][kind]
    for name, weights in one["weights"].items():
        ours, theirs = np.array(two["weights"][name]), np.array(weights)
        # Biases of keys have no gradient but rounding.
        assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs) + 1e-6, name
    assert len(one["log"]) == len(two["log"]) > 1
    for ours, theirs in zip(two["log"], one["log"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("kind", ["recurrent", "recurrent sampled", "causal sampled"])
def test_two_processes_go_on_where_they_stopped(kind: str, by_two: tuple[Path, dict[str, Any]]) -> None:
    found = by_two[1][f"{kind} resumed"]
    assert found["whole"] == found["again"]


def test_rows_that_any_process_touched_are_moved(by_one: dict[str, Any], by_two: tuple[Path, dict[str, Any]]) -> None:
    """One whose gradient is zero too: averages and decay move it, as where one process trains."""
    assert by_one["touched"] == [0, 1]
    assert by_two[1]["touched"] == [0, 1, 2]


def test_each_process_has_its_own_dropout_from_the_seed(
    by_one: dict[str, Any], by_two: tuple[Path, dict[str, Any]]
) -> None:
    first, second = by_two[1]["draws"]
    assert [first] == by_one["draws"]
    assert len(second) == 2
    assert not set(first) & set(second)


def test_the_main_process_writes_the_model(by_two: tuple[Path, dict[str, Any]]) -> None:
    folder, found = by_two
    saved: Any = tl.load(folder / "saved")
    assert shared_training.weights(saved) == found["causal sampled resumed"]["whole"]
    assert not [place.name for place in folder.iterdir() if place.name.endswith((".partial", ".old"))]


def test_what_can_not_be_shared_is_refused_by_name(by_two: tuple[Path, dict[str, Any]]) -> None:
    assert by_two[1]["refused"] == [
        "batch_size 1: give 2 or more, a row to each of 2 processes",
        "denoising can't be shared by 2 processes: start it without the launcher",
        "the pretraining of kneser_ney can't be shared by 2 processes: start it without the launcher",
    ]


def test_from_the_command_line_the_main_process_tells(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(shared_training.TEXTS) + "\n")
    sizes = ("--width", "4", "--embedding-width", "4", "--epochs", "1", "--batch-size", "2", "--sequence-length", "8")
    words = ("-m", "transferlm", "pretrain", "recurrent", tmp_path / "text.txt", *sizes, "-o", tmp_path / "model")
    ended = both(*words)
    assert [code for code, *_ in ended] == [0, 0], ended
    assert [out for _, out, _ in ended] == [f"{tmp_path / 'model'}\n", ""]
    assert (tmp_path / "model" / "training.jsonl").is_file()
    assert not [place.name for place in tmp_path.iterdir() if place.name.startswith(".")], "no state, no scratch folder"


def test_other_commands_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from transferlm.cli import main

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(SystemExit) as ended:
        main(["list", "models"])
    assert ended.value.code == 1
    assert "`transferlm list` can't be shared by 3 processes" in capsys.readouterr().err


def test_a_share_is_every_so_manieth_row() -> None:
    shares = [Share.of_batches(process, 3, rows=4) for process in range(3)]
    parts = [share.of(np.arange(4)) for share in shares]
    assert sorted(np.concatenate(parts).tolist()) == [0, 1, 2, 3]
    means = [part.mean() * share.weight(len(part), 4) for share, part in zip(shares, parts, strict=True)]
    assert np.mean(means) == pytest.approx(np.arange(4).mean())
    with pytest.raises(SettingError, match="batch_size 2: give 3 or more"):
        Share.of_batches(0, 3, rows=2)


def test_alone_nothing_is_loaded() -> None:
    code = "import sys, transferlm.neural.loop, transferlm.neural.processes as p; p.processes(); print(sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'accelerate'" not in told.stdout
