"""Every table format gives the same rows, and every way to be broken is one line naming the place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from transferlm.errors import DataError
from transferlm.text.readers import column_names, format_of, read_rows

ROWS = [('a fine, "bright" film', "good"), ("这很差\t真的", "bad"), ("two", None)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def values(source: Any, **options: Any) -> list[tuple[str | None, ...]]:
    return [tuple(row.values.values()) for row in read_rows(source, ("text", "label"), **options)]


def as_csv(tmp_path: Path) -> Path:
    return write(
        tmp_path / "a.csv", '\ufefftext,label\r\n"a fine, ""bright"" film",good\r\n\r\n这很差\t真的,bad\r\ntwo,\r\n'
    )


def as_tsv(tmp_path: Path) -> Path:
    return write(
        tmp_path / "a.tsv",
        'text\tlabel\na fine, "bright" film\tgood\n"这很差\u2409真的"\tbad\ntwo\t\n'.replace("\u2409", "\t"),
    )


def as_jsonl(tmp_path: Path) -> Path:
    lines = [json.dumps({"label": label, "text": text} if label else {"text": text}) for text, label in ROWS]
    return write(tmp_path / "a.jsonl", "\n\n".join(lines))


def as_parquet(tmp_path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"label": [r[1] for r in ROWS], "text": [r[0] for r in ROWS]}), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def as_frame(tmp_path: Path) -> Any:
    import pandas as pd

    return pd.DataFrame({"text": [r[0] for r in ROWS], "label": ["good", "bad", float("nan")]})


def as_dataset(tmp_path: Path) -> Any:
    import datasets

    return datasets.Dataset.from_dict({"text": [r[0] for r in ROWS], "label": [r[1] for r in ROWS]})


@pytest.mark.parametrize("make", [as_csv, as_jsonl, as_parquet, as_frame, as_dataset])
def test_all_formats_give_the_same_rows(make: Any, tmp_path: Path) -> None:
    source = make(tmp_path)
    assert values(source) == ROWS
    assert sorted(column_names(source)) == ["label", "text"]
    with pytest.raises(DataError, match="no column 'txt': did you mean 'text'\\? There are: label, text"):
        list(read_rows(source, ["txt"]))


def test_tsv_reads_quotes_only_around_a_whole_field(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"so called" art\tbad\n"""Alien"""\tgood\n')
    assert values(path) == [('"so called" art', "bad"), ('"Alien"', "good")]
    with pytest.raises(DataError, match=r"line 3: 3 fields, where the header has 2"):
        values(as_tsv(tmp_path))


def test_gzipped_tables(tmp_path: Path) -> None:
    for make in (as_csv, as_jsonl):
        path = make(tmp_path)
        packed = write(path.with_name(path.name + ".gz"), gzip.compress(path.read_bytes()))
        assert values(packed) == ROWS
        cut = write(tmp_path / f"cut{packed.name}", packed.read_bytes()[:-12])
        with pytest.raises(DataError, match="the archive is cut off"):
            values(cut)
    assert format_of("a.CSV.gz") == "csv"
    with pytest.raises(DataError, match="no known table format"):
        read_rows(write(tmp_path / "a.parquet.gz", b""))


def test_lines_are_where_a_row_begins(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"one\n\nmore",a\n\ntwo,b\n')
    assert [row.line for row in read_rows(path)] == [2, 6]
    assert [row.line for row in read_rows(as_jsonl(tmp_path))] == [1, 3, 5]
    assert [row.line for row in read_rows(as_parquet(tmp_path))] == [1, 2, 3]


def test_fasttext(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "__label__good a fine film\n\n__label__bad\tdull  one \n__label__bad\n")
    assert values(path) == [("a fine film", "good"), ("dull  one", "bad"), (None, "bad")]
    assert column_names(path) == ["label", "text"]
    path = write(tmp_path / "b.ft", "__label__good one\n__label__good __label__long two\n")
    with pytest.raises(
        DataError, match=r"b\.ft, line 2: 2 labels \(good, long\): keep one, or read them as the task multilabel"
    ):
        values(path)
    with pytest.raises(DataError, match="line 1: does not begin with a label"):
        values(write(tmp_path / "c.txt", "plain text\n"))


def test_numbers_become_text_and_missing_ones_none(tmp_path: Path) -> None:
    import numpy as np
    import pandas as pd

    lines = '{"text": "a", "label": 1}\n{"text": NaN, "label": 2.5}\n{"text": null, "label": true}\n'
    path = write(tmp_path / "a.jsonl", lines)
    assert values(path) == [("a", "1"), (None, "2.5"), (None, "True")]
    frame = pd.DataFrame({"text": ["a", None, pd.NA, pd.NaT], "label": np.array([1, 2, 3, 4], dtype=np.int8)})
    assert values(frame) == [("a", "1"), (None, "2"), (None, "3"), (None, "4")]


def test_class_numbers_of_a_dataset_get_their_names() -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    data = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    assert values(data) == values(data.to_iterable_dataset()) == [("a", "yes"), ("b", "no"), ("c", None)]
    with pytest.raises(DataError, match=r"several splits: choose one, dataset\['train'\]"):
        values(datasets.DatasetDict({"train": data}))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text,label\none,a\ntwo,b,c\n", "line 3: 3 fields, where the header has 2"),
        ("a.csv", "text,label\none\n", "line 2: 1 fields, where the header has 2"),
        ("a.csv", 'text,label\none,a\n"two,b\nthree,c\n', "line 3: a quoted field .* is never closed"),
        ("a.csv", 'text,label\n"two" or,b\n', "line 2: a quote within a quoted field must be doubled"),
        ("a.csv", "text,label\n", "there is a header and no row"),
        ("a.csv", "", "there is no row: it is empty"),
        ("a.csv", "text,text,label\na,b,c\n", "two columns are called 'text'"),
        ("a.csv", "text,label\rone,a\r", "no valid CSV"),
        ("a.csv", "text,label\n很好,好\n".encode("gb18030"), "line 2: byte 0xBA at offset 1.*gb18030"),
        ("a.csv", b"text,label\none\0,a\n", "line 2: a NUL byte"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": "a"\n', r"line 2: no valid JSON \(.* at character"),
        ("a.jsonl", "[1, 2]\n", "line 1: a JSON list, where an object"),
        ("a.jsonl", '{"text": ["a"], "label": "b"}\n', "line 1, column 'text': holds a list"),
        ("a.jsonl", '{"text": "\\ud83d", "label": "b"}\n', "line 1: half a surrogate pair"),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1: JSON that is nested too deep"),
        ("a.jsonl", "\n", "there is no row: it is empty"),
        ("a.parquet", b"PAR1 nonsense PAR1", "no readable Parquet file"),
        ("a.parquet", b"", "no readable Parquet file"),
        ("a.txt", "\n", "there is no row"),
        ("a.xls", "x", r"no known table format: the name may end in \.csv"),
    ],
)  # fmt: skip
def test_a_broken_table_is_one_clear_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=said) as caught:
        values(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_file_without_header_shows_short_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '"a very\nlong ' + "x" * 10_000 + '",label\none,a\n')
    with pytest.raises(DataError, match="no column 'text'") as caught:
        values(path)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_missing_file_folder_and_strange_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(DataError, match="a folder, where a table is expected"):
        read_rows(tmp_path)
    with pytest.raises(DataError, match="can't read rows from a dict"):
        read_rows({"text": []})
    with pytest.raises(DataError, match="no row"):
        values(as_frame(tmp_path).head(0))


def test_a_field_of_ten_million_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"text,label\n{'a ' * 5_000_000},x\n")
    assert [len(row.values["text"] or "") for row in read_rows(path)] == [10_000_000]
