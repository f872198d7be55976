"""Bytes are counted as they are read from disk, so that progress ends where the files end."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transferlm.text.corpus import Corpus

LINES = [f"the film was number {n}" for n in range(5000)]


@pytest.mark.parametrize("ending", ["txt", "txt.gz", "csv", "tsv", "jsonl", "parquet", "csv.gz"])
def test_the_bytes_read_add_up_to_the_size(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"texts.{ending}"
    kind = ending.split(".")[0]
    if kind == "parquet":
        pq.write_table(pa.table({"text": LINES, "other": LINES}), path)
    else:
        header = {"csv": "text\n", "tsv": "text\n"}.get(kind, "")
        rows = [f'{{"text": "{line}"}}' if kind == "jsonl" else line for line in LINES]
        content = (header + "\n".join(rows) + "\n").encode()
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    corpus = Corpus(path, column=None if kind == "txt" else "text")
    counted: list[int] = []
    steps: list[Any] = [sum(counted) for _ in corpus.read(counted.append)]
    assert len(steps) == len(LINES)
    assert sum(counted) == pytest.approx(corpus.size, abs=2 if kind == "parquet" else 0)
    assert all(n >= 0 for n in counted)


def test_it_is_told_on_the_way_not_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(LINES * 10))
    counted: list[int] = []
    texts = Corpus(path).read(counted.append)
    for _ in range(len(LINES)):
        next(texts)
    assert 0 < sum(counted) < 0.2 * path.stat().st_size


def test_blank_lines_and_several_files_are_counted_too(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("one\n\ntwo\n")
    corpus = Corpus(tmp_path / "a.txt", tmp_path / "b.txt")
    counted: list[int] = []
    assert list(corpus.with_blanks(counted.append)) == ["one", "", "two"] * 2
    assert sum(counted) == corpus.size == 18
