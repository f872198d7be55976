"""Texts with dates, cut into periods: the files of a folder dated by their names, or the rows of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from transferlm.errors import DataError, SettingError, alternatives
from transferlm.text.corpus import Corpus
from transferlm.text.corpus_sources import text_files
from transferlm.text.files import existing
from transferlm.text.readers import column_names, format_of, read_rows

__all__ = ["UNITS", "Period", "read_periods"]


class _Date(NamedTuple):
    """A date as far as it is told."""

    year: int
    month: int | None = None
    day: int | None = None


UNITS: Mapping[str, Callable[[_Date], str | None]] = MappingProxyType(
    {
        "day": lambda d: f"{d.year:04}-{d.month:02}-{d.day:02}" if d.month and d.day else None,
        "month": lambda d: f"{d.year:04}-{d.month:02}" if d.month else None,
        "quarter": lambda d: f"{d.year:04} Q{(d.month + 2) // 3}" if d.month else None,
        "year": lambda d: f"{d.year:04}",
        "decade": lambda d: f"{d.year // 10 * 10:04}s",
    }
)
"""What a stream can be cut by -> the name of a date's period, None where the date does not tell it, sorted by time."""

_WRITTEN = re.compile(r"(\d{4})(?:([-/.]?)(\d{2})(?:\2(\d{2}))?)?(?:[T ].*)?", re.DOTALL)
_IN_A_NAME = re.compile(r"(?<!\d)(\d{4})(?:([-_./]?)(\d{2})(?:\2(\d{2}))?)?(?!\d)")


@dataclass(frozen=True)
class Period:
    """The texts of a stretch of time.

    Attributes:
        name: `2003-02`, `2003 Q1`, `2003`, `2000s`; names of later periods sort behind those of earlier ones.
        corpus: Its texts, in the order of their dates.
    """

    name: str
    corpus: Corpus


def read_periods(
    source: str | Path,
    by: str = "month",
    column: str | None = None,
    date_column: str | None = None,
    encoding: str = "utf-8",
) -> list[Period]:
    """Cut dated texts into periods, the earliest first; a stretch of time without texts is no period.

    Args:
        source: A folder whose text files carry a date in their path (`2003-02.txt`, `1790_washington.txt`,
            `2003/02/19.txt`), one text a line; or a table (CSV, TSV, JSONL, Parquet), whose rows are held in memory.
        by: `day`, `month`, `quarter`, `year` or `decade`.
        column: The column of a table that holds the text.
        date_column: The column that holds the date: `2003-02-19`, `20030219`, `2003/02`, `2003`, a time behind it or
            not.
        encoding: Character encoding.

    Raises:
        SettingError: An unknown unit, or columns that are missing or mean nothing.
        DataError: A date is missing, is none, or does not tell the unit; or all texts are of one period.
    """
    if by not in UNITS:
        raise SettingError(f"a stream can't be cut by {by!r}: {alternatives(by, UNITS)}")
    place = existing(source)
    if place.is_dir():
        if column or date_column:
            raise SettingError(f"{place} is a folder, whose files are dated by their names: leave the columns out")
        periods = _of_folder(place, by, encoding)
    else:
        periods = _of_table(place, by, column, date_column, encoding)
    if len(periods) < 2:
        raise DataError(f"all texts are of {periods[0].name}: a stream needs two periods, cut finer", path=place)
    return periods


def _of_folder(folder: Path, by: str, encoding: str) -> list[Period]:
    dated = []
    for path in text_files(folder):
        found = _IN_A_NAME.search(path.relative_to(folder).as_posix())
        if found is None:
            raise DataError("no date in its name: write one, as in 2003-02-19.txt or 2003_news.txt", path=path)
        dated.append((_period(found, by, path), path))
    groups = groupby(sorted(dated), key=lambda pair: pair[0])
    return [Period(name, Corpus(*(path for _, path in group), encoding=encoding)) for name, group in groups]


def _of_table(path: Path, by: str, column: str | None, date_column: str | None, encoding: str) -> list[Period]:
    if format_of(path) is None:
        raise DataError("neither a folder of dated files nor a table (CSV, TSV, JSONL, Parquet)", path=path)
    for what, given in (("text", column), ("date", date_column)):
        if given is None:
            there = ", ".join(column_names(path, encoding))
            raise SettingError(f"{path}: name the column that holds the {what}; there are: {there}")
    assert column is not None
    assert date_column is not None
    rows = sorted(_dated_rows(path, by, column, date_column, encoding), key=lambda row: row[0])
    periods = []
    for name, group in groupby(rows, key=lambda row: row[1]):
        corpus = Corpus([text for _, _, text in group])
        corpus.name = f"{path.name}, {name}"
        periods.append(Period(name, corpus))
    return periods


def _dated_rows(
    path: Path, by: str, column: str, date_column: str, encoding: str
) -> Iterator[tuple[tuple[int, int, int], str, str]]:
    """Date, name of the period and text of each row that has a text."""
    for row in read_rows(path, [column, date_column], encoding):
        text, told = row.values[column], row.values[date_column]
        if text is None or not text.strip():
            continue
        found = None if told is None else _WRITTEN.fullmatch(told.strip())
        if found is None:
            what = "no date" if told is None else f"{told.strip()[:40]!r} is no date"
            raise DataError(f"{what}: write it as 2003-02-19 or 20030219", path=path, line=row.line, column=date_column)
        name = _period(found, by, path, row.line, date_column)
        yield tuple(int(part or 0) for part in found.group(1, 3, 4)), name, text  # type: ignore[misc]


def _period(found: re.Match[str], by: str, path: Path, line: int | None = None, column: str | None = None) -> str:
    year, month, day = (int(part) if part else None for part in found.group(1, 3, 4))
    assert year is not None
    try:
        date(year, month or 1, day or 1)
    except ValueError as error:
        raise DataError(f"{found[0]!r} is no date ({error})", path=path, line=line, column=column) from None
    name = UNITS[by](_Date(year, month, day))
    if name is None:
        coarser = "cut by year or decade" if month is None else "cut by month, quarter, year or decade"
        raise DataError(f"{found[0]!r} does not tell the {by}: {coarser}", path=path, line=line, column=column)
    return name
