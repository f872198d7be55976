"""A lexicon finds the words of any text, numbers them by their bytes, and survives damaged arrays."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.text.lexicon import BEGIN, END, FIRST_WORD, UNKNOWN, Lexicon, ReservedWordError, Symbols

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
NEARLY_WHITE_SPACE = "\x1c\x1f\x84\xa1\u1681\u180e\u200b\u2027\u202a\u2030\u2060\u205e\u3001\ufeff\ue000\u2080\x00"

letter = st.sampled_from("ab<>é\U0001f600\ud800" + WHITE_SPACE[4:9] + WHITE_SPACE[-3:] + NEARLY_WHITE_SPACE[-9:])
some_texts = st.lists(st.text(letter, max_size=40), max_size=8)


def words_of(text: str, unit: str) -> list[tuple[int, int]]:
    """Beginnings and ends of the words, slowly."""
    if unit == "character":
        return [(i, i + 1) for i in range(len(text))]
    spaces = [-1, *(i for i, character in enumerate(text) if character in WHITE_SPACE), len(text)]
    return [(a + 1, b) for a, b in itertools.pairwise(spaces) if b > a + 1]


def as_bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")


def decoded(lexicon: Lexicon, symbols: Symbols) -> list[list[str]]:
    borders = zip(symbols.starts, symbols.starts[1:], strict=False)
    return [[lexicon.word(symbol) for symbol in symbols.ids[a:b].tolist()] for a, b in borders]


def same(a: Lexicon, b: Lexicon) -> bool:
    return a.unit == b.unit and all(np.array_equal(x, b.arrays()[name]) for name, x in a.arrays().items())


@pytest.mark.parametrize("unit", ["word", "character"])
@given(texts=some_texts)
@settings(max_examples=150, deadline=None)
def test_texts_come_back_from_their_numbers(unit: str, texts: list[str]) -> None:
    lexicon, symbols = Lexicon.build(texts, unit)
    words = [[text[a:b] for a, b in words_of(text, unit)] for text in texts]
    assert decoded(lexicon, symbols) == [["<s>", *row, "</s>"] for row in words]
    assert list(lexicon) == sorted({word for row in words for word in row}, key=as_bytes)
    assert symbols.ids.dtype == np.uint32
    assert symbols.starts.dtype == np.int64
    again = lexicon.encode(texts)
    assert np.array_equal(again.ids, symbols.ids)
    assert np.array_equal(again.starts, symbols.starts)


@pytest.mark.parametrize("unit", ["word", "character"])
@given(known=some_texts, texts=some_texts)
@settings(max_examples=100, deadline=None)
def test_offsets_and_unknown_words_are_those_of_the_text(unit: str, known: list[str], texts: list[str]) -> None:
    lexicon, _ = Lexicon.build(known, unit)
    symbols = lexicon.encode(texts, offsets=True)
    places = [[*words_of(text, unit), (len(text), len(text))] for text in texts]
    assert symbols.offsets is not None
    assert symbols.offsets.dtype == np.int32
    assert symbols.offsets.tolist() == [list(place) for row in places for place in row]
    known_words = set(lexicon)
    words = [text[a:b] for text in texts for a, b in words_of(text, unit)]
    assert lexicon.unknown_words(texts) == [word for word in words if word not in known_words]
    assert (symbols.ids == UNKNOWN).sum() == sum(word not in known_words for word in words)


@given(texts=some_texts, seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_order_of_texts_leaves_no_trace(texts: list[str], seed: int) -> None:
    shuffled = [texts[i] for i in np.random.default_rng(seed).permutation(len(texts))]
    one, other = Lexicon.build(texts)[0], Lexicon.build(shuffled)[0]
    assert list(one) == list(other)
    assert one.hash == other.hash
    assert same(one, Lexicon.of(reversed(list(one))))


@given(first=some_texts, second=some_texts)
@settings(max_examples=100, deadline=None)
def test_a_union_has_the_words_of_both_in_order(first: list[str], second: list[str]) -> None:
    one, other = Lexicon.build(first)[0], Lexicon.build(second)[0]
    both, mine, theirs = one.union(other)
    assert same(both, Lexicon.build([*second, *first])[0])
    for lexicon, numbers in ((one, mine), (other, theirs)):
        assert numbers.dtype == np.uint32
        assert [both.word(number) for number in numbers[1:]] == [lexicon.word(i) for i in range(1, lexicon.size)]
        assert (np.diff(numbers.astype(int)) > 0).all()


@pytest.mark.parametrize("unit", ["word", "character"])
@given(texts=some_texts)
@settings(max_examples=50, deadline=None)
def test_decoding_writes_the_words_as_the_unit_parts_them(unit: str, texts: list[str]) -> None:
    lexicon, symbols = Lexicon.build(texts, unit)
    for text, begin, end in zip(texts, symbols.starts, symbols.starts[1:], strict=False):
        words = [text[a:b] for a, b in words_of(text, unit)]
        assert lexicon.decode(symbols.ids[begin:end]) == (" ".join(words) if unit == "word" else text)
    assert lexicon.decode([UNKNOWN]) == "<unk>"


def test_lexicons_of_different_units_have_no_union() -> None:
    with pytest.raises(SettingError, match="can't be put together"):
        Lexicon.of(["a"]).union(Lexicon.of(["a"], "character"))


def test_words_come_by_bytes_however_long_their_common_beginning() -> None:
    words = ["abcdefgh" + end for end in ("z", "", "\0", "\0\0", "é", "aa", "a")] + [
        "b",
        "abcdefg",
        "abcdefg\0",
        "a\0b",
    ]
    lexicon, _ = Lexicon.build([" ".join(words)])
    assert list(lexicon) == sorted(words, key=as_bytes)
    assert [lexicon.id_of(word) for word in lexicon] == list(range(FIRST_WORD, lexicon.size))


@pytest.mark.parametrize("character", WHITE_SPACE)
def test_every_white_space_character_parts_words(character: str) -> None:
    assert list(Lexicon.build([f"a{character}b{character}"])[0]) == ["a", "b"]


@pytest.mark.parametrize("character", NEARLY_WHITE_SPACE)
def test_other_blank_characters_part_nothing(character: str) -> None:
    assert list(Lexicon.build([f"a{character}b"])[0]) == [f"a{character}b"]


def test_texts_may_hold_newlines_and_may_be_empty() -> None:
    lexicon, symbols = Lexicon.build(["a\nb", "", " \n", "a"])
    assert symbols.ids.tolist() == [BEGIN, 4, 5, END, BEGIN, END, BEGIN, END, BEGIN, 4, END]
    assert symbols.starts.tolist() == [0, 4, 6, 8, 11]
    assert lexicon.encode([]).starts.tolist() == [0]
    assert lexicon.encode([], offsets=True).offsets.shape == (0, 2)  # type: ignore[union-attr]
    assert len(Lexicon.build([])[0]) == 0


def test_the_word_for_unknown_is_unknown_and_no_word() -> None:
    lexicon, symbols = Lexicon.build(["a <unk> a"])
    assert symbols.ids.tolist() == [BEGIN, 4, UNKNOWN, 4, END]
    assert list(lexicon) == ["a"]
    assert [lexicon.id_of(word) for word in ("<s>", "</s>", "<unk>", "no", "")] == [
        BEGIN,
        END,
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
    ]


@pytest.mark.parametrize("mark", ["<s>", "</s>"])
def test_a_mark_of_beginning_or_end_in_a_text_is_refused(mark: str, tmp_path: Path) -> None:
    texts = (f"a {mark} b" if i == 1_200_000 else "" for i in range(1_200_002))
    with pytest.raises(DataError, match=r"text 1,200,001 holds <s> or </s>"):
        Lexicon.build(texts, into=tmp_path, memory=0)
    assert not list(tmp_path.iterdir())
    assert list(Lexicon.build([f"a{mark}"])[0]) == [f"a{mark}"]
    assert Lexicon.of(["a"]).encode([mark]).ids.tolist() == [BEGIN, UNKNOWN, END]
    assert len(Lexicon.build([mark], "character")[0]) == len(mark)


def test_what_a_reserved_word_is_told_by_parts_words_as_the_lexicon_does() -> None:
    assert not ReservedWordError.concerns("a <s>\x1cb")
    assert list(Lexicon.build(["a <s>\x1cb"])[0]) == ["<s>\x1cb", "a"]
    for space in " \t\u00a0\u3000":
        assert ReservedWordError.concerns(f"a{space}<s>{space}b")


def test_numbers_are_the_same_on_disk_and_in_memory(tmp_path: Path) -> None:
    texts = [f"w{i % 7919} shared w{i * 31 % 104729}" for i in range(150_000)]
    lexicon, symbols = Lexicon.build(texts)
    stored, on_disk = Lexicon.build(iter(texts), into=tmp_path / "deep", memory=100_000)
    assert isinstance(on_disk.ids, np.memmap)
    assert same(lexicon, stored)
    assert np.array_equal(symbols.ids, on_disk.ids)
    assert np.array_equal(symbols.starts, on_disk.starts)
    assert np.array_equal(symbols.ids, lexicon.encode(texts).ids)
    assert len(lexicon) > 10_000


def test_a_word_of_ten_million_characters_is_a_word() -> None:
    text = "é" * 10_000_000 + " b"
    lexicon, symbols = Lexicon.build([text, "b"])
    assert symbols.ids.tolist() == [BEGIN, 5, 4, END, BEGIN, 4, END]
    assert len(lexicon.word(5)) == 10_000_000
    assert lexicon.encode([text], offsets=True).offsets.tolist() == [  # type: ignore[union-attr]
        [0, 10_000_000],
        [10_000_001, 10_000_002],
        [10_000_002, 10_000_002],
    ]


def test_keep_drops_words_and_says_where_the_others_went() -> None:
    lexicon = Lexicon.of(["a", "b", "c"])
    used = np.zeros(lexicon.size, bool)
    used[[4, 6]] = True
    kept, numbers = lexicon.keep(used)
    assert same(kept, Lexicon.of(["a", "c"]))
    assert numbers.tolist() == [0, BEGIN, END, UNKNOWN, 4, UNKNOWN, 5]
    with pytest.raises(ValueError, match="one value a symbol"):
        lexicon.keep(used[1:])


def test_words_given_one_by_one_are_checked() -> None:
    for word in ("", "<s>", "</s>", "<unk>"):
        with pytest.raises(DataError, match="can't be a word"):
            Lexicon.of(["a", word])
    assert list(Lexicon.of(["b", "a b", "b"])) == ["a b", "b"]


def test_wrong_settings_are_named() -> None:
    with pytest.raises(SettingError, match="did you mean 'word'"):
        Lexicon.build(["a"], "words")
    with pytest.raises(TypeError, match=r"give \[text\]"):
        Lexicon.of(["a"]).encode("text")
    with pytest.raises(IndexError):
        Lexicon.of(["a"]).word(5)
    with pytest.raises(IndexError):
        Lexicon.of(["a"]).word(0)


def test_a_lexicon_opens_from_memory_maps(tmp_path: Path) -> None:
    lexicon = Lexicon.of(["a", "bc", "é"])
    for name, array in lexicon.arrays().items():
        np.save(tmp_path / name, array)
    opened = Lexicon.from_arrays("word", {n: np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in lexicon.arrays()})
    assert opened.hash == lexicon.hash
    assert opened.encode(["é bc a x"]).ids.tolist() == [BEGIN, 6, 5, 4, UNKNOWN, END]


def test_the_hash_tells_words_and_units_apart() -> None:
    lexicons = [Lexicon.of(["a", "b"]), Lexicon.of(["ab"]), Lexicon.of(["a", "b"], "character"), Lexicon.of([])]
    assert len({lexicon.hash for lexicon in lexicons}) == 4


def test_damaged_arrays_are_refused() -> None:
    arrays = Lexicon.of(["a", "bc"]).arrays()
    damaged = [
        {"letters": arrays["letters"][:-1]},
        {"letters": arrays["letters"].astype(np.int8)},
        {"letters": arrays["letters"][None]},
        {"ends": np.array([1, 4])},
        {"ends": arrays["ends"][:-1]},
        {"ends": arrays["ends"][:0]},
        {"ends": arrays["ends"].astype(">i8")},
        {"slots": arrays["slots"][:-1]},
        {"slots": arrays["slots"][:0]},
        {"slots": arrays["slots"][:2]},
        {"slots": np.repeat(arrays["slots"], 2)[::2]},
    ]
    for change in damaged:
        with pytest.raises(ModelFolderError):
            Lexicon.from_arrays("word", {**arrays, **change})
    with pytest.raises(ModelFolderError, match="no slots"):
        Lexicon.from_arrays("word", {name: arrays[name] for name in ("letters", "ends")})
    with pytest.raises(ModelFolderError, match="unit is 'byte'"):
        Lexicon.from_arrays("byte", arrays)


@pytest.mark.parametrize("first", [3, 0, -1, 4, np.iinfo(np.int64).min, np.iinfo(np.int64).max])
def test_damaged_ends_are_refused_when_they_are_first_relied_on(first: int) -> None:
    arrays = Lexicon.of(["a", "bc"]).arrays()
    whole = Lexicon.of(["a"])
    asks = [
        lambda lexicon: lexicon.encode(["a"]),
        lambda lexicon: lexicon.id_of("bc"),
        lambda lexicon: lexicon.union(whole),
        whole.union,
        lambda lexicon: lexicon.keep(np.ones(lexicon.size, bool)),
    ]
    for ask in asks:
        lexicon = Lexicon.from_arrays("word", {**arrays, "ends": np.array([first, 3])})
        with pytest.raises(ModelFolderError, match="do not fit its letters"):
            ask(lexicon)
        assert all(isinstance(word, str) for word in lexicon)
        assert len(lexicon.hash) == 64


@given(letters=st.binary(min_size=8, max_size=8), slots=st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8))
@settings(max_examples=100, deadline=None)
def test_hostile_letters_and_slots_never_crash(letters: bytes, slots: list[int]) -> None:
    arrays = {
        "letters": np.frombuffer(letters, np.uint8),
        "ends": np.array([1, 3, 4, 8]),
        "slots": np.array([slot if slot % 3 else slot % 7 for slot in slots], np.uint32),
    }
    lexicon = Lexicon.from_arrays("word", arrays)
    assert (lexicon.encode(["a b abc"]).ids < lexicon.size).all()
    both, mine, _ = lexicon.union(Lexicon.of(["a", "b"]))
    assert (mine < both.size).all()
    for symbol in range(FIRST_WORD, lexicon.size):
        try:
            lexicon.word(symbol)
        except ModelFolderError:
            continue


def test_symbols_are_not_affected_by_where_windows_end() -> None:
    long = ["x " * 700_000, "y " * 700_000, *["z x"] * 10]
    lexicon, symbols = Lexicon.build(long)
    assert np.diff(symbols.starts).tolist() == [700_002, 700_002, *[4] * 10]
    assert lexicon.unknown_words([*long, "q", *long, "r"]) == ["q", "r"]
