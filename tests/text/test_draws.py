"""Draws of few rows are nested, seeded, and show every label."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.errors import DataError, SettingError
from transferlm.text.draws import draw, draw_rows


@pytest.mark.parametrize("seed", range(5))
def test_draws_are_nested_balanced_and_capped(seed: int) -> None:
    labels = ["a"] * 200 + ["b"] * 100 + ["rare"] * 10
    small, large = draw(labels, 8, seed), draw(labels, 64, seed)
    assert set(small.rows) < set(large.rows)
    assert Counter(labels[i] for i in small.rows) == {"a": 8, "b": 8, "rare": 8}
    assert Counter(labels[i] for i in large.rows) == {"a": 64, "b": 64, "rare": 10}
    assert (small.caps, large.caps) == ({}, {"rare": 10})
    assert not np.array_equal(small.rows, draw(labels, 8, seed + 1).rows)


def test_a_draw_depends_on_the_class_alone() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    assert set(draw(labels, 5).rows[:5]) == set(draw(labels[:50], 5).rows)
    assert draw(labels, 60).caps == {0: 50, 1: 50}
    with pytest.raises(SettingError, match="at least 1"):
        draw(labels, 0)
    with pytest.raises(DataError, match="no labelled rows"):
        draw([], 1)


def _refusal(rows, size, seed):
    try:
        draw_rows(len(rows), size, seed, rows)
    except DataError as error:
        return str(error)
    return ""


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=3), min_size=1, max_size=40), st.integers(0, 5), st.data())
@settings(max_examples=60, deadline=None)
def test_a_draw_of_rows_with_labels_within_shows_all_labels_and_is_part_of_every_larger_one(rows, seed, data):
    every = {label for row in rows for label in row}
    size = data.draw(st.integers(1, len(rows)))
    refusal = _refusal(rows, size, seed)
    if refusal:
        assert f"can't show all {len(every)} labels" in refusal
        size, fewer = int(refusal.split("ask for ")[1].split()[0]), size
        assert fewer < size <= len(every)
    small = draw_rows(len(rows), size, seed, rows)
    assert {label for row in small for label in rows[row]} == every
    assert np.array_equal(small, np.unique(small))
    larger = draw_rows(len(rows), data.draw(st.integers(len(small), len(rows))), seed, rows)
    assert set(small.tolist()) <= set(larger.tolist())


def test_rows_without_labels_are_drawn_plainly_and_by_seed():
    one, other = draw_rows(100, 10, 0), draw_rows(100, 10, 1)
    assert len(set(one.tolist())) == 10
    assert not np.array_equal(one, other)
    assert set(one.tolist()) < set(draw_rows(100, 50, 0).tolist())
    with pytest.raises(DataError, match="101 examples asked and 100 there"):
        draw_rows(100, 101)
    with pytest.raises(SettingError, match="at least 1"):
        draw_rows(100, 0)
