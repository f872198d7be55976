"""What methods leave with a model lies beside its weights and comes back with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from transferlm import lifecycle, storage
from transferlm.errors import ModelFolderError
from transferlm.models.base import Kept, Model

KEPT = Kept({"precision": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"texts": 3, "of": "old text"})


@pytest.fixture
def model() -> Model:
    """A small model that keeps something."""
    made = lifecycle.empty("kneser_ney", order=2)
    made.fit(["a b", "b c"])  # type: ignore[attr-defined]
    made.kept = {"posterior": KEPT}
    return made


def test_what_is_kept_comes_back_with_the_model(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    opened = lifecycle.load(tmp_path / "m")
    assert isinstance(opened, Model)
    assert opened.kept["posterior"].facts == KEPT.facts
    np.testing.assert_array_equal(opened.kept["posterior"].arrays["precision"], KEPT.arrays["precision"])
    assert opened.kept["posterior"].hash == KEPT.hash


def test_it_is_no_part_of_how_the_model_scores(model: Model) -> None:
    with_it = model.fingerprint
    model.kept = {}
    assert model.fingerprint == with_it


def test_a_copy_keeps_it_and_is_independent(model: Model) -> None:
    twin = model.copy()
    assert twin.kept["posterior"] is model.kept["posterior"]
    twin.kept = {}
    assert "posterior" in model.kept


def test_a_model_that_keeps_nothing_writes_nothing_of_it(model: Model, tmp_path: Path) -> None:
    model.kept = {}
    model.save(tmp_path / "m")
    assert "kept" not in json.loads((tmp_path / "m" / storage.MANIFEST).read_text())
    assert not list((tmp_path / "m").glob("kept*"))


@pytest.mark.parametrize("name", ["../posterior", "Posterior", ""])
def test_a_name_that_was_never_written_is_refused(model: Model, tmp_path: Path, name: str) -> None:
    model.save(tmp_path / "m")
    manifest = tmp_path / "m" / storage.MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "kept": {name: {}}}))
    with pytest.raises(ModelFolderError, match="kept"):
        lifecycle.load(tmp_path / "m")


def test_a_missing_or_damaged_file_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    file = tmp_path / "m" / "kept-posterior.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(ModelFolderError, match="kept-posterior"):
        lifecycle.load(tmp_path / "m")
    file.unlink()
    with pytest.raises(ModelFolderError, match="is missing"):
        lifecycle.load(tmp_path / "m")
