"""CoNLL columns: sentences, Chinese by character, segment numbers, and what is wrong with a line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferlm.errors import DataError
from transferlm.text.conll import joined, read_columns
from transferlm.text.units import spaceless, unit_offsets, word_offsets


def write(folder: Path, text: str) -> Path:
    path = folder / "data.conll"
    path.write_text(text, encoding="utf-8")
    return path


def test_sentences_end_with_an_empty_line_and_know_their_place(tmp_path: Path) -> None:
    path = write(tmp_path, "-DOCSTART- -X- O\n\nNew NNP B-LOC\nYork NNP I-LOC\n\t\nfell VBD O\n")
    found = read_columns(path)
    assert [(s.line, s.tokens, s.tags) for s in found.sentences] == [
        (3, ["New", "York"], ["B-LOC", "I-LOC"]),
        (6, ["fell"], ["O"]),
    ]
    assert not found.by_character
    assert read_columns(path, tag_column=1).sentences[0].tags == ["NNP", "NNP"]


def test_tabs_part_columns_so_that_a_token_may_hold_a_space(tmp_path: Path) -> None:
    found = read_columns(write(tmp_path, "New York\tB-LOC\nfell\tO\n"))
    assert found.sentences[0].tokens == ["New York", "fell"]


def test_chinese_by_character_is_joined_without_spaces(tmp_path: Path) -> None:
    found = read_columns(write(tmp_path, "北 B-LOC\n京 I-LOC\nO O\nK O\n"))
    assert found.by_character
    assert joined(found.sentences[0].tokens, True) == ("北京OK", [0, 1, 2, 3])
    assert joined(["a", "bc"], False) == ("a bc", [0, 2])


def test_segment_numbers_are_taken_off_and_that_is_said(tmp_path: Path) -> None:
    found = read_columns(write(tmp_path, "北0\tB-LOC\n京1\tI-LOC\n210\tO\n\ufffd\ufffd0\tO\n"))
    assert found.sentences[0].tokens == ["北", "京", "2", "\ufffd\ufffd"]
    assert any("taken off" in note for note in found.notes)
    assert read_columns(write(tmp_path, "A1 O\nB2 O\n")).sentences[0].tokens == ["A1", "B2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\nb X O\n", r"line 2: 3 columns, where the lines before have 2"),
        ("a O\nb\n", r"line 2: 1 columns, where the lines before have 2"),
        ("\n\n", "there is no sentence"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_columns(write(tmp_path, text))


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: there is no column 3: the line has 2"):
        read_columns(write(tmp_path, "a O\n"), tag_column=3)


def test_units_are_words_signs_and_characters_of_scripts_without_spaces() -> None:
    text = "naïve e\u0301te3 北京。カナ हिन्दी don't_x 10%"
    found = [text[start:end] for start, end in unit_offsets(text)]
    assert found == ["naïve", "e\u0301te3", "北", "京", "。", "カ", "ナ", "हिन्दी", "don", "'", "t_x", "10", "%"]
    text = "ที่นี่ བོད་ཡིག ｶﾅ"
    found = [text[start:end] for start, end in unit_offsets(text)]
    assert found == ["ที่", "นี่", "བོད", "་", "ཡིག", "ｶ", "ﾅ"], "marks belong to the letter before them"
    assert unit_offsets("  ").shape == (0, 2)
    assert spaceless("abc 北")
    assert not spaceless("naïve привет")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("U.S.-led (e.g. Ada's), Inc. U.S.'s", "U.S.-led|(|e.g.|Ada|'s|)|,|Inc|.|U.S.|'s"),
        ("www.x.de. file.py. Ph.D.", "www.x.de|.|file.py|.|Ph.D."),
        ("@ada_l: #x, # 5.50$ 12.5. a...", "@ada_l|:|#x|,|#|5.50|$|12.5|.|a|.|.|."),
        ("“O’Neill’s” rock'n'roll \"Time\"'s 's", "“|O’Neill|’s|”|rock'n'roll|\"|Time|\"|'s|'s"),
        ("Ajax(NED) York—Rome end…Start http://t.co/x?y=1", "Ajax|(|NED|)|York|—|Rome|end|…|Start|http://t.co/x?y=1"),
        (":-| ... --Ada-- __x__", ":-||...|-|-|Ada|-|-|__x__"),
        ("中国GDP增长5.2%，U.S.（A股）北京's", "中|国|GDP|增|长|5.2|%|，|U.S.|（|A|股|）|北|京|'s"),
        ("cafe\u0301's हिन्दी। 👩‍👩‍👧!", "cafe\u0301|'s|हिन्दी|।|👩‍👩‍👧!"),
        (" \n", ""),
    ],
)
def test_words_stand_between_spaces_less_the_signs_at_their_ends(text: str, words: str) -> None:
    assert "|".join(text[start:end] for start, end in word_offsets(text)) == words


@given(st.text(alphabet="aB1_ .,'’@#-()北，\u0301👍"))
def test_words_are_whole_units_put_together(text: str) -> None:
    words, units = word_offsets(text), unit_offsets(text)
    assert set(words[:, 0].tolist()) <= set(units[:, 0].tolist())
    assert set(words[:, 1].tolist()) <= set(units[:, 1].tolist())
    assert (words[1:, 0] >= words[:-1, 1]).all()
    assert all(any(a <= start and end <= b for a, b in words) for start, end in units)
    assert not any(letter.isspace() for start, end in words for letter in text[start:end])


def test_a_row_of_signs_does_not_hold_words_up() -> None:
    started = time.process_time()
    assert len(word_offsets("Chapter " + "x" + "." * 20_000)) == 20_002
    assert time.process_time() - started < 2
