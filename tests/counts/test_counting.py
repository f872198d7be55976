"""Counting: the same as a dict of tuples, the same bits on disk, in memory, and with any number of threads."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.counts import _runs
from transferlm.counts.counting import count
from transferlm.counts.symbols import BEGIN, END, FIRST_WORD
from transferlm.counts.table import CountTable
from transferlm.errors import DataError, SettingError

LEAST = 1 << 20

Texts = list[list[int]]
few_words = st.integers(FIRST_WORD, FIRST_WORD + 4)
any_word = st.integers(FIRST_WORD, 2**32 - 1)
texts_of_few_words = st.lists(st.lists(few_words, max_size=12), max_size=8)
texts_of_any_word = st.lists(st.lists(any_word, max_size=6), max_size=4)
orders = st.integers(1, 10)


def stream(texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    whole = [[BEGIN, *text, END] for text in texts]
    symbols = np.array([symbol for text in whole for symbol in text], dtype=np.uint32)
    return symbols, np.cumsum([0, *map(len, whole)], dtype=np.int64)


def counted_slowly(symbols: np.ndarray, starts: np.ndarray, order: int) -> dict[tuple[int, ...], int]:
    counts: Counter[tuple[int, ...]] = Counter()
    for begin, end in pairwise(starts):
        text = symbols[begin:end].tolist() + [0] * order
        counts.update(tuple(text[place : place + order]) for place in range(end - begin))
    return counts


def as_dict(table: CountTable) -> dict[tuple[int, ...], int]:
    return dict(zip(map(tuple, table.grams.tolist()), table.counts.tolist(), strict=True))


def same(left: CountTable, right: CountTable) -> bool:
    return np.array_equal(left.grams, right.grams) and np.array_equal(left.counts, right.counts)


def random_stream(size: int = 120_000, words: int = 300) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(7)
    symbols = draw.integers(FIRST_WORD, FIRST_WORD + words, size).astype(np.uint32)
    return symbols, np.arange(0, size + 1, 20, dtype=np.int64)


def test_a_text_counted_by_hand() -> None:
    table = count(*stream([[4, 5, 4]]), order=3)
    assert as_dict(table) == {(1, 4, 5): 1, (2, 0, 0): 1, (4, 2, 0): 1, (4, 5, 4): 1, (5, 4, 2): 1}
    assert table.total == 5


@given(texts_of_few_words, orders)
@settings(deadline=None)
def test_counts_are_those_of_a_dict(texts: Texts, order: int) -> None:
    table = count(*stream(texts), order)
    table.check()
    assert as_dict(table) == counted_slowly(*stream(texts), order)
    assert table.total == len(stream(texts)[0])


@given(texts_of_any_word, orders)
@settings(deadline=None)
def test_symbols_of_any_size_are_counted_exactly(texts: Texts, order: int) -> None:
    table = count(*stream(texts), order)
    table.check()
    assert as_dict(table) == counted_slowly(*stream(texts), order)


@given(texts_of_few_words, orders, st.integers(2, 5))
@settings(deadline=None)
def test_any_number_of_threads_gives_the_same_bits(texts: Texts, order: int, threads: int) -> None:
    assert same(count(*stream(texts), order, threads=threads), count(*stream(texts), order, threads=1))


@given(texts_of_few_words, texts_of_few_words, orders)
@settings(deadline=None)
def test_two_halves_merged_are_the_whole(first: Texts, second: Texts, order: int) -> None:
    halves = count(*stream(first), order).merge(count(*stream(second), order))
    assert same(halves, count(*stream(first + second), order))


def test_a_large_stream_is_counted_as_a_dict_counts_it() -> None:
    symbols, starts = random_stream(60_000, 30)
    assert as_dict(count(symbols, starts, 4)) == counted_slowly(symbols, starts, 4)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("order", [1, 3, 5, 10])
def test_runs_on_disk_give_the_same_bits_as_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int, threads: int
) -> None:
    written: list[Path] = []

    def noted(path: Path, rows: np.ndarray) -> Path:
        written.append(path)
        return _runs.write_run(path, rows)

    monkeypatch.setattr("transferlm.counts.counting.write_run", noted)
    symbols, starts = random_stream()
    on_disk = count(symbols, starts, order, memory=LEAST, scratch=tmp_path, threads=threads)
    assert (len(written) > 2 * threads) == (order > 1)
    assert same(on_disk, count(symbols, starts, order, threads=threads))
    on_disk.check()
    on_disk.merge(on_disk).subtract(on_disk).check()


def test_more_runs_than_are_merged_at_once_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    symbols, starts = random_stream()
    whole = count(symbols, starts, 5)
    monkeypatch.setattr(_runs, "FAN_IN", 3)
    assert same(count(symbols, starts, 5, memory=LEAST, scratch=tmp_path), whole)


@given(st.lists(st.dictionaries(st.integers(1, 40), st.integers(1, 9)), min_size=1, max_size=6), st.integers(1, 5))
@settings(deadline=None)
def test_merged_runs_are_the_sum_of_them(tmp_path_factory: pytest.TempPathFactory, runs: list, block_rows: int) -> None:
    folder = tmp_path_factory.mktemp("runs")
    paths = []
    for number, run in enumerate(runs):
        rows = np.array(sorted(run.items()), dtype=np.uint64).reshape(-1, 2)
        paths.append(_runs.write_run(folder / f"{number}.run", rows))
    total: Counter[int] = Counter()
    for run in runs:
        total.update(run)
    got = [tuple(row) for rows in _runs.merged(paths, 1, block_rows) for row in rows.tolist()]
    assert got == sorted(total.items())


def test_nothing_is_left_in_the_scratch_folder(tmp_path: Path) -> None:
    table = count(*random_stream(), 5, memory=LEAST, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert table.total == 120_000


def test_nothing_is_left_in_the_scratch_folder_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("transferlm.counts.counting.write_run", full)
    with pytest.raises(OSError, match="disk full"):
        count(*random_stream(), 5, memory=LEAST, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_symbols_mapped_from_a_file_count_the_same(tmp_path: Path) -> None:
    symbols, starts = random_stream(5_000)
    np.save(tmp_path / "symbols.npy", symbols)
    mapped = np.load(tmp_path / "symbols.npy", mmap_mode="r")
    assert same(count(mapped, starts, 3), count(symbols, starts, 3))


@pytest.mark.parametrize("order", [1, 10])
def test_no_texts_give_an_empty_table(order: int) -> None:
    table = count(np.empty(0, np.uint32), np.zeros(1, np.int64), order)
    assert (len(table), table.order, table.total) == (0, order, 0)


def test_a_window_never_reaches_into_the_next_text() -> None:
    assert (1, 2, 1) not in as_dict(count(*stream([[], []]), order=3))
    assert as_dict(count(*stream([[], []]), order=3)) == {(1, 2, 0): 2, (2, 0, 0): 2}


def test_nothing_among_the_symbols_is_refused_by_its_place() -> None:
    with pytest.raises(DataError, match="symbol 2 is 0"):
        count(np.array([1, 4, 0, 2], np.uint32), np.array([0, 4]), 2)


@pytest.mark.parametrize("starts", [[0, 3], [1, 4], [0, 3, 2, 4]])
def test_starts_that_do_not_cover_the_symbols_are_refused(starts: list[int]) -> None:
    with pytest.raises(DataError, match="starts must ascend from 0 to 4"):
        count(np.array([1, 4, 4, 2], np.uint32), np.array(starts), 2)


@pytest.mark.parametrize(
    ("symbols", "starts"),
    [([1, 2], np.array([0, 2])), (np.array([1, 2]), np.array([0, 2])), (np.array([1, 2], np.uint32), np.array([]))],
)
def test_arrays_of_another_kind_are_refused(symbols: object, starts: np.ndarray) -> None:
    with pytest.raises(DataError, match="must be"):
        count(symbols, starts, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", [{"order": 0}, {"order": 11}, {"memory": 1000}, {"threads": 0}])
def test_settings_outside_their_range_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(SettingError, match=str(next(iter(setting.values())))[:1]):
        count(*stream([[4]]), **{"order": 2, **setting})  # type: ignore[arg-type]
