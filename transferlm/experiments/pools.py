"""What a comparison trains on: rows that repeat nothing and stand in no test part, and the draws from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from transferlm.errors import DataError
from transferlm.experiments.wording import sized
from transferlm.progress import say
from transferlm.tasks.base import Examples
from transferlm.text.draws import draw, draw_rows
from transferlm.text.duplicates import exact_duplicates, keep_first, leaks, near_duplicates

__all__ = ["cleaned", "drawn"]

Draws = dict[tuple[int, int], np.ndarray]
"""(size, seed) -> row numbers of the pool."""


def cleaned(train: Examples, test: Examples) -> tuple[Examples, dict[str, Any]]:
    """The training rows without repeats and without rows of the test part, and facts on what was left out.

    A pair repeats another where its two texts together do. Questions about one context are no repeats of each other,
    long as the context may be that they share: of these equal ones alone are left out, and all whose context stands,
    exactly or nearly, in the test part.

    Raises:
        DataError: Nothing is left.
    """
    ours, theirs = train.task.groups(train.texts), test.task.groups(test.texts)
    alike = near_duplicates(train.strings) if ours is None else exact_duplicates(train.strings)
    kept = keep_first(alike, len(train))
    leaking = {pair[0] for pair in leaks(ours or train.strings, theirs or test.strings)}
    rows = np.array([row for row in kept if row not in leaking], dtype=np.int64)
    facts = {
        "training rows given": len(train),
        "left out as duplicates": len(train) - len(kept),
        "left out because they stand in the test part": len(kept) - len(rows),
    }
    if not len(rows):
        raise DataError(f"{train.name}: every row stands in the test part: nothing is left to train on")
    if len(rows) < len(train):
        say(
            f"{train.name}: {len(train) - len(kept)} duplicates and"
            f" {len(kept) - len(rows)} rows of the test part left out"
        )
    return train.subset(rows), facts


def drawn(pool: Examples, sizes: tuple[int, ...], seeds: int, facts: dict[str, Any]) -> Draws:
    """Rows for each size and seed; what is capped is said once a size and joins the facts.

    Sizes count examples a class where each example has a class, else all examples.

    Raises:
        DataError: Fewer rows than asked.
    """
    places = [(size, seed) for size in sizes for seed in range(seeds)]
    if pool.strata is None:
        if max(sizes) > len(pool):
            raise DataError(f"{pool.name}: {max(sizes)} examples asked for, it has {len(pool)}: lower --sizes")
        within = pool.task.labels_within(pool.targets, pool.labels)
        return {(size, seed): draw_rows(len(pool), size, seed, within) for size, seed in places}
    largest = int(np.bincount(pool.targets).max())
    if max(sizes) > largest:
        raise DataError(
            f"{pool.name}: {max(sizes)} labels a class asked for, the largest class has {largest}: lower --sizes"
        )
    draws = {place: draw(pool.targets, *place) for place in places}
    for size in sizes:
        capped = {pool.labels[label]: count for label, count in draws[size, 0].caps.items()}
        if capped:
            facts[f"classes with fewer than {size} rows, which give all they have"] = capped
            say(f"{sized(size, True)}: " + ", ".join(f"{name} has only {count}" for name, count in capped.items()))
    return {place: found.rows for place, found in draws.items()}
