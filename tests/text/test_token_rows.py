"""Rows of token ids: the same ones again from the file, each with its own length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transferlm.errors import DataError
from transferlm.text.token_rows import token_rows


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    wanted = [np.arange(n, dtype=np.int32) for n in (3, 1, 0, 5)]
    rows = token_rows("abcd", lambda texts: [wanted["abcd".index(text)] for text in texts], "key", tmp_path)
    assert rows.lengths.tolist() == [3, 1, 0, 5]
    assert len(rows) == 4
    assert all(np.array_equal(row, own) for row, own in zip(rows, wanted, strict=True))


def test_text_is_tokenised_once(tmp_path: Path) -> None:
    seen: list[str] = []

    def write(texts: object) -> list[np.ndarray]:
        seen.extend(texts)  # type: ignore[call-overload]
        return [np.zeros(1, dtype=np.int32) for _ in texts]  # type: ignore[attr-defined]

    for key in ("one", "one", "two"):
        token_rows(["a", "b"], write, key, tmp_path)
    assert seen == ["a", "b"] * 2
    assert not list(tmp_path.glob("*.partial"))


def test_an_interruption_leaves_nothing_half_written(tmp_path: Path) -> None:
    def broken(texts: object) -> list[np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        token_rows(["a"], broken, "key", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(token_rows(["a"], lambda _: [np.ones(2, dtype=np.int32)], "key", tmp_path)) == 1


def test_no_row_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no token to learn from"):
        token_rows(["a"], lambda _: [], "key", tmp_path)


@pytest.mark.parametrize("ending", [".ids", ".starts"])
@pytest.mark.parametrize("kept", [0, 4, 10, -4, -8, None])
def test_files_that_were_cut_off_or_lost_are_written_anew(ending: str, kept: int | None, tmp_path: Path) -> None:
    def read() -> list[list[int]]:
        rows = token_rows(
            ["a", "b"], lambda _: [np.arange(3, dtype=np.int32), np.arange(2, dtype=np.int32)], "key", tmp_path
        )
        return [row.tolist() for row in rows]

    told = read()
    (path,) = (path for path in tmp_path.iterdir() if path.name.endswith(ending))
    whole = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(whole[:kept])
    assert read() == told == [[0, 1, 2], [0, 1]]
