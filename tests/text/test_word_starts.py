"""Where words begin, in scripts with and without spaces, whatever tokenizer wrote the text."""

from __future__ import annotations

import itertools
import sys
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferlm.errors import UnsupportedError
from transferlm.text.tokenizers import BytePair, Character
from transferlm.text.units import unit_offsets
from transferlm.text.word_starts import begins_word, word_starts

CHINESE = "使用语言模型来预测下一个词"
WORDS = ["使用", "语言", "模型", "来", "预测", "下", "一个", "词"]
"""As jieba cuts the sentence that Cui et al. (2021, table 1) show."""


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segmenter that knows these words: the real one need not be installed."""

    def cut(text: str) -> list[str]:
        found = []
        while text:
            word = next((w for w in WORDS if text.startswith(w)), text[0])
            found.append(word)
            text = text[len(word) :]
        return found

    monkeypatch.setitem(sys.modules, "rjieba", SimpleNamespace(cut=cut))


def words(text: str) -> list[str]:
    places = np.flatnonzero(word_starts(text)).tolist()
    return [text[start:stop] for start, stop in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("the naïve film_3", ["the", " ", "naïve", " ", "film", "_", "3"]),
        ("don't", ["don", "'", "t"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("हिन्दी 한국어", ["हिन्दी", " ", "한국어"]),
        ("へ行く", ["へ", "行", "く"]),
        ("ที่นี่ བོད་ཡིག ｶﾅー", ["ที่", "นี่", " ", "བོད", "་", "ཡིག", " ", "ｶ", "ﾅ", "ー"]),
        ("ab1c", ["ab1c"]),
        ("a", ["a"]),
        ("", []),
    ],
)
def test_letters_and_digits_are_words_and_signs_stand_alone(text: str, wanted: list[str]) -> None:
    assert words(text) == wanted


def test_chinese_is_cut_by_the_segmenter(segmenter: None) -> None:
    assert words(f"{CHINESE}。a {CHINESE[:4]}b") == [*WORDS, "。", "a", " ", *WORDS[:2], "b"]


def test_the_real_segmenter_knows_these_words() -> None:
    pytest.importorskip("rjieba")
    assert words(CHINESE) == WORDS


def test_every_letter_begins_a_unit_where_it_begins_a_word() -> None:
    """Over all of Unicode: scripts without spaces and marks are one definition."""
    characters = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] in "LNM"]
    text = " ".join(f"a{c}" if unicodedata.category(c)[0] == "M" else f"a{c}a" for c in characters)
    begins = [start for start in np.flatnonzero(word_starts(text)[:-1]).tolist() if text[start] != " "]
    assert begins == unit_offsets(text)[:, 0].tolist()


def test_without_the_segmenter_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rjieba", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'transferlm\[chinese\]'") as error:
        word_starts(CHINESE)
    assert "\n" not in str(error.value)
    assert words("一 film") == ["一", " ", "film"], "a character on its own needs none"


@given(st.text(alphabet="ab é\u0301-3使用语言", max_size=30))
def test_every_character_is_in_one_word(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "rjieba", SimpleNamespace(cut=lambda run: [run[:2], run[2:]]))
        assert "".join(words(text)) == text


def test_tokens_go_on_with_a_word_that_the_one_before_began(segmenter: None) -> None:
    text = "unhappy films"
    letters = Character().fit([text])
    found = begins_word(text, letters.encode([text])[0].offsets)
    assert np.flatnonzero(found).tolist() == [0, 7, 8]
    # The second token ends the word that the first one began, and (model) is in two.
    assert begins_word("使用语言模型", np.array([[0, 3], [3, 4], [4, 5], [5, 6]])).tolist() == [
        True,
        False,
        True,
        False,
    ]


def test_bytes_of_one_character_belong_together(segmenter: None) -> None:
    tokenizer = BytePair(vocabulary_size=260).fit(["x"])
    text = "é 使用"
    tokens = tokenizer.encode([text])[0]
    assert len(tokens) == 9
    assert np.flatnonzero(begins_word(text, tokens.offsets)).tolist() == [0, 2, 3]
    assert begins_word("a bad", np.array([[0, 1], [2, 2], [2, 5]])).tolist() == [True, True, False], "a trimmed space"
    assert begins_word("", np.zeros((0, 2), np.int32)).shape == (0,)
