"""How often each of several tasks is trained on, and in which order their batches come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transferlm.seeding import derive

__all__ = ["batches_of_each", "mixed", "mixing_rates"]


def mixing_rates(sizes: Sequence[int], temperature: float, limit: int) -> np.ndarray:
    """The share of each task among all batches, float64 of shape (tasks,), in sum 1.

    A task of n examples has a share proportional to min(n, limit)^(1 / temperature) (Raffel et al. 2020, section
    3.5.2): at temperature 1 as many as it has examples, at higher ones small tasks have more, at infinity all alike.

    Args:
        sizes: Examples of each task.
        temperature: 1 or above.
        limit: Examples from which a task counts as no larger.

    >>> mixing_rates([100, 900], 1.0, 10_000).tolist(), mixing_rates([100, 900], 2.0, 10_000).tolist()
    ([0.1, 0.9], [0.25, 0.75])
    >>> mixing_rates([100, 900], 1.0, 100).tolist()
    [0.5, 0.5]
    """
    weights = np.minimum(np.asarray(sizes, dtype=np.float64), limit) ** (1 / temperature)
    return np.asarray(weights / weights.sum())


def batches_of_each(rates: np.ndarray, total: int) -> np.ndarray:
    """How many of `total` batches each task has: its share by largest remainders, and one at the least.

    >>> batches_of_each(np.array([0.25, 0.75]), 10).tolist(), batches_of_each(np.array([0.01, 0.99]), 10).tolist()
    ([3, 7], [1, 9])
    """
    spare = max(0, total - len(rates)) * rates
    counts = 1 + spare.astype(np.int64)
    missing = max(total, len(rates)) - int(counts.sum())
    counts[np.argsort(spare.astype(np.int64) - spare, kind="stable")[:missing]] += 1
    return np.asarray(counts)


def mixed(counts: np.ndarray, seed: int, epoch: int) -> list[tuple[int, int]]:
    """An epoch's batches in random order, each as its task and its number among that task's batches of all epochs.

    A task goes on in its own examples from epoch to epoch, so that one with few batches an epoch still shows them all.

    >>> mixed(np.array([1, 2]), 0, 0)
    [(0, 0), (1, 0), (1, 1)]
    >>> sorted(mixed(np.array([1, 2]), 0, 3))
    [(0, 3), (1, 6), (1, 7)]
    """
    order = np.random.default_rng(derive(seed, "tasks", epoch)).permutation(np.repeat(np.arange(len(counts)), counts))
    taken = epoch * counts
    batches = []
    for task in order.tolist():
        batches.append((task, int(taken[task])))
        taken[task] += 1
    return batches
