"""Parts for training and testing: stratified, seeded, and made after duplicates are removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.seeding import derive
from transferlm.text.duplicates import exact_duplicates, keep_first, near_duplicates

__all__ = ["Labels", "Split", "grouped_split", "in_random_order", "rows_by_class", "split", "stratified_split"]

Labels = Sequence[Hashable] | np.ndarray
"""The label of each row."""


@dataclass(frozen=True)
class Split:
    """A split made after duplicates were removed.

    Attributes:
        parts: Index arrays into the texts given, one a part, int64, ascending.
        exact: Rows removed because an equal text stands before them.
        near: Rows removed because a nearly equal text stands before them.
        conflicting: Groups of duplicates whose labels differ; the first row's label was kept.
    """

    parts: list[np.ndarray]
    exact: int
    near: int
    conflicting: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What was removed, one sentence each; empty when nothing was."""
        notes = []
        if self.exact or self.near:
            notes.append(f"{self.exact:,} exact and {self.near:,} near duplicates were removed before splitting.")
        if self.conflicting:
            notes.append(f"{self.conflicting:,} groups of duplicates carried different labels; the first one was kept.")
        return tuple(notes)


def stratified_split(labels: Labels, parts: Sequence[float] | Sequence[int], seed: int = 0) -> list[np.ndarray]:
    """Split rows at random so that every part has the classes in the same proportion.

    Args:
        labels: The label of each row.
        parts: Fractions that sum to 1 (`[0.8, 0.2]`), or numbers of rows (`[800, 200]`; rows beyond their sum
            are in no part).
        seed: The same seed gives the same parts.

    Returns:
        One int64 array of row indices a part, ascending. Every class is in every part, and its share of a
        part is off by less than one row where its size allows.

    Raises:
        SettingError: Fractions that do not sum to 1, or sizes below 1.
        DataError: A class has fewer rows than there are parts, a part is smaller than the number of classes,
            or more rows are asked than there are.

    >>> train, test = stratified_split("aaaabbbb", [0.75, 0.25])
    >>> ["aaaabbbb"[i] for i in train], ["aaaabbbb"[i] for i in test]
    (['a', 'a', 'a', 'b', 'b', 'b'], ['a', 'b'])
    """
    sizes = _sizes(parts, len(labels))
    rows = rows_by_class(labels)
    short = min(rows, key=lambda name: len(rows[name]))
    if len(rows[short]) < len(sizes):
        count = f"{len(rows[short])} row{'s' if len(rows[short]) > 1 else ''}"
        raise DataError(f"class {short!r} has {count}, too few for {len(sizes)} parts: add rows or leave it out")
    if min(sizes) < len(rows):
        raise DataError(f"a part of {min(sizes)} rows can't hold all {len(rows)} classes: make it larger")
    shuffled = {name: in_random_order(rows[name], seed, "split", name) for name in rows}
    taken: dict[Hashable, int] = dict.fromkeys(rows, 0)
    left = {name: len(rows[name]) for name in rows}
    unused = len(labels) - sum(sizes)
    result = []
    for position, size in enumerate(sizes):
        reserve = len(sizes) - position - 1
        counts = _allocate(size, left, reserve, last=not reserve and not unused)
        chosen = [shuffled[name][taken[name] : taken[name] + counts[name]] for name in rows]
        result.append(np.sort(np.concatenate(chosen)))
        for name in rows:
            taken[name] += counts[name]
            left[name] -= counts[name]
    return result


def grouped_split(
    groups: Sequence[Hashable], parts: Sequence[float] | Sequence[int], seed: int = 0
) -> list[np.ndarray]:
    """Split rows at random so that the rows of a group stay together (questions about one context).

    Args:
        groups: The group of each row.
        parts: As in `stratified_split`; sizes are met as nearly as the groups allow. Groups of more than half
            the smallest part are placed first, the largest before all, and the others in random order.
        seed: The same seed gives the same parts.

    Returns:
        One int64 array of row indices a part, ascending; none is empty.

    Raises:
        SettingError: Fractions that do not sum to 1, or sizes below 1.
        DataError: There are fewer groups than parts, or more rows are asked than there are.

    >>> [part.tolist() for part in grouped_split("aabbbbcc", [0.75, 0.25])]
    [[0, 1, 2, 3, 4, 5], [6, 7]]
    """
    wanted = np.array(_sizes(parts, len(groups)), dtype=np.int64)
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    if len(rows) < len(wanted):
        raise DataError(f"{len(rows)} groups can't fill {len(wanted)} parts: the rows of a group stay together")
    members, taken = list(rows.values()), np.zeros(len(wanted), dtype=np.int64)
    sizes = np.array([len(member) for member in members])
    order = np.random.default_rng(derive(seed, "groups")).permutation(len(members))
    large = np.where(sizes > wanted.min() / 2, sizes, 0)
    order = order[np.argsort(-large[order], kind="stable")]
    chosen: list[list[int]] = [[] for _ in wanted]
    for done, place in enumerate(order):
        empty = np.flatnonzero(taken == 0)
        last_chance = len(empty) >= len(order) - done
        part = int(empty[0]) if last_chance else int(np.argmax(wanted - taken))
        chosen[part] += members[place]
        taken[part] += len(members[place])
    return [np.sort(np.array(part, dtype=np.int64)) for part in chosen]


def split(
    texts: Sequence[str],
    labels: Labels | None,
    parts: Sequence[float] | Sequence[int] = (0.8, 0.2),
    seed: int = 0,
    threshold: float = 0.9,
    groups: Sequence[str] | None = None,
) -> Split:
    """Remove exact and near duplicates, then split stratified by label, so that no part knows another's
    texts.

    Where rows belong to texts of their own, exact duplicates alone are removed, and rows whose texts are equal or
    nearly equal stay together.

    Args:
        texts: The texts.
        labels: The label of each, or None where there are no classes: the split is then plainly at random.
        parts: As in `stratified_split`.
        seed: The same seed gives the same parts.
        threshold: Jaccard similarity from which two texts are near-duplicates (`near_duplicates`).
        groups: The text that each row belongs to, for rows that must not be parted; labels then play no part.

    Raises:
        SettingError, DataError: As in `stratified_split`.
    """
    names = np.zeros(len(texts), dtype=np.int64) if labels is None else labels
    if len(texts) != len(names):
        raise DataError(f"{len(texts):,} texts and {len(names):,} labels: there must be one label a text")
    alike = near_duplicates(texts, threshold) if groups is None else exact_duplicates(texts)
    exact = sum(len(group) - 1 for group in exact_duplicates(texts))
    kept = keep_first(alike, len(texts))
    if groups is not None:
        first = _first_alike(groups, threshold)
        chosen = grouped_split([first[groups[i]] for i in kept], parts, seed)
    else:
        chosen = stratified_split([names[i] for i in kept], parts, seed)
    conflicting = sum(len({names[i] for i in group}) > 1 for group in alike)
    return Split([kept[part] for part in chosen], exact, len(texts) - len(kept) - exact, conflicting)


def _first_alike(texts: Sequence[str], threshold: float) -> dict[str, str]:
    """Each text -> the first one that is equal or nearly equal to it."""
    distinct = list(dict.fromkeys(texts))
    first = {text: text for text in distinct}
    for group in near_duplicates(distinct, threshold):
        first |= {distinct[place]: distinct[group[0]] for place in group}
    return first


def _sizes(parts: Sequence[float] | Sequence[int], n: int) -> list[int]:
    if not n:
        raise DataError("there are no rows to split")
    if len(parts) and all(isinstance(part, int | np.integer) for part in parts):
        sizes = [int(part) for part in parts]
        if min(sizes) < 1:
            raise SettingError(f"a part of {min(sizes)} rows: give 1 or more")
        if sum(sizes) > n:
            raise DataError(f"{sum(sizes):,} rows asked and {n:,} there: ask for fewer")
        return sizes
    if not len(parts) or abs(sum(parts) - 1) > 1e-6 or min(parts) <= 0:
        raise SettingError(f"fractions {list(parts)} must be above 0 and sum to 1, or all be whole numbers of rows")
    borders = np.rint(np.cumsum([0.0, *parts]) * n).astype(int)
    return [int(size) for size in np.diff(borders)]


def rows_by_class(labels: Labels) -> dict[Hashable, np.ndarray]:
    """Label -> its rows, labels sorted by their text so that the order of rows does not matter."""
    if not len(labels):
        raise DataError("there are no labelled rows")
    rows: dict[Hashable, list[int]] = {}
    for index, label in enumerate(labels.tolist() if isinstance(labels, np.ndarray) else labels):
        rows.setdefault(label, []).append(index)
    return {label: np.array(rows[label], dtype=np.int64) for label in sorted(rows, key=str)}


def in_random_order(rows: np.ndarray, seed: int, use: str, label: Hashable) -> np.ndarray:
    """Rows of a label in an order that seed, use and label decide."""
    return np.random.default_rng(derive(seed, use, str(label))).permutation(rows)


def _allocate(size: int, left: dict[Hashable, int], reserve: int, *, last: bool) -> dict[Hashable, int]:
    """How many rows of each class a part takes: largest remainders, at least 1, leaving `reserve` for later
    parts.
    """
    if last:
        return dict(left)
    total = sum(left.values())
    quotas = {name: size * count / total for name, count in left.items()}
    most = {name: count - reserve for name, count in left.items()}
    counts = Counter({name: min(max(1, int(quota)), most[name]) for name, quota in quotas.items()})
    while (missing := size - sum(counts.values())) != 0:
        step = 1 if missing > 0 else -1
        movable = [name for name in left if (counts[name] < most[name] if step > 0 else counts[name] > 1)]
        if not movable:
            raise DataError(f"parts so unequal leave a part without some class: no way to make one of {size} rows")
        counts[max(movable, key=lambda name: step * (quotas[name] - counts[name]))] += step
    return dict(counts)
