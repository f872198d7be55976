"""Texts and pairs as rows: special tokens as the pretrained tokenizer puts them, long texts cut or read on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferlm.errors import SettingError
from transferlm.text.framing import Frame, Window, flat, framed, parts, shares_read
from transferlm.text.tokenizers.character import Character
from transferlm.text.tokenizers.pretrained import Pretrained

ROBERTA = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "Ġa": 7, "Ġb": 8, "Ġ": 9}


@pytest.fixture
def roberta(tmp_path: Path) -> Path:
    """A RoBERTa tokenizer of four pieces, as `transformers` saves it."""
    from transformers import RobertaTokenizerFast

    (tmp_path / "vocab.json").write_text(json.dumps(ROBERTA))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ a\nĠ b\n")
    RobertaTokenizerFast(vocab=str(tmp_path / "vocab.json"), merges=str(tmp_path / "merges.txt")).save_pretrained(
        tmp_path / "saved"
    )
    return tmp_path / "saved"


def rows_of(folder: Path, texts: list[Any], max_length: int = 64, whole: bool = False) -> list[Window]:
    tokenizer = Pretrained(str(folder))
    return framed(texts, tokenizer, tokenizer.frame, max_length, whole)


PAIRS: list[Any] = [("the film was good", "a warm story"), ("good", "the room was cold and the staff was poor")]


def test_a_pair_is_encoded_as_bert_does(bert_folder: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(bert_folder)
    for pair, row in zip(PAIRS, rows_of(bert_folder, PAIRS), strict=True):
        wanted = theirs(*pair, return_offsets_mapping=True)
        assert row.ids.tolist() == wanted["input_ids"]
        assert row.types is not None
        assert row.types.tolist() == wanted["token_type_ids"]
        second = [place for place, part in enumerate(wanted.sequence_ids()) if part == 1]
        assert row.start == second[0]
        assert [tuple(o) for o in row.offsets.tolist()] == [wanted["offset_mapping"][place] for place in second]
        assert row.sees_all == 0


def test_a_pair_is_encoded_as_roberta_does(roberta: Path) -> None:
    from transformers import AutoTokenizer

    row = rows_of(roberta, [("a b", "b a")])[0]
    assert row.ids.tolist() == AutoTokenizer.from_pretrained(roberta)("a b", "b a")["input_ids"]
    assert np.count_nonzero(row.ids == 2) == 3, "RoBERTa parts a pair by two separators and ends it with one"
    assert row.types is None


def test_a_single_text_is_what_encode_gives(bert_folder: Path) -> None:
    texts = ["the film was good", "", "story " * 100]
    tokenizer = Pretrained(str(bert_folder))
    for row, tokens in zip(rows_of(bert_folder, texts, 16), tokenizer.encode(texts, 16), strict=True):
        assert np.array_equal(row.ids, tokens.ids)
        assert np.array_equal(row.offsets, tokens.offsets[1:-1])


def test_the_longer_text_of_a_pair_is_cut_first(bert_folder: Path) -> None:
    long, short = "film " * 50, "good room"
    (row,) = rows_of(bert_folder, [(long, short)], 20)
    assert len(row.ids) == 20
    assert len(row.offsets) == 2
    (row,) = rows_of(bert_folder, [(short, long)], 20)
    assert len(row.ids) == 20
    assert row.start == 4
    (row,) = rows_of(bert_folder, [(long, long)], 21)
    assert (row.start, len(row.offsets)) == (11, 9)


@pytest.fixture(scope="module")
def letters() -> Character:
    return Character().fit(["abcdefghijklmnopqrstuvwxyz"])


def letter_rows(letters: Character, text: Any, max_length: int) -> list[Window]:
    end = np.array([letters.end_id], dtype=np.int32)

    def frame(pair: bool) -> Frame:
        return Frame(end, end if pair else end[:0], end, sees_last=True)

    return framed([text], letters, frame, max_length, whole=True)


@given(st.text("abcdefgh", max_size=200), st.integers(4, 40), st.text("xyz", max_size=30))
def test_every_token_of_a_long_text_is_read(letters: Character, text: str, max_length: int, first: str) -> None:
    for given_text in (text, (first, text)):
        rows = letter_rows(letters, given_text, max_length)
        assert all(len(row.ids) <= max_length for row in rows)
        assert {int(start) for row in rows for start in row.offsets[:, 0]} == set(range(len(text)))
        for row in rows:
            inner = row.ids[row.start : row.start + len(row.offsets)]
            assert letters.decode(inner) == "".join(text[start] for start in row.offsets[:, 0])
            assert row.sees_all == len(row.ids) - 1
        for one, other in itertools.pairwise(rows):
            shared = len(set(one.offsets[:, 0]) & set(other.offsets[:, 0]))
            assert shared >= len(one.offsets) // 4, "windows share a quarter of their tokens"


def test_the_first_text_stands_in_every_row_and_takes_at_most_half(letters: Character) -> None:
    rows = letter_rows(letters, ("why", "abcdef" * 20), 23)
    assert all(letters.decode(row.ids[1:4]) == "why" for row in rows)
    rows = letter_rows(letters, ("why" * 20, "abcdef" * 20), 23)
    assert {row.start for row in rows} == {12}
    assert shares_read([("why" * 20, "abcdef" * 20)], rows)[0] == pytest.approx((10 + 120) / 180)


def test_room_for_one_token_goes_to_the_second_text(letters: Character) -> None:
    pair = ("why", "abcdef")
    rows = letter_rows(letters, pair, 4)
    assert [letters.decode(row.ids[2:3]) for row in rows] == list("abcdef")
    assert shares_read([pair], rows)[0] == pytest.approx(6 / 9), "of the first text nothing is read"


def test_what_was_read_is_told(bert_folder: Path) -> None:
    texts: list[Any] = ["film " * 100, "good", "", ("good", "film " * 100)]
    cut = shares_read(texts, rows_of(bert_folder, texts, 12))
    assert cut[0] == pytest.approx((10 * 5 - 1) / 500)
    assert cut[1:3].tolist() == [1, 1]
    assert cut[3] < 0.2
    assert shares_read(texts, rows_of(bert_folder, texts, 12, whole=True)).tolist() == [1, 1, 1, 1]


def test_no_room_for_text_is_refused(bert_folder: Path) -> None:
    with pytest.raises(SettingError, match="max_length 3 leaves no room for text: give 4 or more"):
        rows_of(bert_folder, [("a", "b")], 3)


def test_a_pair_can_be_had_as_two_or_as_one() -> None:
    assert parts("a") == ("", "a")
    assert parts(("a", "b")) == ("a", "b")
    assert flat(("a", "b")) == "a\nb"


def test_a_tokenizer_without_a_template_parts_a_pair_by_its_end_mark(letters: Character) -> None:
    frame = letters.frame(pair=True)
    assert (frame.prefix.tolist(), frame.middle.tolist(), frame.suffix.tolist()) == ([], [letters.end_id], [])
