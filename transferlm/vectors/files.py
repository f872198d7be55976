"""Word-vector files as word2vec, fastText and GloVe write them: read as a stream, written whole or not at all."""

from __future__ import annotations

import gzip
import math
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.progress import track
from transferlm.text.files import numbered_lines
from transferlm.vectors._binary import read_binary
from transferlm.vectors.table import WordTable

__all__ = ["ENDINGS", "is_vector_file", "read_vectors", "write_vectors"]

ENDINGS = (".bin", ".vec", ".txt")
"""What the name of a file of word vectors ends in, before `.gz`."""


def is_vector_file(name: str) -> bool:
    """Whether a name is one that word vectors have; a `.txt` may still hold plain text."""
    return name.lower().removesuffix(".gz").endswith(ENDINGS)


def read_vectors(path: Path, encoding: str = "utf-8") -> WordTable:
    """The table in a file.

    Args:
        path: `.bin` is word2vec's binary form; `.vec` and `.txt` hold a word and its numbers a line, parted by single
            spaces, after a line with the number of words and the width (word2vec, fastText) or without it (GloVe).
            `.gz` after that is unpacked as it is read.
        encoding: Character encoding of the words.

    Raises:
        DataError: The file is no such file, or damaged; the message names the line (in a `.bin`, the word).
        SettingError: The name ends otherwise.
    """
    if not is_vector_file(path.name):
        raise SettingError(f"{path}: word vectors are read from files whose names end in {', '.join(ENDINGS)} (.gz)")
    if path.name.lower().removesuffix(".gz").endswith(".bin"):
        try:
            with _opened(path) as file:
                return read_binary(file, path, encoding)
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"no readable gzip archive ({error}): copy it again", path=path) from None
        except EOFError:
            raise DataError("the archive is cut off: copy it again", path=path) from None
    return _Text(path, encoding).table()


def write_vectors(table: WordTable, path: Path, header: bool = True) -> None:
    """Write a table to a file, byte for byte as gensim's `save_word2vec_format`; an existing one is replaced.

    Args:
        table: Words and vectors.
        path: `.bin` is binary; `.vec` and `.txt` are text in UTF-8, numbers in the fewest digits that read back to the
            same bits. `.gz` after that packs it.
        header: Whether a text file begins with the number of words and the width; GloVe's files do not.

    Raises:
        SettingError: The name ends otherwise.
    """
    if not is_vector_file(path.name):
        raise SettingError(f"{path}: give a name that ends in {', '.join(ENDINGS)}, or that and .gz")
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as plain:
            if path.suffix.lower() == ".gz":
                with gzip.GzipFile(fileobj=plain, mode="wb", filename="", mtime=0) as packed:
                    _write(table, packed, path.name.lower(), header)
            else:
                _write(table, plain, path.name.lower(), header)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write(table: WordTable, file: IO[bytes] | gzip.GzipFile, name: str, header: bool) -> None:
    binary = name.removesuffix(".gz").endswith(".bin")
    if header or binary:
        file.write(f"{len(table)} {table.width}\n".encode())
    for word, vector in track(zip(table.words, table.vectors, strict=True), "writing vectors", len(table), "words"):
        if binary:
            file.write(f"{word} ".encode() + np.asarray(vector, "<f4").tobytes())
        else:
            file.write(f"{word} {' '.join(map(str, vector))}\n".encode())


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.GzipFile(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


class _Text:
    """A text file on its way to a table."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        self._line_of: dict[str, int] = {}
        self._values = array("f")
        self._promised: tuple[int, int] | None = None
        self._width = 0

    def table(self) -> WordTable:
        """Read it all."""
        line = 0
        for line, content in track(self._lines(), "reading vectors", unit="lines"):
            if line == 1 and self._begins(content):
                continue
            self._take(line, content)
        if not self._line_of:
            raise DataError("holds no word vectors", path=self._path)
        words = len(self._line_of)
        if self._promised is not None and words != self._promised[0]:
            told = f"the header promises {self._promised[0]:,} words, and there are {words:,}"
            raise DataError(f"{told}: the file was cut off, or its header is wrong", path=self._path, line=line)
        return WordTable.of(self._line_of, np.frombuffer(self._values, np.float32).reshape(words, self._width))

    def _lines(self) -> Iterator[tuple[int, str]]:
        return numbered_lines(self._path, self._encoding)

    def _begins(self, first: str) -> bool:
        """Whether the first line is a header; what the width is."""
        fields = first.rstrip(" ").split(" ")
        if len(fields) == 2 and all(field.isdecimal() for field in fields):
            self._promised = int(fields[0]), int(fields[1])
            self._width = self._promised[1]
            if 0 in self._promised:
                raise DataError(f"the header {first!r} promises nothing", path=self._path, line=1)
            return True
        self._width = len(fields) - 1
        if self._width < 2 or not all(_is_number(field) for field in fields[1:]):
            told = "neither a header (words, width) nor a word and its numbers: this is no file of word vectors"
            raise DataError(f"{told}; a model learns from plain text by `pretrain`", path=self._path, line=1)
        return False

    def _take(self, line: int, content: str) -> None:
        word, *fields = content.rstrip(" ").split(" ")
        try:
            numbers = array("f", map(float, fields))
        except (ValueError, OverflowError):
            raise self._misfit(line, word, fields) from None
        if len(numbers) != self._width or not word:
            raise self._misfit(line, word, fields)
        if not all(map(math.isfinite, numbers)):
            raise DataError(f"the vector of {word!r} is not finite", path=self._path, line=line)
        first = self._line_of.setdefault(word, line)
        if first != line:
            raise DataError(f"the word {word!r} has a vector in line {first:,} already", path=self._path, line=line)
        self._values.extend(numbers)

    def _misfit(self, line: int, word: str, fields: list[str]) -> DataError:
        """What is wrong with a line that has the wrong number of fields, or one that is no number."""
        split = len(fields) - self._width
        if not word:
            told = "there is no word before the numbers"
        elif split > 0 and any(not _is_number(field) for field in fields[:split]):
            told = f"the word {' '.join([word, *fields[:split]])!r} has a space in it, which such files can't hold"
        elif split != 0:
            told = f"{len(fields):,} numbers after {word!r}, where the vectors have {self._width:,}"
        else:
            odd = next(field for field in fields if not _is_number(field))
            told = f"{odd!r} in the vector of {word!r} is no number"
        return DataError(told, path=self._path, line=line)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
