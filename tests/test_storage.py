"""Model folders are written whole or not at all, and opened with suspicion."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from transferlm import storage
from transferlm.errors import ModelFolderError
from transferlm.storage import Folder, Lineage, open_folder, save_tensors, write_json, written_whole


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder of our layout with one tensor."""
    folder = tmp_path / "ours"
    with written_whole(folder) as scratch:
        write_json(scratch / storage.MANIFEST, {"format": storage.FORMAT, "model": {"family": "tfidf"}})
        save_tensors({"idf": np.arange(3.0)}, scratch / storage.WEIGHTS)
    return folder


def test_a_new_folder_appears_with_everything(ours: Path) -> None:
    assert open_folder(ours).manifest["model"] == {"family": "tfidf"}
    assert open_folder(ours).tensors()["idf"].tolist() == [0.0, 1.0, 2.0]
    assert [p.name for p in ours.parent.iterdir() if p.name != "cache"] == ["ours"]


def fail_half_way(target: Path, error: type[BaseException]) -> None:
    """Write half a model, then raise."""
    with written_whole(target) as scratch:
        (scratch / storage.MANIFEST).write_text("{}")
        raise error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_a_failing_block_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        fail_half_way(tmp_path / "new", error)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_block_keeps_the_model_that_stood_there(ours: Path) -> None:
    before = (ours / storage.MANIFEST).read_bytes()
    with pytest.raises(ZeroDivisionError):
        fail_half_way(ours, ZeroDivisionError)
    assert (ours / storage.MANIFEST).read_bytes() == before
    assert [p.name for p in ours.parent.iterdir() if p.name != "cache"] == ["ours"]


def test_a_model_is_replaced_and_nothing_of_the_old_one_stays(ours: Path) -> None:
    (ours / "old").write_text("x")
    with written_whole(ours) as scratch:
        write_json(scratch / storage.MANIFEST, {"format": 1, "model": {"family": "recurrent"}})
    assert [p.name for p in ours.iterdir()] == [storage.MANIFEST]
    assert [p.name for p in ours.parent.iterdir() if p.name != "cache"] == ["ours"]


def test_what_is_no_model_is_never_replaced(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter").write_text("years of work")
    with pytest.raises(ModelFolderError, match="is no model folder"), written_whole(thesis):
        pass
    assert (thesis / "chapter").read_text() == "years of work"
    file = tmp_path / "file"
    file.write_text("work")
    with pytest.raises(ModelFolderError, match="is no model folder"), written_whole(file):
        pass
    assert file.read_text() == "work"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with written_whole(tmp_path / "empty") as scratch:
        (scratch / "file").write_text("x")
    assert (tmp_path / "empty" / "file").is_file()


def test_parents_are_made_and_others_may_read(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a" / "b") as scratch:
        (scratch / "file").write_text("x")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o055 == 0o055


def test_a_killed_writer_leaves_no_half_model(tmp_path: Path) -> None:
    code = (
        "import sys, time; from transferlm.storage import written_whole\n"
        "with written_whole(sys.argv[1]) as scratch:\n"
        "    (scratch / 'half').write_text('x'); print('ready', flush=True); time.sleep(60)"
    )
    target = tmp_path / "new"
    child = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not target.exists()
    with written_whole(target) as scratch:  # and the next writer is not in its way
        (scratch / "whole").write_text("x")
    assert (target / "whole").is_file()


def test_not_a_number_is_refused_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"score": float("nan")})


# ------------------------------------------------------------------ opening


def test_no_folder_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="is no folder"):
        open_folder(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFolderError, match=r"holds no model: neither transferlm\.json nor config\.json"):
        open_folder(tmp_path / "empty")


def test_a_folder_of_another_library_has_no_manifest(bert_folder: Path) -> None:
    folder = open_folder(bert_folder)
    assert folder.manifest == {}
    assert folder.lineage().step == "imported"


def test_a_later_format_is_refused(ours: Path) -> None:
    write_json(ours / storage.MANIFEST, {"format": storage.FORMAT + 1})
    with pytest.raises(ModelFolderError, match=r"has format 2, this transferlm reads 1: upgrade"):
        open_folder(ours)


@pytest.mark.parametrize("content", ["[]", '"text"', "{}", '{"format": "1"}', '{"format": null}'])
def test_a_manifest_without_a_format_is_refused(ours: Path, content: str) -> None:
    (ours / storage.MANIFEST).write_text(content)
    with pytest.raises(ModelFolderError, match="does not name its format"):
        open_folder(ours)


@pytest.mark.parametrize("content", [b'{"format": 1', b"", b"\xff\xfe\x00"])
def test_damaged_json_is_one_clear_line(ours: Path, content: bytes) -> None:
    (ours / storage.MANIFEST).write_bytes(content)
    with pytest.raises(ModelFolderError, match="is no JSON") as error:
        open_folder(ours)
    assert "\n" not in str(error.value)


def test_truncated_weights_are_one_clear_line(ours: Path) -> None:
    weights = ours / storage.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ModelFolderError, match="can't be read") as error:
        open_folder(ours).tensors()
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(ours: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"terms\.json is missing, the model is not whole"):
        open_folder(ours).json("terms.json")
    (ours / storage.WEIGHTS).unlink()
    with pytest.raises(ModelFolderError, match=r"model\.safetensors is missing"):
        open_folder(ours).tensors()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt"])
def test_a_pickle_is_named_and_never_opened(ours: Path, name: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {ours / 'sprung'}",)

    (ours / storage.WEIGHTS).unlink()
    (ours / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelFolderError, match=f"only a pickle \\({name}\\), which can run code"):
        open_folder(ours).tensors()
    assert not (ours / "sprung").exists()


def test_a_pickle_beside_safe_weights_does_no_harm(ours: Path) -> None:
    (ours / "training_args.bin").write_bytes(b"whatever")
    assert "idf" in open_folder(ours).tensors()


# ------------------------------------------------------------------ paths that climb out


def test_a_link_that_leads_out_is_refused(ours: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (ours / "terms.json").symlink_to(secret)
    with pytest.raises(ModelFolderError, match="leads out of the model folder"):
        open_folder(ours)


def test_a_linked_subfolder_is_refused(ours: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (ours / "1_Pooling").symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(ModelFolderError, match="leads out of the model folder"):
        open_folder(ours)


@pytest.mark.parametrize("name", ["../secret.json", "a/../../secret.json"])
def test_a_name_that_climbs_is_refused(ours: Path, name: str) -> None:
    (ours.parent / "secret.json").write_text("{}")
    (ours / "a").mkdir()
    with pytest.raises(ModelFolderError, match="leads out"):
        open_folder(ours).json(name)


def test_an_absolute_name_is_refused(ours: Path) -> None:
    (ours.parent / "secret.json").write_text("{}")
    with pytest.raises(ModelFolderError, match="leads out"):
        open_folder(ours).json(str(ours.parent / "secret.json"))


def test_links_within_the_folder_are_fine(ours: Path) -> None:
    (ours / "real.json").write_text('{"a": 1}')
    (ours / "link.json").symlink_to("real.json")
    assert open_folder(ours).json("link.json") == {"a": 1}


def test_the_folder_itself_may_be_a_link(ours: Path) -> None:
    link = ours.parent / "latest"
    link.symlink_to(ours, target_is_directory=True)
    assert "idf" in open_folder(link).tensors()


def test_a_hub_snapshot_may_link_to_its_blobs_and_no_further(tmp_path: Path) -> None:
    model = tmp_path / "models--org--name"
    (model / "blobs").mkdir(parents=True)
    (model / "blobs" / "abc").write_text('{"model_type": "bert"}')
    snapshot = model / "snapshots" / "123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    assert open_folder(snapshot).json("config.json") == {"model_type": "bert"}
    (model / "refs").write_text("{}")
    (snapshot / "other.json").symlink_to("../../refs")
    with pytest.raises(ModelFolderError, match="leads out"):
        open_folder(snapshot)


# ------------------------------------------------------------------ lineage


def test_a_child_keeps_its_parents_story() -> None:
    first = Lineage().child("pretrain", seed=3)
    second = first.child("transfer", scores={"train_loss": 0.5})
    assert first.parents == []
    assert second.parents[0]["step"] == "pretrain"
    assert second.parents[0]["seed"] == 3
    assert second.versions["python"].count(".") == 2
    assert second.time.endswith("+00:00")


def test_lineage_of_another_version_is_one_clear_line(ours: Path) -> None:
    (ours / storage.LINEAGE).write_text(json.dumps({"step": "pretrain", "moon_phase": 3}))
    with pytest.raises(ModelFolderError, match="moon_phase"):
        open_folder(ours).lineage()


def test_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert storage.file_hash(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_versions_name_what_decides_a_result() -> None:
    assert {"python", "torch", "numpy", "scikit-learn"} <= set(storage.versions())


def test_has(ours: Path) -> None:
    folder = Folder(ours, {})
    assert folder.has(storage.WEIGHTS)
    assert not folder.has("other")
