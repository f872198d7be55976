"""Word-vector files: read and written as gensim does, and one clear error for each way they can be broken."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import KeyedVectors

from transferlm.errors import DataError, SettingError
from transferlm.vectors.files import read_vectors, write_vectors
from transferlm.vectors.table import WordTable

WORDS = ("the", "</s>", "naïve", "电影", "3.14", "\u00a0", "x\u0085y")
GOOD = "2 3\nfilm 1 2 3\nroom 4 5 6\n"


@pytest.fixture
def table() -> WordTable:
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
    vectors[0] = [1e-38, 3e38, -0.0, 0.1, 16777216]
    return WordTable.of(WORDS, vectors)


@pytest.fixture
def peer(table: WordTable) -> Any:
    vectors = KeyedVectors(table.width)
    vectors.add_vectors(list(table.words), np.array(table.vectors))
    return vectors


@pytest.mark.parametrize("name", ["v.bin", "v.vec", "v.txt"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_gensims_to_the_byte_both_ways(
    name: str, packed: bool, table: WordTable, peer: Any, tmp_path: Path
) -> None:
    binary = name.endswith(".bin")
    ours, theirs = (tmp_path / f"{who}-{name}{'.gz' * packed}" for who in ("ours", "theirs"))
    write_vectors(table, ours)
    peer.save_word2vec_format(str(theirs), binary=binary)
    unpack = gzip.decompress if packed else bytes
    assert unpack(ours.read_bytes()) == unpack(theirs.read_bytes())
    read = read_vectors(theirs)
    known = KeyedVectors.load_word2vec_format(str(ours), binary=binary)
    assert list(read.words) == known.index_to_key == list(WORDS)
    assert read.vectors.tobytes() == known.vectors.tobytes() == table.vectors.tobytes()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # gensim leaves the file open
def test_a_file_without_a_header_is_read_and_written_as_gensim_does(
    table: WordTable, peer: Any, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours.txt", tmp_path / "theirs.txt"
    write_vectors(table, ours, header=False)
    peer.save_word2vec_format(str(theirs), write_header=False)
    assert ours.read_bytes() == theirs.read_bytes()
    assert read_vectors(theirs).hash == table.hash
    assert np.array_equal(KeyedVectors.load_word2vec_format(str(ours), no_header=True).vectors, table.vectors)


def test_fasttexts_trailing_spaces_and_word2vecs_line_feeds_are_read_over(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("2 2\na 1 2 \nb 3 4 \n")
    (tmp_path / "v.bin").write_bytes(
        b"2 2\na " + np.array([1, 2], "<f4").tobytes() + b"\nb " + np.array([3, 4], "<f4").tobytes() + b"\n"
    )
    one, other = read_vectors(tmp_path / "v.vec"), read_vectors(tmp_path / "v.bin")
    assert one.hash == other.hash
    assert one.vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("header", [b"2 2\r\n", b"2 2 \n", b"2  2\n"])
def test_headers_are_read_as_loosely_as_gensim_does(header: bytes, tmp_path: Path) -> None:
    (tmp_path / "v.bin").write_bytes(binary([b"a", b"b"], header))
    known = KeyedVectors.load_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    read = read_vectors(tmp_path / "v.bin")
    assert list(read.words) == known.index_to_key == ["a", "b"]
    assert np.array_equal(read.vectors, known.vectors)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["v.bin", "v.vec"])
def test_a_header_that_promises_too_much_allocates_nothing(name: str, tmp_path: Path) -> None:
    content = binary([b"a", b"b"], b"999999999999 2\n") if name == "v.bin" else b"999999999999 2\na 1 2\nb 3 4\n"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="999,999,999,999"):
        read_vectors(tmp_path / name)


def test_vectors_beyond_one_block_of_the_binary_form_are_whole(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 200)).astype(np.float32)
    large = WordTable.of([f"word{n}" for n in range(3000)], vectors)
    write_vectors(large, tmp_path / "v.bin")
    assert read_vectors(tmp_path / "v.bin").hash == large.hash


BROKEN_TEXT = {
    "more words promised": (GOOD.replace("2 3", "3 3"), "line 3: the header promises 3 words, and there are 2"),
    "fewer words promised": (GOOD.replace("2 3", "1 3"), "the header promises 1 words, and there are 2"),
    "another width promised": (GOOD.replace("2 3", "2 4"), "line 2: 3 numbers after 'film', where the vectors have 4"),
    "nothing promised": ("0 3\n", "line 1: the header '0 3' promises nothing"),
    "a short line": (GOOD.replace(" 6", ""), "line 3: 2 numbers after 'room', where the vectors have 3"),
    "a long line": (GOOD.replace(" 6", " 6 7"), "line 3: 4 numbers after 'room'"),
    "a word with a space": (GOOD.replace("room", "living room"), "line 3: the word 'living room' has a space"),
    "no word": (GOOD.replace("room", ""), "line 3: there is no word before the numbers"),
    "not a number": (GOOD.replace("5", "nan"), "line 3: the vector of 'room' is not finite"),
    "an infinite number": (GOOD.replace("5", "1e99"), "line 3: the vector of 'room' is not finite"),
    "no number": (GOOD.replace("5", "five"), "line 3: 'five' in the vector of 'room' is no number"),
    "a word twice": (GOOD.replace("room", "film"), "line 3: the word 'film' has a vector in line 2 already"),
    "plain text": ("the film was good\nand warm\n", "line 1: neither a header .* this is no file of word vectors"),
    "plain text that begins with a number": ("2 3\nthe film was good\n", "line 2: 'film' in the vector of 'the'"),
    "nothing": ("", "holds no word vectors"),
}


@pytest.mark.parametrize("case", BROKEN_TEXT)
def test_a_broken_text_file_is_one_line_that_names_the_place(case: str, tmp_path: Path) -> None:
    content, message = BROKEN_TEXT[case]
    path = tmp_path / "v.vec"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        read_vectors(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_wrong_encoding_is_named_with_one_to_try(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes("电影 1 2\n房间 3 4\n".encode("gb18030"))
    with pytest.raises(DataError, match=r"line 1: byte 0x.* try --encoding gb18030"):
        read_vectors(tmp_path / "v.txt")
    assert read_vectors(tmp_path / "v.txt", "gb18030").words == ("电影", "房间")


def binary(words: list[bytes], header: bytes = b"2 2\n", value: float = 1.0) -> bytes:
    return header + b"".join(word + b" " + np.array([value, 2], "<f4").tobytes() for word in words)


BROKEN_BINARY = {
    "cut off in a vector": (binary([b"a", b"b"])[:-3], "ends or breaks in word 2 of 2"),
    "cut off before a word": (binary([b"a"]), "ends or breaks in word 2 of 2"),
    "no header": (b"hello\n", "line 1: begins with b'hello"),
    "fewer promised": (binary([b"a", b"b"], b"1 2\n"), "more after the 1 words"),
    "a word twice": (binary([b"a", b"a"]), "word 2: 'a' is word 1 already"),
    "not a number": (binary([b"a", b"b"], value=np.nan), "word 1: the vector of 'a' is not finite"),
    "wrong encoding": (binary([b"a", "é".encode("latin-1")]), "word 2, .* is no utf-8"),
    "a fastText model": ((793712314).to_bytes(4, "little") + bytes(20), "a fastText model, not word vectors"),
}


@pytest.mark.parametrize("case", BROKEN_BINARY)
def test_a_broken_binary_file_is_one_line_that_names_the_place(case: str, tmp_path: Path) -> None:
    content, message = BROKEN_BINARY[case]
    path = tmp_path / "v.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_vectors(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["v.bin.gz", "v.txt.gz"])
def test_an_archive_cut_off_is_refused(name: str, table: WordTable, tmp_path: Path) -> None:
    write_vectors(table, tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
    with pytest.raises(DataError, match="cut off"):
        read_vectors(tmp_path / name)


def test_a_file_that_can_not_be_written_leaves_the_old_one(table: WordTable, tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("mine")
    broken = WordTable(("a", "half \ud800"), table.vectors[:2])
    with pytest.raises(UnicodeEncodeError):
        write_vectors(broken, tmp_path / "v.vec")
    assert (tmp_path / "v.vec").read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["v.vec"]


def test_other_endings_are_refused(table: WordTable, tmp_path: Path) -> None:
    for call in (lambda: read_vectors(tmp_path / "v.csv"), lambda: write_vectors(table, tmp_path / "v.csv")):
        with pytest.raises(SettingError, match=r"\.bin, \.vec, \.txt"):
            call()
