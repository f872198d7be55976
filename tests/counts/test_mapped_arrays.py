"""Arrays in one file: what was saved is mapped, other tools read it too, and a damaged file is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from transferlm.counts.mapped_arrays import map_arrays, save_arrays
from transferlm.errors import ModelFolderError

ARRAYS = {
    "bytes": np.arange(7, dtype=np.uint8),
    "rows": np.arange(12, dtype=np.uint32).reshape(3, 4),
    "places": np.array([-1, 5], dtype=np.int64),
    "weights": np.array([0.5, -np.inf], dtype=np.float32),
    "nothing": np.zeros((0, 3), dtype=np.float64),
}


def test_saved_and_mapped_they_are_the_same(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", ARRAYS)
    found = map_arrays(tmp_path / "a")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
        assert not array.size or not found[name].flags.writeable
        assert not array.size or found[name].flags.aligned


def test_other_tools_read_the_file(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", ARRAYS)
    found = load_file(tmp_path / "a")
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_mapped_arrays_can_be_saved_again(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", ARRAYS)
    save_arrays(tmp_path / "b", map_arrays(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("cut", [0, 4, 20, 200, -1])
def test_a_file_cut_short_is_told(cut: int, tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", ARRAYS)
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:cut])
    with pytest.raises(ModelFolderError, match="copy it again"):
        map_arrays(tmp_path / "a")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"[3, 4]", b"[9, 4]"), (b"[3, 4]", b"[-3,4]"), (b'"U32"', b'"I32"'), (b"data_offsets", b"data_0ffsets")],
)
def test_a_header_that_lies_is_told(old: bytes, new: bytes, tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", ARRAYS)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes().replace(old, new, 1))
    with pytest.raises(ModelFolderError, match="copy it again"):
        map_arrays(tmp_path / "a")
