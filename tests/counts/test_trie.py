import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_tables import grams_of, table_of

from transferlm.counts.table import CountTable
from transferlm.counts.trie import Trie
from transferlm.errors import DataError, SettingError

TEXTS = st.lists(st.lists(st.integers(3, 7), max_size=7), min_size=1, max_size=6)
ORDERS = st.integers(1, 5)


def listed(trie, order):
    return [trie.gram(order, node) for node in range(trie.nodes(order))]


@given(TEXTS, ORDERS)
@settings(max_examples=150, deadline=None)
def test_every_n_gram_of_every_order_is_a_node_with_its_count(texts, order):
    trie = Trie.of(table_of(texts, order))
    assert trie.order == order
    for size in range(1, order + 1):
        expected = grams_of(texts, size)
        assert listed(trie, size) == sorted(expected)
        assert trie.counts[size - 1].tolist() == [expected[gram] for gram in sorted(expected)]


@given(TEXTS, ORDERS)
@settings(max_examples=150, deadline=None)
def test_children_and_suffixes_are_those_of_the_grams(texts, order):
    assert_linked(Trie.of(table_of(texts, order)))


def assert_linked(trie):
    assert len(trie.first) == trie.order - 1
    for size in range(2, trie.order + 1):
        grams, shorter, first = listed(trie, size), listed(trie, size - 1), trie.first[size - 2]
        assert [shorter[node] for node in trie.suffixes[size - 1]] == [gram[1:] for gram in grams]
        assert len(first) == len(shorter) + 1
        assert [gram for j in range(len(shorter)) for gram in grams[first[j] : first[j + 1]]] == grams
        for j, gram in enumerate(shorter):
            assert all(child[:-1] == gram for child in grams[first[j] : first[j + 1]])


@given(TEXTS, ORDERS, st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_threads_leave_no_trace(texts, order, threads):
    table = table_of(texts, order)
    one, many = Trie.of(table), Trie.of(table, threads)
    for name in ("symbols", "parents", "first", "suffixes", "counts"):
        for expected, got in zip(getattr(one, name), getattr(many, name), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_arrays_that_may_not_be_written_are_read():
    table = table_of([[4, 5], [5]], 3)
    for array in (table.grams, table.counts):
        array.flags.writeable = False
    assert_linked(Trie.of(table))


def test_arrays_have_the_agreed_types():
    trie = Trie.of(table_of([[4, 5], [5]], 3))
    assert {a.dtype for a in [*trie.symbols, *trie.parents, *trie.first, *trie.suffixes]} == {np.dtype(np.uint32)}
    assert {a.dtype for a in trie.counts} == {np.dtype(np.int64)}
    assert Trie.of(table_of([[4]], 2, np.float64)).counts[0].dtype == np.float64


@given(TEXTS, ORDERS, st.lists(st.integers(1, 4), min_size=4, max_size=4))
@settings(max_examples=150, deadline=None)
def test_pruning_drops_what_is_rare_and_not_needed(texts, order, least):
    trie = Trie.of(table_of(texts, order))
    minimum = [1, *least][:order]
    pruned = trie.pruned(minimum)
    assert_linked(pruned)
    expected: list[set] = [set()] * order
    for size in range(order, 0, -1):
        needed = {part for gram in expected[size] for part in (gram[1:], gram[:-1])} if size < order else set()
        frequent = {gram for gram, count in grams_of(texts, size).items() if count >= minimum[size - 1]}
        expected[size - 1] = frequent | needed
        assert listed(pruned, size) == sorted(expected[size - 1])
        counts = grams_of(texts, size)
        assert pruned.counts[size - 1].tolist() == [counts[gram] for gram in listed(pruned, size)]


def test_pruning_keeps_unigrams_of_fractional_count():
    table = table_of([[4, 5]], 2, np.float64)
    trie = Trie.of(CountTable(table.grams, table.counts * 0.25)).pruned([1, 1])
    assert (trie.nodes(1), trie.nodes(2)) == (4, 0)


@pytest.mark.parametrize("minimum", [[1], [1, 1, 1], [2, 2]])
def test_minimum_counts_that_do_not_fit_are_refused(minimum):
    with pytest.raises(SettingError, match="minimum count"):
        Trie.of(table_of([[4]], 2)).pruned(minimum)


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 4), (1, 4), (2, 0), (4, 2)],  # twice
        [(4, 2), (1, 4), (2, 0)],  # not sorted
        [(0, 4), (1, 4)],  # nothing first
        [(1, 0), (2, 0)],  # no end
        [(2, 4), (4, 2)],  # more after the end
        [(1, 4), (4, 1)],  # a beginning inside
    ],
)
def test_rows_that_are_no_windows_of_texts_are_refused(rows):
    with pytest.raises(DataError, match="row"):
        Trie.of(CountTable(np.array(rows, np.uint32), np.ones(len(rows), np.int64)))


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        ([(1, 4), (2, 0)], 1),  # 4 begins no window
        ([(1, 4, 5), (2, 0, 0), (4, 6, 2), (5, 2, 0), (6, 2, 0)], 2),  # 4 is never followed by 5
        ([(1, 4, 5), (1, 5, 4), (2, 0, 0), (4, 4, 2), (4, 2, 0), (5, 4, 2)], 2),  # nor here, where 4 is followed first
        ([(1, 4, 4, 2), (2, 0, 0, 0), (4, 2, 0, 0), (4, 4, 5, 2), (4, 5, 2, 0), (5, 2, 0, 0)], 3),
    ],
)
def test_a_gram_without_its_suffix_is_refused(rows, missing):
    rows = np.array(sorted(rows), np.uint32)
    with pytest.raises(DataError, match=f"its last {missing} symbols do not"):
        Trie.of(CountTable(rows, np.ones(len(rows), np.int64)))


def test_counts_of_weight_that_are_none_are_refused():
    table = table_of([[4, 5]], 2)
    for wrong in (0, -1):
        counts = table.counts.copy()
        counts[2] = wrong
        with pytest.raises(DataError, match=r"row 2 .* not a positive"):
            Trie.of(CountTable(table.grams, counts))


@given(TEXTS, ORDERS, st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_the_first_counts_are_those_of_the_level(texts, order, nodes):
    trie = Trie.of(table_of(texts, order))
    for one in (trie, trie.pruned([1] * order)):
        for size in range(1, order + 1):
            some = min(nodes, one.nodes(size))
            assert one.first_counts(size, some).tolist() == one.counts[size - 1][:some].tolist()


def test_many_rows_and_threads_leave_no_trace():
    """Enough of them that the work is really divided."""
    draw = np.random.default_rng(5)
    table = table_of([(3 + draw.geometric(0.02, size=60)).tolist() for _ in range(400)], 5)
    one, two = Trie.of(table), Trie.of(table, 2)
    for name in ("symbols", "first", "suffixes", "counts", "parents"):
        for expected, got in zip(getattr(one, name), getattr(two, name), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_table_of_nothing_is_a_trie_of_nothing():
    trie = Trie.of(CountTable(np.empty((0, 3), np.uint32), np.empty(0, np.int64)))
    assert [trie.nodes(size) for size in (1, 2, 3)] == [0, 0, 0]
    assert [len(first) for first in trie.first] == [1, 1]
