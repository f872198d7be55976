"""Rows of token ids: the same ones again from the file, each with its own length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transferlm.errors import DataError, SettingError
from transferlm.text.token_rows import token_rows
from transferlm.text.tokenizers.character import Character
from transferlm.text.tokenizers.pretrained import Pretrained


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


def test_pieces_leave_nothing_off(bert_folder: Path) -> None:
    tokenizer = Pretrained(folder=str(bert_folder))
    text = "the film was good and lovely , the room bright"
    whole = tokenizer.encode([text])[0].ids
    pieces = list(tokenizer.pieces([text, "", "film"], max_length=6))
    assert all(len(piece) <= 6 for piece in pieces)
    assert all((piece[0], piece[-1]) == (whole[0], whole[-1]) for piece in pieces)
    assert np.array_equal(np.concatenate([piece[1:-1] for piece in pieces[:-1]]), whole[1:-1])
    assert len(pieces[-1]) == 3


def test_pieces_without_special_tokens() -> None:
    tokenizer = Character().fit(["abc"])
    assert [len(piece) for piece in tokenizer.pieces(["abcab"], 2)] == [2, 2, 1]


def test_pieces_need_room(bert_folder: Path) -> None:
    with pytest.raises(SettingError, match="give 3 or more"):
        list(Pretrained(folder=str(bert_folder)).pieces(["film"], 2))


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
