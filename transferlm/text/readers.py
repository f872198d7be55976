"""Labelled examples read row by row from tables: CSV, TSV, JSONL, Parquet, fastText lines, frames and
datasets.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transferlm.errors import DataError, alternatives
from transferlm.text.files import Meter, existing, numbered_lines, refuse_half_characters
from transferlm.text.json_lines import json_objects

__all__ = ["FORMATS", "Row", "column_names", "format_of", "read_rows"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".jsonlines": "jsonl",
    ".json-lines": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".ft": "fasttext",
    ".txt": "fasttext",
}
"""File ending -> format; all but Parquet may end in `.gz` as well."""

_PREFIX = "__label__"
_FASTTEXT_LABEL = re.compile(rf"(?<!\S){_PREFIX}(\S*)\s*")


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        line: 1-based line of the file on which the row begins; the row's number for Parquet, frames and
            datasets.
        values: Column -> text. A missing value (an empty field, null, NaN) is None; numbers are written out.
    """

    line: int
    values: dict[str, str | None]


def format_of(path: str | Path) -> str | None:
    """The table format that a file's name says, or None: `reviews.csv.gz` is `csv`."""
    name = Path(path)
    return FORMATS.get(Path(name.stem).suffix.lower() if name.suffix.lower() == ".gz" else name.suffix.lower())


def read_rows(
    source: Any,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    meter: Meter | None = None,
    lists: str | None = None,
) -> Iterator[Row]:
    """Read a table row by row, in constant memory where it is a file.

    CSV and TSV need a header and the same number of fields in every row. TSV has no line breaks within a
    field; a field is unquoted where it is quoted as a whole. fastText lines give the columns `label` and
    `text`.

    Args:
        source: A path (see `FORMATS`), a `pandas.DataFrame` or a `datasets.Dataset`.
        columns: The columns wanted; None for all.
        encoding: Character encoding of text formats.
        meter: Told how many bytes of a file are read, as they are.
        lists: A column that may hold lists of texts, each then given as a JSON list; the labels of a fastText line are
            one.

    Raises:
        DataError: Missing file or column (those there are get named), wrong encoding, no rows, ragged rows,
            invalid JSON, several fastText labels on a line, a value that is a list, or an archive cut off.
    """
    if isinstance(source, str | Path):
        path = existing(source)
        return _READERS[_known_format(path)](path, columns, encoding, meter, lists)
    library = type(source).__module__.partition(".")[0]
    if library == "pandas" and hasattr(source, "columns"):
        return _read_frame(source, columns, lists)
    if library == "datasets":
        return _read_dataset(source, columns, lists)
    kind = type(source).__name__
    raise DataError(f"can't read rows from a {kind}: give a path, a pandas.DataFrame or a datasets.Dataset")


def column_names(source: Any, encoding: str = "utf-8") -> list[str]:
    """The columns of a table, from its header or its first row."""
    return list(next(iter(read_rows(source, None, encoding))).values)


def _known_format(path: Path) -> str:
    if path.is_dir():
        raise DataError("a folder, where a table is expected: name one file", path=path)
    found = format_of(path)
    if found is None or (found == "parquet" and path.suffix.lower() == ".gz"):
        raise DataError(
            f"no known table format: the name may end in {', '.join(FORMATS)}, and .gz after a text one",
            path=path,
        )
    return found


def _chosen(
    columns: Sequence[str] | None, there: Sequence[str], where: str | Path, line: int | None = None
) -> list[str]:
    for column in columns or ():
        if column not in there:
            # A file without a header would show its whole first row here, however long.
            names = [" ".join(name.split())[:60] for name in there]
            raise DataError(f"no column {column!r}: {alternatives(column, names)}", path=where, line=line)
    return list(there if columns is None else columns)


def _written(value: Any, where: str | Path, line: int, column: str, lists: str | None) -> str | None:
    """A cell as text, or None where it is missing; a list as JSON in the column that may hold lists."""
    if isinstance(value, str):
        refuse_half_characters(value, str(where), line)
        return value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if column == lists and isinstance(value, list | tuple):
        return json.dumps([_written(item, where, line, column, None) for item in value], ensure_ascii=False)
    if isinstance(value, list | dict | tuple | set | bytes) or hasattr(value, "shape"):
        kind = type(value).__name__
        raise DataError(f"holds a {kind}, where a text or a number is expected", path=where, line=line, column=column)
    return None if value != value else str(value)


def _read_csv(
    path: Path, columns: Sequence[str] | None, encoding: str, meter: Meter | None, _: str | None
) -> Iterator[Row]:
    lines = (line for _, line in numbered_lines(path, encoding, keep_ends=True, meter=meter))
    csv.field_size_limit(2**31 - 1)  # the largest that fits a C long everywhere; the default refuses long documents
    reader = csv.reader(lines, strict=True)

    def records() -> Iterator[tuple[int, list[str]]]:
        while True:
            first = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise DataError(_csv_problem(str(error)), path=path, line=first) from None
            if fields is None:
                return
            yield first, fields

    return _with_header(records(), path, columns)


def _csv_problem(message: str) -> str:
    if "end of data" in message:
        return "a quoted field begins in this row and is never closed"
    if "expected after" in message:
        return "a quote within a quoted field must be doubled"
    return f"no valid CSV ({message.split(' - ')[0]})"


def _read_tsv(
    path: Path, columns: Sequence[str] | None, encoding: str, meter: Meter | None, _: str | None
) -> Iterator[Row]:
    def field(text: str) -> str:
        quoted = re.fullmatch(r'"((?:[^"]|"")*)"', text)
        return quoted[1].replace('""', '"') if quoted else text

    records = (
        (line, [field(text) for text in content.split("\t")] if content else [])
        for line, content in numbered_lines(path, encoding, meter=meter)
    )
    return _with_header(records, path, columns)


def _with_header(records: Iterable[tuple[int, list[str]]], path: Path, columns: Sequence[str] | None) -> Iterator[Row]:
    header: list[str] | None = None
    rows = 0
    for line, fields in records:
        if not fields:  # an empty line
            continue
        if header is None:
            header = [name.strip() for name in fields]
            twice = next((name for name in header if header.count(name) > 1), None)
            if twice is not None:
                raise DataError(f"two columns are called {twice[:60]!r}: rename one", path=path, line=line)
            wanted = [(name, header.index(name)) for name in _chosen(columns, header, path, line)]
            continue
        if len(fields) != len(header):
            counts = f"{len(fields)} fields, where the header has {len(header)}"
            raise DataError(f"{counts}: quote a field that holds the separator or a line break", path=path, line=line)
        rows += 1
        yield Row(line, {name: fields[index] or None for name, index in wanted})
    _refuse_empty(rows, path, header=header is not None)


def _refuse_empty(rows: int, where: str | Path, *, header: bool = False) -> None:
    if not rows:
        raise DataError("there is a header and no row" if header else "there is no row: it is empty", path=where)


def _read_jsonl(
    path: Path, columns: Sequence[str] | None, encoding: str, meter: Meter | None, lists: str | None
) -> Iterator[Row]:
    wanted: list[str] | None = None
    for line, record in json_objects(path, encoding, meter):
        # Writers leave out a key whose value is missing, so only the first row has to have them all.
        wanted = _chosen(columns, list(record), path, line) if wanted is None else wanted
        names = wanted if columns is not None else [*wanted, *(key for key in record if key not in wanted)]
        yield Row(line, {name: _written(record.get(name), path, line, name, lists) for name in names})
    _refuse_empty(0 if wanted is None else 1, path)


def _read_fasttext(
    path: Path, columns: Sequence[str] | None, encoding: str, meter: Meter | None, lists: str | None
) -> Iterator[Row]:
    wanted = _chosen(columns, ("label", "text"), path)
    rows = 0
    for line, content in numbered_lines(path, encoding, meter=meter):
        if not content.strip():
            continue
        labels = _FASTTEXT_LABEL.findall(content)
        if not content.lstrip().startswith(_PREFIX):
            message = f"does not begin with a label: a fastText line is '{_PREFIX}positive A fine film'"
            raise DataError(message, path=path, line=line)
        several = lists == "label"
        if len(labels) > 1 and not several:
            message = f"{len(labels)} labels ({', '.join(labels[:4])}): keep one, or read them as the task multilabel"
            raise DataError(message, path=path, line=line)
        text = _FASTTEXT_LABEL.sub("", content).strip()
        label = json.dumps(labels, ensure_ascii=False) if several else labels[0]
        values = {"label": label or None, "text": text or None}
        rows += 1
        yield Row(line, {name: values[name] for name in wanted})
    _refuse_empty(rows, path)


def _read_parquet(
    path: Path,
    columns: Sequence[str] | None,
    encoding: str,  # noqa: ARG001
    meter: Meter | None,
    lists: str | None,
) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path) as table:
            wanted = _chosen(columns, table.schema_arrow.names, path)
            for batch in table.iter_batches(batch_size=4096, columns=wanted):
                if meter is not None:
                    meter(round(path.stat().st_size * batch.num_rows / table.metadata.num_rows))
                for values in zip(*(batch.column(name).to_pylist() for name in wanted), strict=True):
                    row += 1
                    cells = zip(wanted, values, strict=True)
                    yield Row(row, {name: _written(value, path, row, name, lists) for name, value in cells})
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"no readable Parquet file ({reason}): it may be cut off, copy it again", path=path) from None
    _refuse_empty(row, path, header=True)


def _read_frame(frame: Any, columns: Sequence[str] | None, lists: str | None) -> Iterator[Row]:
    where = "DataFrame"
    names = {str(name): index for index, name in enumerate(frame.columns)}
    wanted = _chosen(columns, list(names), where)
    series = [frame.iloc[:, names[name]] for name in wanted]
    for row, values in enumerate(zip(*series, strict=True), start=1):
        yield Row(row, {name: _written(v, where, row, name, lists) for name, v in zip(wanted, values, strict=True)})
    _refuse_empty(len(frame), where, header=True)


def _read_dataset(dataset: Any, columns: Sequence[str] | None, lists: str | None) -> Iterator[Row]:
    where = type(dataset).__name__
    if isinstance(dataset, dict):
        raise DataError(f"a {where} of several splits: choose one, dataset[{next(iter(dataset), 'train')!r}]")
    features = getattr(dataset, "features", None) or {}
    rows, wanted = 0, list(columns or ())
    if features:
        wanted = _chosen(columns, list(features), where)
        dataset = dataset.select_columns(wanted)
    named = {name: _namer(features.get(name)) for name in wanted}
    for rows, record in enumerate(dataset, start=1):
        names = wanted or list(record)
        if rows == 1:
            _chosen(names, list(record), where)
        yield Row(
            rows,
            {name: _written(_name(record.get(name), named.get(name)), where, rows, name, lists) for name in names},
        )
    _refuse_empty(rows, where, header=True)


def _namer(feature: Any) -> Callable[[int], str] | None:
    """What names the class numbers of a column, or of the lists that it holds; None where nothing does."""
    found: Callable[[int], str] | None = getattr(feature, "int2str", None)
    return found or getattr(getattr(feature, "feature", None), "int2str", None)


def _name(value: Any, names: Callable[[int], str] | None) -> Any:
    """A class number, or each of a list, as its name; -1 is how hubs mark a hidden label."""
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_name(item, names) for item in value]
    return None if value < 0 else names(value)


_READERS: dict[str, Callable[[Path, Sequence[str] | None, str, Meter | None, str | None], Iterator[Row]]] = {
    "csv": _read_csv,
    "tsv": _read_tsv,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "fasttext": _read_fasttext,
}
