"""What a newer model replaced is kept, whole, and comes back with one command; a kill at any moment loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from transferlm import atomic, storage, versions
from transferlm.errors import ModelFolderError, SettingError
from transferlm.storage import MANIFEST, write_json, written_whole
from transferlm.versions import replacing, rollback, versions_of


def save(folder: Path, number: int) -> None:
    """A model of our layout that says which one it is."""
    with written_whole(folder) as scratch:
        write_json(scratch / MANIFEST, {"format": 1, "model": {"family": "tfidf"}, "number": number})
        write_json(scratch / storage.LINEAGE, {"step": "update", "method": {"name": f"way {number}"}})
        (scratch / "inner").mkdir()
        (scratch / "inner" / "weights").write_bytes(bytes([number]) * 1000)


def number_in(folder: Path) -> int:
    manifest: int = storage.open_folder(folder).manifest["number"]
    assert (folder / "inner" / "weights").read_bytes() == bytes([manifest]) * 1000, "the model is not whole"
    return manifest


def replace(folder: Path, number: int, keep: int = 3) -> None:
    with replacing(folder, keep):
        save(folder, number)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that was replaced twice: 3 stands in place, 1 and 2 are kept."""
    folder = tmp_path / "model"
    for number in (1, 2, 3):
        replace(folder, number)
    return folder


def kept(folder: Path) -> dict[int, int]:
    """Number of each version, and which model it is."""
    return {version.number: number_in(version.path) for version in versions_of(folder)}


def test_a_new_folder_has_no_versions(tmp_path: Path) -> None:
    replace(tmp_path / "new", 1)
    assert versions_of(tmp_path / "new") == []
    with pytest.raises(ModelFolderError, match="no earlier version is kept"):
        rollback(tmp_path / "new")


def test_what_is_replaced_is_kept_whole_and_told(model: Path) -> None:
    assert number_in(model) == 3
    assert kept(model) == {1: 1, 2: 2}
    told = versions_of(model)[-1]
    assert told.step == "update by way 2"
    assert told.bytes == sum(file.stat().st_size for file in told.path.rglob("*") if file.is_file()) > 1000


def test_no_more_than_asked_for_are_kept_and_the_oldest_go(model: Path) -> None:
    replace(model, 4)
    replace(model, 5)
    assert kept(model) == {2: 2, 3: 3, 4: 4}
    replace(model, 6, keep=1)
    assert kept(model) == {5: 5}
    replace(model, 7, keep=0)
    assert kept(model) == {}
    assert number_in(model) == 7
    with pytest.raises(SettingError, match="keep -1"):
        replace(model, 8, keep=-1)


def test_the_last_version_comes_back_and_going_back_can_be_undone(model: Path) -> None:
    assert rollback(model).number == 2
    assert number_in(model) == 2
    assert kept(model) == {1: 1, 3: 3}
    rollback(model)
    assert number_in(model) == 3


def test_any_version_comes_back_by_its_number(model: Path) -> None:
    rollback(model, 1)
    assert number_in(model) == 1
    assert kept(model) == {2: 2, 3: 3}
    with pytest.raises(ModelFolderError, match="no version 9 is kept; there are: 2, 3"):
        rollback(model, 9)


def test_a_model_that_was_deleted_comes_back(model: Path) -> None:
    shutil.rmtree(model)
    rollback(model)
    assert number_in(model) == 2


def test_a_save_that_fails_leaves_model_and_versions(model: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(model):
        raise ZeroDivisionError
    assert number_in(model) == 3
    assert kept(model) == {1: 1, 2: 2}


def test_keeping_a_version_copies_nothing(model: Path) -> None:
    before = (model / "inner" / "weights").stat().st_ino
    replace(model, 4)
    assert (versions_of(model)[-1].path / "inner" / "weights").stat().st_ino == before


def test_a_disk_without_hard_links_gets_copies(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refused)
    replace(model, 4)
    assert kept(model) == {1: 1, 2: 2, 3: 3}
    rollback(model)
    assert number_in(model) == 3


# ------------------------------------------------------------------ kills


class Killed(BaseException):
    """Stands for a kill: no handler of errors is to act on it, and none of the folder's calls works any more."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All calls that change the disk work `step` times, then none does."""
    left = [step]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def through(*arguments: object, **options: object) -> object:
            if left[0] <= 0:
                raise Killed
            left[0] -= 1
            return call(*arguments, **options)

        return through

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", counted(Path.rename))
        patched.setattr(versions.shutil, "rmtree", counted(versions.shutil.rmtree))
        patched.setattr(os, "link", counted(os.link))
        patched.setattr(storage, "exchange", counted(atomic.exchange))
        yield


@pytest.mark.parametrize("action", ["replace", "rollback"])
def test_killed_at_any_step_a_whole_model_stands_in_place_and_none_is_lost(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not atomic.exchange(Path(__file__), Path(__file__)):
        pytest.skip("this system can't exchange folders in one step")
    ends = set()
    for step in range(40):
        folder = tmp_path / str(step) / "model"
        for number in (1, 2, 3):
            replace(folder, number)
        finished = False
        try:
            with killed_at(step, monkeypatch):
                if action == "replace":
                    replace(folder, 4)
                else:
                    rollback(folder)
                finished = True
        except Killed:
            pass
        standing = number_in(folder)
        known = {standing, *kept(folder).values()}
        assert known >= {1, 2, 3}, f"killed at step {step}: a model is lost"
        ends.add(standing)
        replace(folder, 5, keep=9)  # and the next writer puts all in order
        assert number_in(folder) == 5
        assert standing in kept(folder).values()
        if finished:
            break
    assert finished
    assert ends == ({3, 4} if action == "replace" else {2, 3})


def test_a_kill_that_is_one_leaves_the_served_model(model: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from transferlm.versions import replacing\n"
        "with replacing(sys.argv[1]): print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(model)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert number_in(model) == 3
    assert kept(model) == {1: 1, 2: 2}
    replace(model, 4)
    assert kept(model) == {1: 1, 2: 2, 3: 3}


def test_two_at_once_lose_no_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save(folder, 1)
    threads = [threading.Thread(target=replace, args=(folder, number, 9)) for number in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number_in(folder), *kept(folder).values()} == set(range(1, 8))


def test_where_nothing_can_be_exchanged_two_steps_do_it_and_a_kill_between_them_is_told(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "exchange", lambda *_: False)
    replace(model, 4)
    assert number_in(model) == 4

    def replace_in_two_steps() -> None:
        monkeypatch.setattr(storage, "exchange", lambda *_: False)
        save(model, 5)

    with killed_at(1, monkeypatch), pytest.raises(Killed):
        replace_in_two_steps()
    assert not model.exists()
    with pytest.raises(ModelFolderError, match="it was being replaced, rename") as error:
        storage.open_folder(model)
    Path(str(error.value).rpartition("rename ")[2]).rename(model)
    assert number_in(model) == 4
