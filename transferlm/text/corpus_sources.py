"""Where a corpus's texts come from: memory, a text file, a column of a table, a pipe, the files of a
folder.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from transferlm.errors import DataError
from transferlm.progress import Progress, say
from transferlm.text.files import Meter, existing, numbered_lines, refuse_half_characters
from transferlm.text.readers import column_names, format_of, read_rows

__all__ = ["Source", "Table", "opened", "text_files"]

_TEXT_ENDINGS = {".txt", ".text", ".md", ".tokens", ".raw", ""}
"""Endings of the files in a folder that are read as text (before `.gz`)."""


_BLOCK = 1 << 20


class Source(ABC):
    """One source of texts.

    Attributes:
        shown: The name that errors give it.
        size: Bytes on disk, or None for what is in memory or in a pipe.
    """

    shown = "the list"
    size: int | None = None

    @abstractmethod
    def texts(self, meter: Meter | None = None) -> Iterator[str | None]:
        """Every text in order, empty and missing ones among them; `meter` is told the bytes read on the way."""

    def find(self, wanted: Callable[[str], bool]) -> tuple[str, int] | None:
        """The name of the source and the line of the first text that is wanted."""
        for line, text in self._numbered():
            if text is not None and wanted(text):
                return self.shown, line
        return None

    def _numbered(self) -> Iterator[tuple[int, str | None]]:
        """Every text and its line."""
        return enumerate(self.texts(), start=1)


class _Memory(Source):
    """Strings given in Python, kept as a list."""

    def __init__(self, given: Iterable[object]) -> None:
        self._texts: list[str] = []
        for number, text in enumerate(given, start=1):
            if not isinstance(text, str):
                what = f"text {number:,} of the list is a {type(text).__name__}, not a string"
                raise DataError(f"{what}: give strings, or paths as Corpus(path, path)")
            refuse_half_characters(text, self.shown, number)
            self._texts.append(text)

    def texts(self, meter: Meter | None = None) -> Iterator[str | None]:  # noqa: ARG002
        yield from self._texts


class _TextFile(Source):
    """One text a line."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding, self.size = path, encoding, path.stat().st_size
        self.shown = str(path)

    def texts(self, meter: Meter | None = None) -> Iterator[str | None]:
        for _, line in numbered_lines(self._path, self._encoding, meter=meter):
            yield line


class Table(Source):
    """One column of a table."""

    def __init__(self, path: Path, column: str, encoding: str) -> None:
        self._path, self._column, self._encoding, self.size = path, column, encoding, path.stat().st_size
        self.shown = str(path)

    def texts(self, meter: Meter | None = None) -> Iterator[str | None]:
        """The column's values, None where one is missing."""
        return (text for _, text in self._numbered(meter))

    def _numbered(self, meter: Meter | None = None) -> Iterator[tuple[int, str | None]]:
        for row in read_rows(self._path, [self._column], self._encoding, meter):
            yield row.line, row.values[self._column]


class _Pipe(Source):
    """Standard input or a named pipe: copied to a file at the first pass, since it can be read only once."""

    def __init__(self, path: Path | None, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        self.shown = str(path or "standard input")

    def texts(self, meter: Meter | None = None) -> Iterator[str | None]:
        for _, line in numbered_lines(self._copy, self._encoding, shown=self.shown, meter=meter):
            yield line

    @cached_property
    def _copy(self) -> Path:
        folder = tempfile.mkdtemp(prefix="transferlm-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        copy = Path(folder) / "text"
        with ExitStack() as stack:
            pipe = sys.stdin.buffer if self._path is None else stack.enter_context(self._path.open("rb"))
            target = stack.enter_context(copy.open("wb"))
            progress = stack.enter_context(Progress(f"reading {self.shown}", unit="bytes"))
            while block := pipe.read(_BLOCK):
                target.write(block)
                progress.advance(len(block))
        return copy


def opened(source: object, column: str | None, encoding: str) -> list[Source]:
    """The sources that a path or an iterable of strings stands for: one, or a folder's many.

    Raises:
        DataError: Nothing is there, a folder holds no text, or a table's column is not named.
    """
    if isinstance(source, Source):
        return [source]
    if not isinstance(source, str | Path):
        if not isinstance(source, Iterable):
            raise DataError(f"a corpus can't be read from a {type(source).__name__}: give a path or strings")
        return [_Memory(source)]
    if str(source) == "-":
        return [_Pipe(None, encoding)]
    path = existing(source)
    return _folder(path, column, encoding) if path.is_dir() else [_file(path, column, encoding)]


def _file(path: Path, column: str | None, encoding: str) -> Source:
    if not path.is_file():
        return _Pipe(path, encoding)
    if not _is_table(path):
        return _TextFile(path, encoding)
    if column is None:
        names = ", ".join(" ".join(name.split())[:60] for name in column_names(path, encoding))
        raise DataError(f"a table: name the column that holds the text with --column; there are: {names}", path=path)
    return Table(path, column, encoding)


def _is_table(path: Path) -> bool:
    kind = format_of(path)
    # `.txt` is plain text here: only a reader of labelled examples takes it for fastText.
    return kind is not None and not (kind == "fasttext" and ".ft" not in path.suffixes)


def text_files(folder: Path, tables: bool = False) -> list[Path]:
    """The text files of a folder (and its tables, if asked for), sorted by path; what is left out is said.

    Raises:
        DataError: There is none.
    """
    taken: list[Path] = []
    left: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        ending = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
        if ending.lower() in _TEXT_ENDINGS or (tables and _is_table(path)):
            taken.append(path)
        else:
            left[ending] += 1
    kinds = ", ".join(f"{number} {ending}" for ending, number in sorted(left.items()))
    if not taken:
        raise DataError("no text file in this folder" + (f", only {kinds}" if kinds else ""), path=folder)
    if left:
        say(f"{folder}: files that are no text were left out ({kinds})")
    return taken


def _folder(folder: Path, column: str | None, encoding: str) -> list[Source]:
    return [_file(path, column, encoding) for path in text_files(folder, tables=column is not None)]
