"""A corpus reads every kind of source twice alike, skips nothing in silence, and names what is wrong with a file."""

from __future__ import annotations

import gzip
import io
import os
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from transferlm.errors import DataError, SettingError
from transferlm.text import Corpus

LATE = b"fine\n" * 300_000 + "这家酒店的房间很干净".encode("gb18030")
CHINESE = "这家酒店的房间很干净，服务也很好。\n早餐不错，下次还会来。\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_text_file_gives_a_text_a_line_again_and_again(tmp_path: Path) -> None:
    corpus = Corpus(write(tmp_path / "a.txt", "\ufeffone\r\n\n  \ntwo three\u2028still two\nlast"))
    assert list(corpus) == list(corpus) == ["one", "two three\u2028still two", "last"]
    survey = corpus.survey()
    assert (survey.texts, survey.empty, survey.characters) == (3, 2, 3 + 19 + 4)
    assert corpus.name == "a.txt"
    assert corpus.size == (tmp_path / "a.txt").stat().st_size


def test_hash_is_of_the_texts_not_of_their_place(tmp_path: Path) -> None:
    plain = Corpus(write(tmp_path / "a.txt", "one\ntwo\n"))
    packed = tmp_path / "b.txt.gz"
    packed.write_bytes(gzip.compress(b"one\n\ntwo\n"))
    memory = Corpus(text for text in ["one", "two"])
    assert plain.hash == Corpus(packed).hash == memory.hash == Corpus(memory).hash
    assert memory.size is None
    assert Corpus(["onetwo"]).hash != memory.hash != Corpus(["two", "one"]).hash


def test_a_folder_stands_for_its_text_files_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "b.txt", "two")
    write(tmp_path / "a.txt", "one")
    (tmp_path / "sub" / "c.txt.gz").write_bytes(gzip.compress(b"three"))
    write(tmp_path / ".hidden.txt", "no")
    write(tmp_path / "picture.png", b"\x89PNG\0")
    corpus = Corpus(tmp_path)
    assert list(corpus) == ["one", "two", "three"]
    assert corpus.name == tmp_path.name
    assert "1 .png" in capsys.readouterr().err
    assert list(Corpus(tmp_path / "b.txt", ["more"])) == ["two", "more"]
    assert Corpus(tmp_path / "b.txt", ["more"]).name == "b.txt and 1 more"


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "picture.png", b"\x89PNG")
    with pytest.raises(DataError, match=r"no text file in this folder, only 1 \.png"):
        Corpus(tmp_path)


def test_standard_input_is_read_once_and_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"one\ntwo\n")))
    corpus = Corpus("-")
    assert list(corpus) == list(corpus) == ["one", "two"]
    assert corpus.name == "standard input"


def test_standard_input_in_the_wrong_encoding_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(CHINESE.encode("gb18030"))))
    with pytest.raises(DataError, match=r"standard input, line 1: .* try --encoding gb18030"):
        list(Corpus("-"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_given_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("one\ntwo\n"))
    writer.start()
    corpus = Corpus(pipe)
    assert list(corpus) == list(corpus) == ["one", "two"]
    writer.join()


def test_a_column_of_a_table(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", 'text,label\n"one\nmore",x\n,y\ntwo,x\n')
    corpus = Corpus(table, column="text")
    assert list(corpus) == ["one\nmore", "two"]
    assert corpus.survey().empty == 1
    with pytest.raises(DataError, match=r"a\.csv: a table: .*--column; there are: text, label"):
        Corpus(table)
    with pytest.raises(DataError, match="no column 'texts': did you mean 'text'"):
        list(Corpus(table, column="texts"))
    with pytest.raises(SettingError, match=r"--column text .* a\.txt is no table"):
        Corpus(write(tmp_path / "a.txt", "one"), column="text")


def test_held_out_parts_share_nothing_and_lose_nothing() -> None:
    texts = [f"text {i}" for i in range(4000)]
    train, held = Corpus(texts).held_out(0.1, seed=3)
    assert sorted([*train, *held], key=lambda t: int(t[5:])) == texts
    assert 320 < len(list(held)) < 480
    assert list(held) == list(held) == list(Corpus(texts).held_out(0.1, seed=3)[1])
    assert list(held) != list(Corpus(texts).held_out(0.1, seed=4)[1])
    assert held.name == "4,000 texts in memory (held out)"
    assert train.hash != held.hash


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
def test_both_parts_of_a_tiny_corpus_hold_something(fraction: float, seed: int) -> None:
    train, held = Corpus(["one", "two"]).held_out(fraction, seed)
    assert {*train, *held} == {"one", "two"}
    assert len(list(train)) == len(list(held)) == 1


def test_one_text_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="holds one text: none can be held out"):
        list(Corpus(["one"]).held_out(0.1)[0])
    with pytest.raises(SettingError, match=r"fraction of 1\.5"):
        Corpus(["one"]).held_out(1.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a" * (2**20 - 1) + "很".encode()[:1] + b"b", "line 1: byte 0xE5 at offset 1,048,575 is no utf-8"),
        (LATE, r"line 300001: byte 0xD5 at offset 1,500,000 .*gb18030"),
        ("caf\xe9 cr\xe8me, soir\xe9e".encode("latin-1"), "byte 0xE9 at offset 3 is no utf-8: try --encoding latin-1"),
        ("привет, как дела".encode("cp1251"), "try --encoding latin-1 if it is Western European, or name its own"),
        ("word\n".encode("utf-16"), "try --encoding utf-16"),
        ("one\n很好".encode()[:-1], "line 2: the file ends in the middle of a character"),
        (gzip.compress(b"one"), r"it is a gzip archive: name it \.gz"),
        (b"one\ntwo\0three\n", "line 2: a NUL byte"),
        (b"", "the corpus is empty: bad.txt holds no text"),
        (b"\n  \n\n", "the corpus is empty"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_clear_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = write(tmp_path / "bad.txt", content)
    for read in (list, lambda corpus: corpus.hash):
        with pytest.raises(DataError, match=said) as caught:
            read(Corpus(path))
        assert "\n" not in str(caught.value)
        assert "bad.txt" in str(caught.value)


def test_the_encoding_it_says_works(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", CHINESE.encode("gb18030"))
    assert list(Corpus(path, encoding="gb18030")) == CHINESE.splitlines()
    path = write(tmp_path / "b.txt", CHINESE.encode("utf-16"))
    assert list(Corpus(path, encoding="utf-16")) == CHINESE.splitlines()
    path = write(tmp_path / "c.txt", CHINESE)
    with pytest.raises(DataError, match=r"try --encoding utf-8"):
        list(Corpus(path, encoding="ascii"))
    with pytest.raises(SettingError, match="no encoding is called 'utf9'"):
        list(Corpus(path, encoding="utf9"))


def test_a_truncated_archive_is_cut_off(tmp_path: Path) -> None:
    lines = "".join(f"line {i} {i * 7919 % 1000}\n" for i in range(20_000))
    packed = gzip.compress(lines.encode())
    with pytest.raises(DataError, match=r"cut\.txt\.gz: the archive is cut off after line [\d,]+"):
        list(Corpus(write(tmp_path / "cut.txt.gz", packed[: len(packed) // 2])))
    with pytest.raises(DataError, match="no readable gzip archive"):
        list(Corpus(write(tmp_path / "no.txt.gz", "plain text")))


def test_missing_things_are_named(tmp_path: Path) -> None:
    write(tmp_path / "reviews.txt", "one")
    with pytest.raises(DataError, match=r"no such file: did you mean 'reviews\.txt'"):
        Corpus(tmp_path / "review.txt")
    with pytest.raises(DataError, match="no text given"):
        Corpus()
    with pytest.raises(DataError, match="text 2 of the list is a float, not a string"):
        Corpus(["one", float("nan")])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"line 1: half a surrogate pair \(U\+D83D\) at character 3"):
        Corpus(["ab\ud83d"])
    with pytest.raises(DataError, match="can't be read from a int"):
        Corpus(3)  # type: ignore[arg-type]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("w") as file:
        for i in range(60_000):
            file.write(f"this is line number {i} of a longer file\n")
    corpus = Corpus(path)
    tracemalloc.start()
    assert sum(1 for _ in corpus.held_out(0.1)[0]) > 50_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000 < path.stat().st_size


def test_a_line_of_ten_million_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "long.txt", "short\n" + "很" * 10_000_000 + "\n")
    assert [len(text) for text in Corpus(path)] == [5, 10_000_000]


def test_the_last_texts_are_a_part_of_their_own() -> None:
    corpus = Corpus([f"text {i}" for i in range(10)])
    first, last = corpus.at_end(0.25)
    assert list(first) + list(last) == list(corpus)
    assert len(list(last)) == 2
    assert list(Corpus(["a", "b"]).at_end(0.99)[0]) == ["a"]
    assert list(Corpus(["a", "b"]).at_end(0.01)[1]) == ["b"]
    with pytest.raises(DataError, match="one text"):
        Corpus(["a"]).at_end()
    with pytest.raises(SettingError, match="fraction"):
        corpus.at_end(1.0)
