"""Count tables: linear in what is merged, exact in what is taken away, checked when asked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.counts.table import CountTable
from transferlm.errors import DataError, ModelFolderError, SettingError

Counts = dict[tuple[int, ...], int]


@st.composite
def grams(draw: st.DrawFn) -> tuple[int, ...]:
    words = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    return tuple(words + [0] * (3 - len(words)))


tables = st.dictionaries(grams(), st.integers(1, 9), max_size=30)


def table(counts: Counts, order: int = 3, kind: type = np.int64) -> CountTable:
    rows = sorted(counts)
    return CountTable(np.array(rows, np.uint32).reshape(-1, order), np.array([counts[row] for row in rows], kind))


def as_dict(counted: CountTable) -> dict[tuple[int, ...], float]:
    return dict(zip(map(tuple, counted.grams.tolist()), counted.counts.tolist(), strict=True))


@given(tables, tables)
@settings(deadline=None)
def test_merging_adds_counts_in_either_order(left: Counts, right: Counts) -> None:
    merged = table(left).merge(table(right))
    merged.check()
    assert as_dict(merged) == Counter(left) + Counter(right)
    assert as_dict(table(right).merge(table(left))) == as_dict(merged)
    assert merged.total == sum(left.values()) + sum(right.values())


@given(tables, tables, tables)
@settings(deadline=None)
def test_merging_does_not_depend_on_what_is_merged_first(a: Counts, b: Counts, c: Counts) -> None:
    assert as_dict(table(a).merge(table(b)).merge(table(c))) == as_dict(table(a).merge(table(b).merge(table(c))))


@given(tables, tables)
@settings(deadline=None)
def test_subtracting_what_was_merged_gives_the_table_back(left: Counts, right: Counts) -> None:
    rest = table(left).merge(table(right)).subtract(table(right))
    assert as_dict(rest) == left
    assert rest.counts.dtype == np.int64


@given(tables, tables, st.floats(0.01, 100))
@settings(deadline=None)
def test_subtracting_what_was_merged_with_a_weight_leaves_no_row_behind(
    left: Counts, right: Counts, weight: float
) -> None:
    weighted = table(right).scale(weight)
    rest = table(left).merge(weighted).subtract(weighted)
    assert as_dict(rest) == pytest.approx(left)
    assert rest.counts.dtype == np.float64


@pytest.mark.parametrize("taken", [{(1, 4, 2): 3}, {(1, 4, 3): 1}, {(9, 9, 9): 1}, {(1, 1, 1): 1}])
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_taking_away_more_than_there_is_names_the_window(taken: Counts, kind: type) -> None:
    with pytest.raises(DataError, match=rf"symbols \[{', '.join(map(str, next(iter(taken))))}\]"):
        table({(1, 4, 2): 2, (4, 2, 0): 1}, kind=kind).subtract(table(taken))


@given(tables, tables, st.lists(st.integers(1, 4), min_size=5, max_size=5), st.integers(1, 3))
@settings(deadline=None)
def test_merging_gives_new_numbers_on_the_way(left: Counts, right: Counts, steps: list[int], threads: int) -> None:
    new = np.cumsum([0, *steps]).astype(np.uint32)
    merged = table(left).merge(table(right), new, threads)
    assert as_dict(merged) == as_dict(table(left).renumbered(new).merge(table(right)))
    merged.check()


def test_many_rows_merged_on_two_threads_are_those_merged_on_one() -> None:
    draw = np.random.default_rng(0)
    left, right = (table(Counter(map(tuple, draw.integers(1, 60, (rows, 3)).tolist()))) for rows in (60_000, 20_000))
    one, two = left.merge(right), left.merge(right, threads=2)
    assert as_dict(one) == Counter(as_dict(left)) + Counter(as_dict(right))
    assert np.array_equal(one.grams, two.grams)
    assert np.array_equal(one.counts, two.counts)


def test_merging_refuses_numbers_that_do_not_fit() -> None:
    counted = table({(1, 5, 2): 2})
    with pytest.raises(DataError, match="5 new symbols and a symbol 5"):
        counted.merge(table({(1, 4, 2): 1}), np.arange(5, dtype=np.uint32))
    with pytest.raises(DataError, match="symbols 1 and 2 become 2 and 1"):
        counted.merge(table({(1, 4, 2): 1}), np.array([0, 2, 1, 3, 4, 5], np.uint32))


def test_tables_of_two_orders_are_not_merged() -> None:
    with pytest.raises(DataError, match=r"order 3 and 2: shorten the longer with lower\(2\)"):
        table({(1, 4, 2): 2}).merge(table({(1, 4): 2}, order=2))


@given(tables, st.integers(1, 3))
@settings(deadline=None)
def test_a_lower_order_sums_the_counts(counts: Counts, order: int) -> None:
    lower = table(counts).lower(order)
    expected: Counter[tuple[int, ...]] = Counter()
    for gram, number in counts.items():
        expected[gram[:order]] += number
    lower.check()
    assert as_dict(lower) == expected


@pytest.mark.parametrize("order", [0, 4])
def test_an_order_that_the_table_does_not_hold_is_refused(order: int) -> None:
    with pytest.raises(SettingError, match=f"order {order}: a table of order 3"):
        table({(1, 4, 2): 2}).lower(order)


def test_scaling_multiplies_counts_and_leaves_the_table_as_it_was() -> None:
    counted = table({(1, 4, 2): 2, (4, 2, 0): 1})
    assert as_dict(counted.scale(0.5)) == {(1, 4, 2): 1.0, (4, 2, 0): 0.5}
    assert counted.counts.tolist() == [2, 1]


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_that_is_no_weight_is_refused(factor: float) -> None:
    with pytest.raises(SettingError, match="factor"):
        table({(1, 4, 2): 2}).scale(factor)


@given(tables, st.lists(st.integers(1, 4), min_size=5, max_size=5))
@settings(deadline=None)
def test_new_numbers_keep_the_table_sorted(counts: Counts, steps: list[int]) -> None:
    new = np.cumsum([0, *steps]).astype(np.uint32)
    renumbered = table(counts).renumbered(new)
    renumbered.check()
    assert as_dict(renumbered) == {tuple(int(new[s]) for s in gram): n for gram, n in counts.items()}


def test_new_numbers_of_symbols_that_do_not_occur_do_not_matter() -> None:
    new = np.array([0, 1, 2, 3, 3, 4], np.uint32)
    assert as_dict(table({(1, 5, 2): 2}).renumbered(new)) == {(1, 4, 2): 2}


def test_new_numbers_that_change_the_order_are_refused() -> None:
    with pytest.raises(DataError, match="symbols 4 and 5 become 5 and 4"):
        table({(1, 4, 5): 2}).renumbered(np.array([0, 1, 2, 3, 5, 4], np.uint32))


def test_new_numbers_for_too_few_symbols_are_refused() -> None:
    with pytest.raises(DataError, match="5 new symbols and a symbol 5"):
        table({(1, 4, 5): 2}).renumbered(np.arange(5, dtype=np.uint32))


@pytest.mark.parametrize(
    ("rows", "counts", "fault"),
    [
        ([[2, 1], [1, 4]], [1, 1], "row 1 .* does not stand after"),
        ([[1, 4], [1, 4]], [1, 1], "row 1 .* does not stand after"),
        ([[1, 4]], [0], "row 0 .* not a positive"),
        ([[1, 4]], [float("nan")], "row 0 .* not a positive"),
        ([[1, 4]], [float("inf")], "row 0 .* not a positive"),
        ([[0, 4]], [1], "row 0 .* NOTHING"),
        ([[0, 0]], [1], "row 0 .* NOTHING"),
    ],
)
def test_a_check_names_the_first_row_that_is_wrong(rows: list, counts: list, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        CountTable(np.array(rows, np.uint32), np.array(counts)).check()


def test_arrays_and_back_is_the_same_table() -> None:
    counted = table({(1, 4, 2): 2, (4, 2, 0): 1})
    assert as_dict(CountTable.from_arrays(counted.arrays())) == as_dict(counted)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"grams": np.empty((0, 3), np.uint32)}, "lack the array 'counts'"),
        ({"grams": np.empty((0, 3)), "counts": np.empty(0, np.int64)}, "grams are float64"),
        ({"grams": np.empty((0, 11), np.uint32), "counts": np.empty(0, np.int64)}, "order 1 to 10"),
        ({"grams": np.empty((2, 3), np.uint32), "counts": np.ones(3, np.int64)}, r"\(2,\), one a row"),
        ({"grams": np.empty((2, 3), np.uint32), "counts": np.ones(2, np.int32)}, "counts are int32"),
    ],
)
def test_arrays_that_are_no_table_are_refused(arrays: dict[str, np.ndarray], fault: str) -> None:
    with pytest.raises(ModelFolderError, match=fault):
        CountTable.from_arrays(arrays)
