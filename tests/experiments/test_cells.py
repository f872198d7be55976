"""A killed comparison goes on from its whole cells, and nothing damaged or foreign is taken for one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from examples_of_cells import cells

from transferlm.errors import DataError, SettingError
from transferlm.experiments.cell_store import CellStore, key_of
from transferlm.experiments.cells import Arm, by_arm, same_seeds

KEY = key_of(labels=8, seed=0)


@pytest.fixture
def cell():
    (made,) = cells({("minilm（字）", "fine_tuning", 8): 0.7}, seeds=[0], examples=40)
    return replace(made, extras={"share_read": 0.98, "capped": ["缩写"], "rows": 48})


def test_a_cell_comes_back_as_it_went_in(tmp_path, cell):
    CellStore(tmp_path).put(KEY, cell)
    back = CellStore(tmp_path).get(KEY)
    for entry in fields(cell):
        np.testing.assert_equal(getattr(back, entry.name), getattr(cell, entry.name))
    assert {values.dtype for values in back.contributions.values()} == {np.dtype("float64")}


def test_what_was_never_put_is_none(tmp_path):
    assert CellStore(tmp_path / "new" / "folder").get(KEY) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: text.replace('"format": 2', '"format": 1'),
        lambda text: text.replace('"accuracy": 0', '"accuracy": 1'),
        lambda text: text.replace(KEY, key_of(labels=9)),
        lambda text: json.dumps({"format": 2, "key": KEY, "sha256": "", "cell": {"source": 1}}),
    ],
)
def test_a_damaged_or_foreign_file_is_reported_and_not_trusted(tmp_path, cell, capsys, damage):
    store = CellStore(tmp_path)
    store.put(KEY, cell)
    (path,) = tmp_path.iterdir()
    before = path.read_text()
    path.write_text(damage(before))
    assert path.read_text() != before
    assert store.get(KEY) is None
    said = capsys.readouterr().err
    assert str(path) in said
    assert said.count("\n") == 1
    store.put(KEY, cell)
    assert store.get(KEY) is not None


def test_contributions_that_are_no_numbers_are_reported_and_not_trusted(tmp_path, cell, capsys):
    store = CellStore(tmp_path)
    store.put(KEY, cell)
    (path,) = tmp_path.iterdir()
    document = json.loads(path.read_text())
    document["cell"]["contributions"]["accuracy"] = "AAAA"
    canonical = json.dumps(document["cell"], sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps({**document, "sha256": hashlib.sha256(canonical).hexdigest()}))
    assert store.get(KEY) is None
    assert "computing it again" in capsys.readouterr().err


def test_a_cell_kept_under_another_key_is_not_taken_for_it(tmp_path, cell):
    store = CellStore(tmp_path)
    store.put(KEY, cell)
    other = key_of(labels=8, seed=1)
    (tmp_path / f"{KEY}.json").rename(tmp_path / f"{other}.json")
    assert store.get(other) is None


def test_sigkill_at_any_moment_leaves_whole_cells_only(tmp_path):
    script = (
        "import sys, itertools; sys.path[:0] = sys.argv[2:]\n"
        "from examples_of_cells import cells\n"
        "from transferlm.experiments.cell_store import CellStore, key_of\n"
        "store = CellStore(sys.argv[1]); (cell,) = cells({('m', 's', 8): 0.7}, [0], 20_000)\n"
        "print('ready', flush=True)\n"
        "for count in itertools.count(): store.put(key_of(count=count), cell)\n"
    )
    here = Path(__file__).parent
    arguments = [sys.executable, "-c", script, str(tmp_path), str(here), str(here.parents[1])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        time.sleep(0.3)
        os.kill(writer.pid, signal.SIGKILL)
    store = CellStore(tmp_path)
    finished = list(tmp_path.glob("[!.]*.json"))
    assert finished
    assert all(store.get(path.stem) is not None for path in finished)


def test_what_a_run_killed_long_ago_left_half_written_is_cleared_and_a_fresh_one_is_not(tmp_path):
    old, fresh = tmp_path / f".{KEY}.1.partial", tmp_path / f".{KEY}.2.partial"
    for path in (old, fresh):
        path.write_text("{")
    os.utime(old, (time.time() - 7200,) * 2)
    CellStore(tmp_path)
    assert not old.exists()
    assert fresh.exists()


def test_a_score_that_is_not_a_number_is_refused_by_name(tmp_path, cell):
    with pytest.raises(DataError, match="accuracy is nan"):
        CellStore(tmp_path).put(KEY, replace(cell, scores={"accuracy": float("nan")}))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="another folder"):
        CellStore(tmp_path / "file")


def test_a_key_cannot_climb_out_of_the_folder(tmp_path):
    with pytest.raises(SettingError, match="no cell key"):
        CellStore(tmp_path).get("../secret")


def test_the_key_changes_with_everything_that_determines_a_cell_and_with_nothing_else():
    base = {"train": "ab", "strategy": {"name": "fine_tuning", "rate": 2e-5, "sizes": (1, 2)}, "seed": 0}
    assert key_of(**base) == key_of(**dict(reversed(base.items())))
    assert key_of(**base) == key_of(**{**base, "seed": np.int64(0)})
    changed = [{"seed": 1}, {"train": "ac"}, {"strategy": {**base["strategy"], "rate": 3e-5}}, {"more": None}]
    assert len({key_of(**base), *(key_of(**{**base, **change}) for change in changed)}) == 5


@pytest.mark.parametrize("value", [object(), float("inf"), {1: "one"}, b"bytes", {"a": [np.zeros(2)]}])
def test_what_json_would_change_cannot_determine_a_cell(value):
    with pytest.raises(SettingError, match="value"):
        key_of(value=value)


def test_cells_of_one_arm_stand_together_by_seed():
    made = cells({("a", "s", 8): 0.5, ("b", "s", 8): 0.5}, seeds=[2, 0, 1], examples=20)
    groups = by_arm(made)
    assert list(groups) == [Arm("a", "s", 8), Arm("b", "s", 8)]
    assert [cell.seed for cell in groups["a", "s", 8]] == [0, 1, 2]


def test_a_seed_twice_or_another_test_part_is_refused(cell):
    with pytest.raises(DataError, match="two cells of one seed"):
        by_arm([cell, cell])
    with pytest.raises(DataError, match="other examples"):
        by_arm([cell, replace(cell, seed=1, targets="another hash")])


def test_only_seeds_that_both_arms_have_are_paired():
    ours = cells({("a", "s", 8): 0.5}, seeds=[0, 1, 2], examples=20)
    theirs = cells({("b", "s", 8): 0.5}, seeds=[1, 2, 3], examples=20)
    assert [[cell.seed for cell in arm] for arm in same_seeds(ours, theirs)] == [[1, 2], [1, 2]]
    with pytest.raises(DataError, match="share no seed"):
        same_seeds(ours[:1], theirs)
