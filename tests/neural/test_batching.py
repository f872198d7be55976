"""Batches: every row once an epoch, like lengths together, order decided by the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transferlm.neural.batching import POOL, by_length, collate, shuffled_by_length

CPU = torch.device("cpu")


@pytest.fixture
def lengths() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, 1003)


def test_every_row_stands_once_in_an_epoch(lengths: np.ndarray) -> None:
    batches = shuffled_by_length(lengths, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(1003))
    assert max(len(batch) for batch in batches) == 16


def test_every_epoch_has_equally_many_batches(lengths: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    assert len({len(shuffled_by_length(lengths, 16, generator)) for _ in range(5)}) == 1


def test_a_batch_holds_like_lengths(lengths: np.ndarray) -> None:
    batches = shuffled_by_length(lengths, 16, np.random.default_rng(1))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    shuffled = np.random.default_rng(1).permutation(1003)
    unsorted = sum(lengths[shuffled[i : i + 16]].max() * 16 for i in range(0, 1003, 16))
    assert padded < 1.1 * lengths.sum() < unsorted


def test_the_order_is_the_seeds_and_changes_by_epoch(lengths: np.ndarray) -> None:
    def flat(seed: int) -> list[int]:
        return np.concatenate(shuffled_by_length(lengths, 16, np.random.default_rng(seed))).tolist()

    assert flat(3) == flat(3)
    assert flat(3) != flat(4)


def test_long_batches_do_not_all_come_last(lengths: np.ndarray) -> None:
    batches = shuffled_by_length(lengths, 8, np.random.default_rng(0))
    means = [lengths[batch].mean() for batch in batches[:POOL]]
    assert means != sorted(means)


def test_prediction_batches_are_bounded_and_start_with_the_longest(lengths: np.ndarray) -> None:
    batches = by_length(lengths, tokens=1000, rows=20)
    assert sorted(np.concatenate(batches)) == list(range(1003))
    assert lengths[batches[0][0]] == lengths.max()
    for batch in batches:
        assert len(batch) <= 20
        assert lengths[batch].max() * len(batch) <= 1000 or len(batch) == 1


def test_where_a_batch_has_enough_only_like_lengths_join_it(lengths: np.ndarray) -> None:
    batches = by_length(lengths, tokens=1000, rows=20, enough=300)
    assert np.array_equal(np.concatenate(batches), np.argsort(-lengths, kind="stable"))
    for batch in batches[:-1]:
        longest, shortest = lengths[batch].max(), lengths[batch].min()
        assert longest * len(batch) >= 300 or len(batch) == 20
        assert shortest >= longest * 7 / 8 or longest * (len(batch) - 1) < 300
        assert longest * len(batch) <= 1000


def test_a_row_longer_than_the_bound_stands_alone() -> None:
    assert [batch.tolist() for batch in by_length(np.array([3, 50, 3]), tokens=10)] == [[1], [0, 2]]


def test_no_rows_give_no_batches() -> None:
    assert by_length(np.array([], dtype=np.int64)) == []


def test_a_batch_is_padded_to_its_own_longest_row() -> None:
    ids = [np.array([5, 6, 7]), np.array([8]), np.array([1, 2, 3, 4])]
    batch = collate(ids, np.array([1, 0]), 9, CPU)
    assert batch.ids.tolist() == [[8, 9, 9], [5, 6, 7]]
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.lengths().tolist() == [1, 3]
    assert batch.ids.dtype == torch.int64


def test_rows_of_one_length_need_no_mask() -> None:
    batch = collate([np.array([1, 2]), np.array([3, 4])], np.array([0, 1]), 0, CPU)
    assert batch.mask is None
    assert batch.lengths().tolist() == [2, 2]
