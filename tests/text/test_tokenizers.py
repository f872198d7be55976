"""Tokens point at the characters they came from, vocabularies repeat, and byte pairs give every string back."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.text.tokenizers import BytePair, Character, Pretrained, Word
from transferlm.text.tokenizers.base import Tokenizer

TEXTS = [
    "the cat sat on the mat .",
    "the dog , it 's <unk> , saw the cat",
    "这家酒店很好 ， 房间也很好",
    "Straße café cafe\u0301 👩‍👩‍👧 2024 年 iPhone15 很好",
]
TRICKY = "Ünïcode e\u0301 👩‍👩‍👧 中文123abc İstanbul\t的 <unk> [SEP] <pad token> </s>"

UNKNOWN_SETTING = '{"transferlm": {"tokenizer": "word", "hyper_parameters": {"x": 1}}}'

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "cat",
    "sat",
    "##s",
    "很",
    "好",
    "e",
    "a",
    "cafe",
    "1",
    "##5",
]


def pieces(tokenizer: Tokenizer, text: str, max_length: int | None = None) -> list[str]:
    tokens = tokenizer.encode([text], max_length)[0]
    return [text[start:end] for start, end in tokens.offsets]


def ours() -> list[Any]:
    return [Word(), Word(punctuation=True, lowercase=True), Character(), BytePair(vocabulary_size=300)]


@pytest.fixture(scope="module")
def byte_pair() -> BytePair:
    return BytePair(vocabulary_size=320).fit(TEXTS * 5)


@pytest.fixture
def wordpiece(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return tmp_path


# ---------------------------------------------------------------- vocabularies


def test_words_are_ordered_by_frequency_then_string() -> None:
    tokenizer = Word().fit(["b a b c <unk> c", "d d d </s>"])
    assert tokenizer.vocabulary == ["<pad token>", "<unk>", "<s>", "</s>", "d", "b", "c", "a"]
    assert Word(minimum_count=2).fit(["b a b c c"]).vocabulary[4:] == ["b", "c"]
    assert Word(vocabulary_size=6).fit(["b a b c c d d d"]).vocabulary[4:] == ["d", "b"]


def test_a_word_outside_the_vocabulary_and_a_written_unk_are_the_same_token() -> None:
    tokenizer = Word().fit(["the cat"])
    tokens = tokenizer.encode(["the <unk> dog </s>"])[0]
    assert tokens.ids.tolist() == [5, tokenizer.unknown_id, tokenizer.unknown_id, tokenizer.end_id]
    assert tokenizer.decode(tokens.ids) == "the <unk> <unk>"


def test_punctuation_and_case() -> None:
    tokenizer = Word(punctuation=True, lowercase=True).fit(["Don't stop, <unk>! 很好。"])
    assert pieces(tokenizer, "Don't stop, <unk>! 很好。") == ["Don", "'", "t", "stop", ",", "<unk>", "!", "很好", "。"]
    assert tokenizer.encode(["DON"])[0].ids.tolist() == tokenizer.encode(["don"])[0].ids.tolist()
    assert tokenizer.encode(["x <unk>"])[0].ids.tolist() == [tokenizer.unknown_id] * 2


def test_characters_are_ordered_and_written_as_the_library_does() -> None:
    tokenizer = Character().fit(["cabab", "很 好"])
    assert tokenizer.vocabulary[4:] == ["a", "b", " ", "c", "好", "很"]
    fitted = Character().fit(TEXTS)
    for text in [*TEXTS, TRICKY, "", "𝔘unknown"]:
        tokens = fitted.encode([text])[0]
        library = fitted._ready().encode(text)
        assert tokens.ids.tolist() == library.ids
        assert tokens.offsets.tolist() == [list(pair) for pair in library.offsets]
    assert fitted.decode(fitted.encode([TEXTS[2]])[0].ids) == TEXTS[2]


@pytest.mark.parametrize("make", [lambda: Word(), lambda: Character(), lambda: BytePair(vocabulary_size=300)])
def test_the_same_texts_give_the_same_vocabulary(make: Any) -> None:
    assert make().fit(TEXTS).hash == make().fit(iter(TEXTS)).hash != make().fit(TEXTS[:2]).hash


def test_another_process_with_other_threads_learns_the_same() -> None:
    code = (
        "from transferlm.text.tokenizers import BytePair, Word\n"
        f"texts = {TEXTS * 20!r}\n"
        "print(BytePair(vocabulary_size=320).fit(texts).hash, Word().fit(texts).hash)"
    )
    prints = set()
    for threads in ("1", "4"):
        environment = {"RAYON_NUM_THREADS": threads, "PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": threads}
        prints.add(
            subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            ).stdout
        )
    assert len(prints) == 1


# ---------------------------------------------------------------- texts and offsets


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_byte_pairs_give_every_string_back(text: str) -> None:
    tokenizer = BYTE_PAIR
    tokens = tokenizer.encode([text])[0]
    assert tokenizer.decode(tokens.ids) == text
    assert not set(tokens.ids.tolist()) & tokenizer.special_ids
    covered = {i for start, end in tokens.offsets.tolist() for i in range(start, end)}
    assert covered == set(range(len(text)))


BYTE_PAIR = BytePair(vocabulary_size=320).fit(TEXTS * 5)


@given(st.text())
@settings(max_examples=150, deadline=None)
def test_character_offsets_are_one_character_each(text: str) -> None:
    tokens = CHARACTER.encode([text])[0]
    assert tokens.offsets.tolist() == [[i, i + 1] for i in range(len(text))]


CHARACTER = Character().fit(TEXTS)


def test_word_offsets_are_characters_of_the_string() -> None:
    assert pieces(Word().fit(TEXTS), TRICKY) == TRICKY.split()
    assert pieces(Word(lowercase=True).fit(TEXTS), TRICKY) == TRICKY.split()


def test_special_tokens_spelled_in_a_text_stay_text(byte_pair: BytePair) -> None:
    for tokenizer in (byte_pair, CHARACTER):
        text = "".join(tokenizer.special_tokens().values())
        assert not set(tokenizer.encode([text])[0].ids.tolist()) & (tokenizer.special_ids - {tokenizer.unknown_id})
    assert (
        byte_pair.decode([byte_pair.begin_id, *byte_pair.encode(["hi"])[0].ids, byte_pair.end_id, byte_pair.pad_id])
        == "hi"
    )


def test_a_piece_without_spaces_gives_no_token_of_unbounded_length() -> None:
    text = "很" * 100_000
    tokenizer = BytePair(vocabulary_size=400).fit([text])
    tokens = tokenizer.encode([text])[0]
    assert tokenizer.decode(tokens.ids) == text
    assert np.diff(tokens.offsets).max() <= 512


@pytest.mark.parametrize("tokenizer", ours(), ids=lambda t: t.kind)
def test_cutting_says_so(tokenizer: Any) -> None:
    tokenizer.fit(TEXTS)
    whole, cut, empty = *tokenizer.encode(["the cat sat"]), *tokenizer.encode(["the cat sat", ""], 2)
    assert (whole.cut, cut.cut, empty.cut) == (False, True, False)
    assert cut.ids.tolist() == whole.ids[:2].tolist()
    assert cut.offsets.tolist() == whole.offsets[:2].tolist()
    assert not tokenizer.encode(["the cat sat"], len(whole))[0].cut
    assert (len(empty), empty.offsets.shape) == (0, (0, 2))
    assert (whole.ids.dtype, whole.offsets.dtype) == (np.int32, np.int32)
    with pytest.raises(SettingError, match="max_length 0 leaves no room for text: give 1 or more"):
        tokenizer.encode(["a"], 0)


@pytest.mark.parametrize("tokenizer", ours(), ids=lambda t: t.kind)
def test_half_characters_and_single_strings_are_refused(tokenizer: Any) -> None:
    with pytest.raises(UnsupportedError, match=f"the {tokenizer.kind} tokenizer has no vocabulary yet"):
        tokenizer.encode(["a"])
    with pytest.raises(DataError, match="half a surrogate pair"):
        tokenizer.fit(["a \ud83d"])
    tokenizer.fit(TEXTS)
    with pytest.raises(DataError, match=r"half a surrogate pair \(U\+D83D\) at character 3"):
        tokenizer.encode(["fine", "a \ud83d"])
    for verb in (tokenizer.fit, tokenizer.encode):
        with pytest.raises(TypeError, match="takes several texts"):
            verb("a text")
    with pytest.raises(DataError, match="nothing to learn a vocabulary from"):
        tokenizer.fit([])


def test_settings_that_leave_no_vocabulary() -> None:
    with pytest.raises(SettingError, match="bytes and special tokens take 259"):
        BytePair(vocabulary_size=258)
    for make in (Word, Character):
        with pytest.raises(SettingError):
            make(vocabulary_size=4)
        with pytest.raises(DataError, match="occurs 9 times"):
            make(minimum_count=9).fit(["a b"])


# ---------------------------------------------------------------- saving


@pytest.mark.parametrize("tokenizer", ours(), ids=lambda t: t.kind)
def test_saved_and_loaded_is_the_same(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.fit(TEXTS).save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert type(loaded) is type(tokenizer)
    assert (loaded.hash, loaded.to_json(), loaded.describe()) == (
        tokenizer.hash,
        tokenizer.to_json(),
        tokenizer.describe(),
    )
    assert loaded.encode([TRICKY])[0].ids.tolist() == tokenizer.encode([TRICKY])[0].ids.tolist()
    json.dumps(tokenizer.to_json())
    opened = Pretrained(str(tmp_path))
    assert (opened.pad_id, opened.end_id, opened.unknown_id, opened.closed) == (
        tokenizer.pad_id, tokenizer.end_id, tokenizer.unknown_id, tokenizer.closed
    )  # fmt: skip
    assert not tokenizer.untrained().trained
    assert tokenizer.untrained().to_json() == tokenizer.to_json()


def test_copies_share_a_vocabulary_and_part_on_fit() -> None:
    tokenizer = Word().fit(["a b"])
    twin = copy.deepcopy(tokenizer)
    twin.fit(["c d e"])
    assert (len(tokenizer), len(twin)) == (6, 7)
    assert tokenizer.decode(tokenizer.encode(["a b"])[0].ids) == "a b"


def test_describe_and_openness(byte_pair: BytePair) -> None:
    assert Word().fit(["a b c"]).describe() == "word, 7 types, closed"
    assert byte_pair.describe() == f"byte_pair, {len(byte_pair)} types, open"


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("tokenizer.json", "{", ModelFolderError, r"tokenizer\.json can't be read"),
        ("tokenizer.json", None, ModelFolderError, r"tokenizer\.json is missing"),
        ("tokenizer_config.json", "nonsense", ModelFolderError, r"tokenizer_config\.json is no JSON"),
        ("tokenizer_config.json", "[]", ModelFolderError, "holds no JSON object"),
        ("tokenizer_config.json", '{"transferlm": {"tokenizer": "../word"}}', SettingError, "no tokenizer is called"),
        ("tokenizer_config.json", UNKNOWN_SETTING, ModelFolderError, "'x'"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_one_clear_line(
    tmp_path: Path, name: str, content: str | None, error: type[Exception], said: str
) -> None:
    Word().fit(TEXTS).save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(error, match=said) as caught:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    Word().fit(TEXTS).save(tmp_path)
    with pytest.raises(SettingError, match="holds a word tokenizer, not a character one"):
        Character.load(tmp_path)


# ---------------------------------------------------------------- pretrained


def test_a_bare_vocabulary_is_word_piece(wordpiece: Path) -> None:
    tokenizer = Pretrained(str(wordpiece))
    text = "The CATs café 很好 dog 15"
    tokens = tokenizer.encode([text])[0]
    assert [tokenizer.vocabulary[i] for i in tokens.ids] == [
        "[CLS]", "the", "cat", "##s", "cafe", "很", "好", "[UNK]", "1", "##5", "[SEP]"
    ]  # fmt: skip
    assert pieces(tokenizer, text) == ["", "The", "CAT", "s", "café", "很", "好", "dog", "1", "5", ""]
    assert (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.begin_id, tokenizer.end_id, tokenizer.mask_id) == (
        0,
        1,
        2,
        3,
        4,
    )
    assert tokenizer.decode(tokens.ids) == "the cats cafe 很 好 [UNK] 15"
    assert tokenizer.closed
    assert tokenizer.fit(["other words"]) is tokenizer


def test_cutting_keeps_the_special_tokens(wordpiece: Path) -> None:
    tokenizer = Pretrained(str(wordpiece))
    short, empty = tokenizer.encode(["the cat sat", ""], 4)
    assert short.ids.tolist() == [2, 5, 6, 3]
    assert short.cut
    assert short.offsets.tolist() == [[0, 0], [0, 3], [4, 7], [0, 0]]
    assert empty.ids.tolist() == [2, 3]
    with pytest.raises(SettingError, match="max_length 2 leaves no room for text: give 3 or more"):
        tokenizer.encode(["the"], 2)


@pytest.mark.parametrize("lowercase", [True, False])
def test_it_agrees_with_transformers(wordpiece: Path, lowercase: bool) -> None:
    from transformers import BertTokenizerFast

    (wordpiece / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lowercase}))
    reference = BertTokenizerFast.from_pretrained(wordpiece)
    tokenizer = Pretrained(str(wordpiece))
    texts = [*TEXTS, TRICKY, "the cats [MASK] sat, the\u00a0cat\u200b 很好", ""]
    expected = reference(texts, truncation=True, max_length=12, return_offsets_mapping=True)
    for tokens, ids, offsets in zip(
        tokenizer.encode(texts, 12), expected["input_ids"], expected["offset_mapping"], strict=True
    ):
        assert tokens.ids.tolist() == ids
        assert [tuple(pair) for pair in tokens.offsets.tolist()] == offsets


def test_stored_truncation_and_padding_are_switched_off(wordpiece: Path, tmp_path: Path) -> None:
    library = Pretrained(str(wordpiece))._ready()
    library.enable_truncation(4)
    library.enable_padding(length=9)
    library.save(str(wordpiece / "tokenizer.json"))
    assert Pretrained(str(wordpiece)).encode(["the cat sat the cat"])[0].ids.tolist() == [2, 5, 6, 7, 5, 6, 3]


def test_a_pretrained_one_saves_and_loads_without_its_path(wordpiece: Path, tmp_path: Path) -> None:
    tokenizer = Pretrained(str(wordpiece))
    tokenizer.save(tmp_path / "saved")
    loaded = Tokenizer.load(tmp_path / "saved")
    assert isinstance(loaded, Pretrained)
    assert loaded.hash == tokenizer.hash
    assert str(wordpiece) not in (tmp_path / "saved" / "tokenizer_config.json").read_text().replace(
        str(tmp_path / "saved"), ""
    )
    assert isinstance(Tokenizer.load(wordpiece), Pretrained)


def test_special_tokens_named_in_the_configuration(byte_pair: BytePair, tmp_path: Path) -> None:
    byte_pair.save(tmp_path)
    configuration = {"eos_token": {"content": "<end of text>", "lstrip": False}, "bos_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(configuration))
    opened = Pretrained(str(tmp_path))
    assert opened.end_id == opened.pad_id == opened.begin_id == byte_pair.end_id
    assert (opened.unknown_id, opened.mask_id, opened.closed) == (None, None, False)


@pytest.mark.parametrize(("byte", "closed"), [(0x13, False), (0xF1, False), (0xFF, False), (0xF0, True), (0x0A, True)])
def test_bytes_that_no_text_is_made_of_may_be_missing(
    byte: int, closed: bool, byte_pair: BytePair, tmp_path: Path
) -> None:
    byte_pair.save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    sign = chr(byte + 0x100) if byte < 0x20 else chr(byte)
    model = content["model"]
    model["merges"] = [pair for pair in model["merges"] if sign not in "".join(pair)]
    model["vocab"] = {token: i for token, i in model["vocab"].items() if sign not in token}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end of text>"}))
    assert Pretrained(str(tmp_path)).closed == closed


def test_special_tokens_come_off_again(wordpiece: Path, byte_pair: BytePair) -> None:
    tokenizer = Pretrained(str(wordpiece))
    around = tokenizer.encode(["the cat sat"])[0]
    inner = tokenizer.bare(around)
    assert tokenizer.prefix.tolist() == around.ids[:1].tolist() == [2]
    assert inner.ids.tolist() == around.ids[1:-1].tolist()
    assert inner.offsets.tolist() == around.offsets[1:-1].tolist()
    (plain,) = byte_pair.encode(["the cat sat"])
    assert byte_pair.bare(plain).ids.tolist() == plain.ids.tolist()
    assert len(byte_pair.prefix) == 0


def test_folders_that_hold_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"holds neither tokenizer\.json nor vocab\.txt"):
        Pretrained(str(tmp_path))
    with pytest.raises(SettingError, match=r"--tokenizer\.folder FOLDER"):
        Pretrained().encode(["a"])
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(ModelFolderError, match=r"holds no \[UNK\]"):
        Pretrained(str(tmp_path))
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelFolderError, match="is no UTF-8"):
        Pretrained(str(tmp_path))


# ------------------------------------------------------------------ marks


@pytest.mark.parametrize("tokenizer", ours(), ids=lambda t: t.kind)
def test_marks_stand_around_every_text_and_change_nothing_within(tokenizer: Any, tmp_path: Path) -> None:
    plain = tokenizer.fit(TEXTS)
    marked = plain.with_marks()
    assert marked.with_marks() is marked
    assert plain.mask_id is None, "the one given is left as it was"
    assert (marked.begin_id, marked.pad_id, marked.end_id) == (0, 1, 2)
    assert marked.mask_id == len(plain) == len(marked) - 1
    assert marked.hash != plain.hash
    for text in (*TEXTS, TRICKY, ""):
        (own,), (bare,) = marked.encode([text]), plain.encode([text])
        assert (own.ids[0], own.ids[-1]) == (marked.begin_id, marked.end_id)
        assert [marked.vocabulary[i] for i in own.ids[1:-1]] == [plain.vocabulary[i] for i in bare.ids]
        assert np.array_equal(marked.bare(own).offsets, bare.offsets)
        assert marked.decode(own.ids) == plain.decode(bare.ids)
        assert marked.mask_id not in own.ids
    assert len(marked.encode(TEXTS[:1], max_length=4)[0]) == 4
    marked.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.hash == marked.hash
    assert again.mask_id == marked.mask_id
    assert again.encode([TRICKY])[0].ids.tolist() == marked.encode([TRICKY])[0].ids.tolist()


def test_what_no_text_is_written_with(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCABULARY, "[unused0]"]))
    tokenizer = Pretrained(folder=str(tmp_path))
    assert tokenizer.special_ids == frozenset(range(5))
    assert tokenizer.reserved_ids == frozenset([*range(5), len(VOCABULARY)])
    assert tokenizer.with_marks() is tokenizer


def test_a_pretrained_tokenizer_without_a_mask_says_so(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(token for token in VOCABULARY if token != "[MASK]"))
    with pytest.raises(UnsupportedError, match="no mask token"):
        Pretrained(folder=str(tmp_path)).with_marks()
