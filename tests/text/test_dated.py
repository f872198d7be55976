"""Dated texts cut into periods: from the names of files, from the rows of a table; every bad date is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transferlm.errors import DataError, SettingError
from transferlm.text.dated import Period, read_periods


def shown(periods: list[Period]) -> dict[str, list[str]]:
    return {period.name: list(period.corpus) for period in periods}


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}\n")
    return folder


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(("date,text", *rows)) + "\n", encoding="utf-8")
    return path


def test_files_are_dated_by_their_names_and_sorted_by_time(tmp_path: Path) -> None:
    folder = files(
        tmp_path / "s", "b_2003-02-19.txt", "2003_02_news.txt", "a-200303.txt", "2002/12/31.txt", "20030301.txt"
    )
    assert shown(read_periods(folder)) == {
        "2002-12": ["text of 2002/12/31.txt"],
        "2003-02": ["text of 2003_02_news.txt", "text of b_2003-02-19.txt"],
        "2003-03": ["text of 20030301.txt", "text of a-200303.txt"],
    }


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("day", ["1999-12-31", "2000-01-01", "2000-05-02"]),
        ("month", ["1999-12", "2000-01", "2000-05"]),
        ("quarter", ["1999 Q4", "2000 Q1", "2000 Q2"]),
        ("year", ["1999", "2000"]),
        ("decade", ["1990s", "2000s"]),
    ],
)
def test_the_same_texts_cut_by_every_unit(tmp_path: Path, by: str, names: list[str]) -> None:
    path = table(tmp_path / "t.csv", "2000-05-02,c", "1999-12-31,a", "20000101,b")
    periods = read_periods(path, by, "text", "date")
    assert [period.name for period in periods] == names
    assert [text for period in periods for text in period.corpus] == ["a", "b", "c"], "rows are sorted by their dates"


def test_dates_with_times_numbers_in_json_and_rows_without_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [
        {"text": "one", "date": "2003-02-19T10:30:00Z"},
        {"text": "two", "date": 20030301},
        {"text": None, "date": "never"},
        {"text": "three", "date": "2003/03"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert shown(read_periods(path, "month", "text", "date")) == {"2003-02": ["one"], "2003-03": ["three", "two"]}


@pytest.mark.parametrize(
    ("date", "problem"),
    [
        ("19.02.2003", "'19.02.2003' is no date: write it as 2003-02-19"),
        ("2003-13-01", "'2003-13-01' is no date (month must be in 1..12"),
        ("2003-02-30", "'2003-02-30' is no date"),
        ("2003-0219", "is no date: write it"),
        ("2003", "'2003' does not tell the month: cut by year or decade"),
        ("", "no date: write it"),
    ],
)
def test_a_bad_date_is_named_with_its_line(tmp_path: Path, date: str, problem: str) -> None:
    path = table(tmp_path / "t.csv", "2003-02-19,fine", f"{date},bad")
    with pytest.raises(DataError) as error:
        read_periods(path, "month", "text", "date")
    assert problem in str(error.value)
    assert "t.csv, line 3, column 'date'" in str(error.value)


def test_a_month_does_not_tell_the_day(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not tell the day: cut by month, quarter, year or decade"):
        read_periods(files(tmp_path / "s", "2003-02.txt", "2003-03.txt"), "day")


def test_a_file_without_a_date_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"notes\.txt: no date in its name"):
        read_periods(files(tmp_path / "s", "2003-02.txt", "notes.txt"))


def test_what_can_not_be_cut(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all texts are of 2003-02: a stream needs two periods"):
        read_periods(files(tmp_path / "s", "2003-02.txt", "2003-02-19.txt"))
    with pytest.raises(SettingError, match="did you mean 'month'"):
        read_periods(tmp_path / "s", "months")
    with pytest.raises(SettingError, match="leave the columns out"):
        read_periods(tmp_path / "s", column="text")
    path = table(tmp_path / "t.csv", "2003-02-19,fine")
    with pytest.raises(SettingError, match="name the column that holds the date; there are: date, text"):
        read_periods(path, column="text")
    plain = tmp_path / "plain.md"
    plain.write_text("text\n")
    with pytest.raises(DataError, match="neither a folder of dated files nor a table"):
        read_periods(plain, column="text", date_column="date")
