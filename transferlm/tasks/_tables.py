"""Labelled inputs as rows of a table: a text, or two that form a pair, and what is true of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from transferlm.errors import DataError
from transferlm.text.files import existing
from transferlm.text.framing import Text, strings_of
from transferlm.text.json_lines import json_objects
from transferlm.text.readers import read_rows

__all__ = ["LabelledRow", "Table", "listed", "place_of", "records"]


class LabelledRow(NamedTuple):
    """One row: its line, its input, and its label as written, empty where it is missing."""

    line: int
    text: Text
    label: str


@dataclass(frozen=True)
class Table:
    """Which columns of a table hold what.

    Attributes:
        text: Column of the text.
        label: Column of what is true of it.
        pair: Column of the second text of a pair; none for single texts.
        encoding: Character encoding of text files.
        several: Whether a row has any number of labels, none among them: a list of them is then given as JSON.
    """

    text: str
    label: str
    pair: str | None
    encoding: str
    several: bool = False

    def rows(self, source: Any) -> Iterator[LabelledRow]:
        """Each row as it stands; a missing value, or one of white space alone, is empty."""
        columns = [self.text, *([self.pair] if self.pair else []), self.label]
        lists = self.label if self.several else None
        for row in read_rows(source, columns=columns, encoding=self.encoding, lists=lists):
            yield LabelledRow(row.line, self._text(row.values), (row.values[self.label] or "").strip())

    def whole_rows(self, source: Any) -> list[LabelledRow]:
        """Every row, none of them lacking anything: dropping a row silently would change what is measured.

        Raises:
            DataError: A text or label is empty (its line is named), or there are no rows.
        """
        found = []
        for row in self.rows(source):
            for column in self.empty(row):
                message = "it is empty: fill it or delete the row"
                raise DataError(message, path=place_of(source), line=row.line, column=column)
            found.append(row)
        if not found:
            raise DataError("no examples: the file has a header and no rows", path=place_of(source))
        return found

    def empty(self, row: LabelledRow) -> Iterator[str]:
        """The columns of this row that hold nothing."""
        for column, value in zip((self.text, self.pair or ""), strings_of(row.text), strict=False):
            if not value:
                yield column
        if not row.label and not self.several:
            yield self.label

    def inputs(self, source: Any) -> Iterator[Text]:
        """The inputs alone; a label column is not needed."""
        columns = [self.text, *([self.pair] if self.pair else [])]
        for row in read_rows(source, columns=columns, encoding=self.encoding):
            yield self._text(row.values)

    def faults(self, rows: Iterable[LabelledRow], wrong: Callable[[LabelledRow], str | None]) -> Iterator[str]:
        """A sentence for each row whose label is missing where there must be one, or there and wrong."""
        for row in rows:
            if self.label in self.empty(row):
                yield f"Line {row.line:,}: column {self.label!r} is empty."
            fault = wrong(row) if row.label else None
            if fault:
                yield f"Line {row.line:,}: {fault}."

    def _text(self, values: dict[str, str | None]) -> Text:
        first = _filled(values[self.text])
        return first if self.pair is None else (first, _filled(values[self.pair]))


def place_of(source: Any) -> str:
    """What errors call the source."""
    return str(source) if isinstance(source, str | Path) else type(source).__name__


def records(source: Any, encoding: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each object of JSON lines, or each row of a frame, a dataset or a list of mappings, with its line.

    Raises:
        DataError: A line is no JSON object, or a row no mapping.
    """
    if isinstance(source, str | Path):
        yield from json_objects(existing(source), encoding)
        return
    rows = source.to_dict("records") if hasattr(source, "to_dict") and hasattr(source, "columns") else source
    for line, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"a {type(row).__name__}, where a mapping is expected", path=place_of(source), line=line)
        yield line, row


def listed(names: Sequence[object], shown: int = 5) -> str:
    """How many there are, and the first few by name.

    >>> listed([3, 5]), listed([1, 2, 3], shown=2)
    ('2 (3, 5)', '3 (1, 2, ...)')
    """
    told = ", ".join(f"{name:,}" if isinstance(name, int) else str(name) for name in names[:shown])
    return f"{len(names):,} ({told}{', ...' if len(names) > shown else ''})"


def _filled(text: str | None) -> str:
    return text if text and text.strip() else ""
