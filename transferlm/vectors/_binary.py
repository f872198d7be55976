"""word2vec's binary form: a line with words and width, then each word, a space, and its numbers in float32."""

from __future__ import annotations

import gzip
import re
from array import array
from pathlib import Path
from typing import IO

import numpy as np

from transferlm.errors import DataError
from transferlm.progress import track
from transferlm.vectors.table import WordTable

__all__ = ["read_binary"]

_HEADER = re.compile(rb"([1-9]\d{0,11}) +([1-9]\d{0,5}) *\r?\n")
_LONGEST = 1 << 12
"""Bytes in which a word has to end: with more, what is read is no word."""
_BLOCK = 1 << 20
_FASTTEXT = (793712314).to_bytes(4, "little")


def read_binary(file: IO[bytes] | gzip.GzipFile, path: Path, encoding: str) -> WordTable:
    """The table in an open file, read a megabyte at a time.

    Args:
        file: At its beginning.
        path: Its name, for errors.
        encoding: Character encoding of the words.

    Raises:
        DataError: A wrong header, a file cut off, a word of another encoding or there twice, a number not finite.
    """
    first = file.readline(32)
    if first.startswith(_FASTTEXT):
        raise DataError("a fastText model, not word vectors: give the .vec file that lies beside it", path=path)
    header = _HEADER.fullmatch(first)
    if header is None:
        raise DataError(f"begins with {first!r}, where a count of words and a width should stand", path=path, line=1)
    count, width = int(header[1]), int(header[2])
    number_of: dict[str, int] = {}
    values, stream = array("f"), _Stream(file)
    for number in track(range(1, count + 1), "reading vectors", count, "words"):
        word, vector = stream.word(), stream.take(4 * width)
        if word is None or vector is None:
            told = f"the file ends or breaks in word {number:,} of {count:,}: it was cut off, or its header is wrong"
            raise DataError(told, path=path)
        name = _decoded(word, encoding, number, path)
        if number_of.setdefault(name, number) != number:
            raise DataError(f"word {number:,}: {name!r} is word {number_of[name]:,} already", path=path)
        values.frombytes(np.frombuffer(vector, "<f4").astype(np.float32).tobytes())
    if stream.rest().strip(b"\n"):
        raise DataError(f"there is more after the {count:,} words that the header promises", path=path)
    vectors = np.frombuffer(values, np.float32).reshape(count, width)
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        word_of = list(number_of)[broken[0]]
        raise DataError(f"word {broken[0] + 1:,}: the vector of {word_of!r} is not finite", path=path)
    return WordTable.of(number_of, vectors)


def _decoded(word: bytes, encoding: str, number: int, path: Path) -> str:
    try:
        name = word.decode(encoding)
    except UnicodeDecodeError:
        told = f"word {number:,}, {word[:40]!r}, is no {encoding}: name its encoding, or the word before it has a space"
        raise DataError(told, path=path) from None
    if not name or "\n" in name:
        raise DataError(f"word {number:,} is {name[:40]!r}: a word before it has a space, or it is damaged", path=path)
    return name


class _Stream:
    """A file as words and vectors, a block of it in memory."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file, self._block, self._at = file, b"", 0

    def word(self) -> bytes | None:
        """What stands before the next space, without line feeds before it; None where no space is near."""
        self._hold(_LONGEST)
        end = self._block.find(b" ", self._at, self._at + _LONGEST)
        if end < 0:
            return None
        word = self._block[self._at : end].lstrip(b"\n")
        self._at = end + 1
        return word

    def take(self, size: int) -> bytes | None:
        """The next bytes; None where there are not as many."""
        self._hold(size)
        taken = self._block[self._at : self._at + size]
        self._at += size
        return taken if len(taken) == size else None

    def rest(self) -> bytes:
        """Some of what is left."""
        self._hold(_LONGEST)
        return self._block[self._at :]

    def _hold(self, size: int) -> None:
        if len(self._block) - self._at < size:
            self._block = self._block[self._at :] + self._file.read(max(_BLOCK, size))
            self._at = 0
