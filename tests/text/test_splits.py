"""Parts hold every class in proportion and share no text."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.errors import DataError, SettingError
from transferlm.text.splits import grouped_split, split, stratified_split


def test_parts_are_proportional_disjoint_and_whole() -> None:
    labels = ["a"] * 700 + ["b"] * 250 + ["c"] * 50
    parts = stratified_split(labels, [0.8, 0.1, 0.1], seed=1)
    assert [len(part) for part in parts] == [800, 100, 100]
    assert sorted(np.concatenate(parts)) == list(range(1000))
    assert Counter(labels[i] for i in parts[1]) == {"a": 70, "b": 25, "c": 5}


def test_the_seed_decides() -> None:
    labels = np.arange(300) % 3
    first, again, other = (stratified_split(labels, [0.5, 0.5], seed)[0] for seed in (0, 0, 1))
    assert (first == again).all()
    assert not np.array_equal(first, other)


def test_sizes_may_leave_rows_out() -> None:
    parts = stratified_split(["a", "b"] * 50, [30, 10], seed=0)
    assert [len(part) for part in parts] == [30, 10]
    assert not set(parts[0]) & set(parts[1])


@given(
    st.lists(st.integers(3, 40), min_size=2, max_size=6),
    st.sampled_from([[0.8, 0.2], [0.5, 0.25, 0.25], [0.34, 0.33, 0.33], [0.1, 0.9]]),
    st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_every_class_is_in_every_part(counts: list[int], fractions: list[float], seed: int) -> None:
    labels = [name for name, count in enumerate(counts) for _ in range(count)]
    if round(min(fractions) * len(labels)) <= len(counts):
        return  # a part smaller than the number of classes is refused, which another test asserts
    parts = stratified_split(labels, fractions, seed)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part in parts:
        assert {labels[i] for i in part} == set(range(len(counts)))


@pytest.mark.parametrize(
    ("labels", "parts", "error", "said"),
    [
        (["a"] * 9 + ["rare"], [0.5, 0.5], DataError, "class 'rare' has 1 row, too few for 2 parts"),
        (["a", "b", "c"] * 4, [10, 2], DataError, "a part of 2 rows can't hold all 3 classes"),
        (["a", "b"] * 4, [10, 2], DataError, "12 rows asked and 8 there"),
        (["a", "b"] * 4, [0.5, 0.4], SettingError, "sum to 1"),
        (["a", "b"] * 4, [0, 8], SettingError, "a part of 0 rows"),
        ([], [0.5, 0.5], DataError, "no rows"),
    ],
)
def test_what_cannot_be_split(labels: list[str], parts: list[float], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        stratified_split(labels, parts)


def test_split_removes_duplicates_first_and_says_so() -> None:
    texts = [f"{word} text of row {i * 7919 + 100_000}" for i, word in enumerate(["some", "any"] * 20)]
    texts += ["Some text of row 100000!", texts[3], texts[3]]
    labels = ["x", "y"] * 20 + ["x", "y", "x"]
    found = split(texts, labels, [0.5, 0.5], seed=0)
    assert (found.exact, found.near, found.conflicting) == (2, 1, 1)
    assert sorted(np.concatenate(found.parts)) == list(range(40))
    assert found.notes[0] == "2 exact and 1 near duplicates were removed before splitting."
    assert "1 groups of duplicates carried different labels" in found.notes[1]
    assert split(texts[:40], labels[:40]).notes == ()
    with pytest.raises(DataError, match="one label a text"):
        split(["a"], ["x", "y"])


# ------------------------------------------------------------------ groups


@pytest.mark.parametrize("seed", range(20))
def test_a_large_group_goes_to_the_large_part(seed: int) -> None:
    parts = grouped_split([0] * 95 + [1] * 3 + [2] * 2, [0.9, 0.1], seed)
    assert [len(part) for part in parts] == [95, 5]
    parts = grouped_split([0] * 3 + [1] * 60 + [2] * 30 + [3] * 7, [0.1, 0.6, 0.3], seed)
    assert [len(part) for part in parts] == [10, 60, 30]


@given(st.lists(st.integers(1, 30), min_size=10, max_size=60), st.integers(0, 10_000))
def test_sizes_are_met_but_for_less_than_a_group(sizes: list[int], seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes).tolist()
    one, other = grouped_split(groups, [0.75, 0.25], seed)
    assert sorted([*one, *other]) == list(range(len(groups)))
    assert not {groups[row] for row in one} & {groups[row] for row in other}
    assert abs(len(other) - len(groups) / 4) <= max(sizes) / 2 + 1


def test_small_groups_are_drawn_at_random_whatever_their_size() -> None:
    sizes = np.arange(1, 61)
    groups = np.repeat(sizes, sizes).tolist()
    tests = [{groups[row] for row in grouped_split(groups, [0.75, 0.25], seed)[1]} for seed in range(20)]
    assert len({frozenset(found) for found in tests}) == 20
    assert any(max(found) > 45 for found in tests), "a large one may be among those to test on"
