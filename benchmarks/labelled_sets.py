"""Labelled sets for benchmarks: training rows that repeat one another or stand in the test part are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import transferlm as tl
from transferlm.text.duplicates import keep_first, leaks, near_duplicates

__all__ = ["cleaned", "labelled_set"]


def labelled_set(folder: Path, name: str, test: str = "test") -> tuple[tl.Examples, tl.Examples]:
    """Training part and test part of `<name>-train.csv` and `<name>-<test>.csv`, as they are."""
    task = tl.tasks.Classification()
    train = tl.read(folder / f"{name}-train.csv", task)
    return train, task.read(folder / f"{name}-{test}.csv", labels=train.labels)


def cleaned(train: tl.Examples, test: tl.Examples) -> tl.Examples:
    """The training rows that repeat no earlier one and are near none of the test part."""
    kept = keep_first(near_duplicates(train.strings), len(train))
    leaking = {pair[0] for pair in leaks(train.strings, test.strings)}
    return train.subset(np.array([row for row in kept if row not in leaking], dtype=np.int64))
