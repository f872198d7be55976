"""Draws of few labelled rows: seeded and nested, so that a learning curve adds rows and never swaps them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.seeding import derive
from transferlm.text.splits import Labels, in_random_order, rows_by_class

__all__ = ["Draw", "draw", "draw_rows"]


class Draw(NamedTuple):
    """A few labelled examples.

    Attributes:
        rows: Their indices, int64, ascending.
        caps: Label -> its rows, for each label that has fewer than were asked; empty when none has.
    """

    rows: np.ndarray
    caps: dict[Any, int]


def draw(labels: Labels, per_class: int, seed: int = 0) -> Draw:
    """Draw the same number of rows from every class.

    Draws of one seed are nested: the 8 a class are among the 64 a class.

    Args:
        labels: The label of each row.
        per_class: Rows a class; a class with fewer gives all it has and is named in `caps`.
        seed: Another seed draws other rows.

    Raises:
        SettingError: `per_class` is below 1.
        DataError: There are no rows.
    """
    if per_class < 1:
        raise SettingError(f"{per_class} labels a class: at least 1 is needed")
    rows = rows_by_class(labels)
    chosen = [in_random_order(rows[name], seed, "draw", name)[:per_class] for name in rows]
    caps = {name: len(rows[name]) for name in rows if len(rows[name]) < per_class}
    return Draw(np.sort(np.concatenate(chosen)), caps)


def draw_rows(count: int, size: int, seed: int = 0, within: Sequence[Sequence[str]] | None = None) -> np.ndarray:
    """Draw rows that have no class of their own.

    Draws of one seed are nested. Where rows hold labels, the first drawn are a row for each label that none before has,
    the rarest label first, so that few rows still show them all; those after are drawn from all others alike.

    Args:
        count: How many rows there are.
        size: How many to draw.
        seed: Another seed draws other rows.
        within: The labels that stand in each row, if any.

    Returns:
        Their indices, int64, ascending.

    Raises:
        SettingError: `size` is below 1.
        DataError: More are asked than there are, or too few to show every label.

    >>> draw_rows(4, 2, 0, within=[["a"], ["a"], ["a"], ["b"]])[-1]
    np.int64(3)
    """
    if size < 1:
        raise SettingError(f"{size} examples: at least 1 is needed")
    if size > count:
        raise DataError(f"{size:,} examples asked and {count:,} there: ask for fewer")
    order = np.random.default_rng(derive(seed, "draw")).permutation(count)
    first = _showing_all(order, within) if within is not None else []
    if len(first) > size:
        labels = len({label for row in within or () for label in row})
        raise DataError(f"{size:,} examples can't show all {labels:,} labels: ask for {len(first):,} or more")
    rest = order[~np.isin(order, first)]
    return np.sort(np.concatenate([np.array(first, dtype=np.int64), rest])[:size])


def _showing_all(order: np.ndarray, within: Sequence[Sequence[str]]) -> list[int]:
    """Rows that show every label between them, the first ones in `order` that do."""
    counts = Counter(label for row in within for label in set(row))
    first: dict[str, int] = {}
    for row in order.tolist():
        for label in within[row]:
            first.setdefault(label, row)
    chosen, shown = [], set[str]()
    for label in sorted(counts, key=lambda label: (counts[label], label)):
        if label not in shown:
            chosen.append(first[label])
            shown.update(within[first[label]])
    return chosen
