"""The lines of an ARPA file, checked one section after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, END, FIRST_WORD, UNKNOWN
from transferlm.errors import DataError
from transferlm.models._arpa_levels import AboveOneError, Level, linked, sorting

__all__ = ["BLOCK", "NEVER", "SPECIAL", "Reader"]

BLOCK = 1 << 16
"""Lines worked on together."""
NEVER = -99.0
"""What stands for the logarithm of 0, after SRILM: exactly this value."""
_LARGEST = float(np.finfo(np.float32).max) / np.log(10)
"""Beyond it a number is infinite as a natural logarithm in single precision."""
SPECIAL = {BEGIN: "<s>", END: "</s>", UNKNOWN: "<unk>"}
_COUNT = re.compile(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,18})$")
_MARK = b"\xef\xbb\xbf"
"""U+FEFF, which some editors put before UTF-8."""


class _Section(NamedTuple):
    """N-grams of one order as they stand in the file: uint32 (n, order) symbols, logs, and the line of the first."""

    grams: np.ndarray
    log_probs: np.ndarray
    back_offs: np.ndarray
    line: int


class Reader:
    """One file, and which of its lines was read last."""

    def __init__(self, file: Iterator[bytes], path: Path) -> None:
        self._file, self._path, self._line = file, path, 0
        self._ids: dict[bytes, int] = {}

    def read(self) -> tuple[list[bytes], BackOff]:
        """The words and the model."""
        counts = self._header()
        sections = []
        for order, count in enumerate(counts, start=1):
            if order > 1:
                self._opens(self._next(), order)
            section = self._section(order, count)
            if order == len(counts) and np.any(section.back_offs):
                at = int(np.flatnonzero(section.back_offs)[0])
                told = "an n-gram of the highest order has a back-off weight: does the header count all orders?"
                self._fail(told, section.line + at)
            sections.append(section)
        self._ends()
        words = sorted(word for word, symbol in self._ids.items() if symbol >= FIRST_WORD)
        try:
            return words, linked([self._sorted(section) for section in sections])
        except AboveOneError as error:
            section = sections[len(error.gram) - 2]
            at = int(np.flatnonzero(np.all(section.grams == error.gram[:-1], axis=1))[0])
            told = "is not listed, and backing off gives it a probability above 1: this back-off weight is too large"
            self._fail(f"n-gram {_shown(self._written(error.gram))} {told}", section.line + at)

    def _fail(self, message: str, line: int | None = None) -> NoReturn:
        raise DataError(message, path=self._path, line=self._line if line is None else line)

    def _next(self) -> bytes:
        """The next line that isn't blank, stripped; empty at the end of the file."""
        for line in self._file:
            self._line += 1
            if stripped := (line.removeprefix(_MARK) if self._line == 1 else line).strip():
                return stripped
        return b""

    def _header(self) -> list[int]:
        while (line := self._next()) != b"\\data\\":
            if not self._line:
                raise DataError("the file is empty: fetch it again", path=self._path)
            if not line:
                self._fail(
                    "no \\data\\ line, so this is no ARPA file: give the text form of the model, not a binary one"
                )
        counts: list[int] = []
        while found := _COUNT.match(line := self._next()):
            if int(found[1]) != len(counts) + 1:
                self._fail(f"the header counts n-grams of order {int(found[1])} where {len(counts) + 1} is due")
            counts.append(int(found[2]))
        if not counts:
            self._fail("no 'ngram 1=...' line follows \\data\\")
        self._opens(line, 1)
        return counts

    def _opens(self, line: bytes, order: int) -> None:
        self._due(line, b"\\%d-grams:" % order)

    def _ends(self) -> None:
        self._due(self._next(), b"\\end\\")
        if line := self._next():  # read to its last byte, an archive has its checksum looked at too
            self._fail(f"{_shown(line)} stands after \\end\\: give one model a file")

    def _due(self, line: bytes, due: bytes) -> None:
        if not line:
            self._fail(f"the file is cut short: {due.decode()} is due")
        if line != due:
            self._fail(f"{_shown(line)} stands where {due.decode()} is due; does the header count too few n-grams?")

    def _section(self, order: int, count: int) -> _Section:
        """The n-grams of one order; those of order 1 give the words their symbols."""
        line = self._line + 1
        grams, log_probs, back_offs = [np.zeros(0, np.uint32)], [], []
        unigrams: list[bytes] = []
        for rows in self._rows(order, count):
            words = [word for row in rows for word in row[1 : order + 1]]
            if order == 1:
                unigrams += words
            else:
                grams.append(self._symbols(words, order))
            log_probs.append(self._numbers(rows, 0))
            back_offs.append(self._numbers(rows, order + 1))
        if order == 1:
            self._name(unigrams, line)
            grams.append(self._symbols(unigrams, 1))
        section = _Section(np.concatenate(grams).reshape(-1, order), _joined(log_probs), _joined(back_offs), line)
        if order == 1:
            section.log_probs[section.grams[:, 0] == BEGIN] = -np.inf
        for wrong, what in _wrong_numbers(section):
            if np.any(wrong):
                self._fail(what, line + int(np.flatnonzero(wrong)[0]))
        return section

    def _rows(self, order: int, count: int) -> Iterator[list[list[bytes]]]:
        """The lines of a section in blocks, split into fields, each with its words and one or two numbers."""
        left = count
        while left:
            rows = [line.split() for line in islice(self._file, min(left, BLOCK))]
            if not set(map(len, rows)) <= {order + 1, order + 2}:
                self._wrong_row(rows, order, count, count - left)
            self._line += len(rows)
            if not rows:
                self._fail(f"the file is cut short: {count - left:,} of {count:,} n-grams of order {order} are there")
            left -= len(rows)
            yield rows

    def _wrong_row(self, rows: list[list[bytes]], order: int, count: int, before: int) -> NoReturn:
        at = next(i for i, row in enumerate(rows) if len(row) not in (order + 1, order + 2))
        self._line += at + 1
        if not rows[at] or rows[at][0].startswith(b"\\"):
            self._fail(f"the header counts {count:,} n-grams of order {order}, and there are {before + at:,}")
        shown = _shown(b" ".join(rows[at]))
        self._fail(f"{shown} is no n-gram of order {order}: a log-probability, its words, and a back-off weight")

    def _symbols(self, words: list[bytes], order: int) -> np.ndarray:
        try:
            return np.fromiter(map(self._ids.__getitem__, words), np.uint32, len(words))
        except KeyError as unknown:
            line = self._line - (len(words) - words.index(unknown.args[0]) - 1) // order
            self._fail(f"{_shown(unknown.args[0])} is not among the unigrams", line)

    def _numbers(self, rows: list[list[bytes]], column: int) -> np.ndarray:
        """One column as float64, 0 where a line has none."""
        found = [row[column] if len(row) > column else b"0" for row in rows]
        try:
            if b"_" in b"".join(found):  # which Python allows in numbers
                raise ValueError
            return np.fromiter(map(float, found), np.float64, len(found))
        except ValueError:
            at = next(i for i, number in enumerate(found) if not _is_number(number))
            self._fail(f"{_shown(found[at])} is no number", self._line - len(rows) + at + 1)

    def _name(self, listed: list[bytes], line: int) -> None:
        """Give every word its symbol."""
        words = set(listed)
        self._refuse_other_encodings(listed, line)
        if SPECIAL[END].encode() not in words:
            self._fail(f"</s> is not among the {len(listed):,} unigrams, so that no text could end")
        if len(words) < len(listed):
            seen: dict[bytes, int] = {}
            for at, word in enumerate(listed, start=line):
                if seen.setdefault(word, at) != at:
                    self._fail(f"n-gram {_shown(word)} stands on line {seen[word]} already: keep one", at)
        special = {word.encode(): symbol for symbol, word in SPECIAL.items()}
        if b"<unk>" not in words:
            special[b"<UNK>"] = UNKNOWN
        self._ids = {word: symbol for word, symbol in special.items() if word in words}
        self._ids |= {word: symbol for symbol, word in enumerate(sorted(words - special.keys()), start=FIRST_WORD)}

    def _refuse_other_encodings(self, listed: list[bytes], line: int) -> None:
        try:
            b" ".join(listed).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as problem:
            at = problem.object[: problem.start].count(b" ")
            self._fail(f"the word {_shown(listed[at])} is no UTF-8: convert the file (iconv does it)", line + at)

    def _sorted(self, section: _Section) -> Level:
        rows = sorting(section.grams)
        grams = section.grams[rows]
        twice = np.flatnonzero(np.all(grams[1:] == grams[:-1], axis=1))
        if len(twice):
            at = twice[np.argmin(rows[twice + 1])]
            before, line = section.line + int(rows[at]), section.line + int(rows[at + 1])
            self._fail(f"n-gram {_shown(self._written(grams[at]))} stands on line {before} already: keep one", line)
        return Level(grams, _natural(section.log_probs[rows]), _natural(section.back_offs[rows]))

    def _written(self, gram: np.ndarray) -> bytes:
        words = {symbol: word for word, symbol in self._ids.items()}
        return b" ".join(words[symbol] for symbol in gram.tolist())


def _wrong_numbers(section: _Section) -> Iterator[tuple[np.ndarray, str]]:
    yield np.isnan(section.log_probs), "a log-probability that is not a number"
    yield section.log_probs > 0, "a log-probability above 0"
    yield ~(section.back_offs < np.inf), "a back-off weight that is infinite or not a number"
    for numbers in (section.log_probs, section.back_offs):
        yield np.isfinite(numbers) & (np.abs(numbers) > _LARGEST), "a number that is too large for single precision"


def _natural(log10s: np.ndarray) -> np.ndarray:
    return np.where(log10s == NEVER, -np.inf, log10s * np.log(10)).astype(np.float32)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return b"_" not in text


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *parts])


def _shown(found: bytes) -> str:
    text = found.decode("utf-8", "replace")
    return repr(text if len(text) <= 60 else text[:60] + "...")
