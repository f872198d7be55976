"""Texts that occur twice, exactly or nearly, within one set or across a training and a test part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np

from transferlm.errors import SettingError
from transferlm.text.minhash import agreement_needed, band_keys, jaccard, normalised, shingles, signatures

__all__ = ["exact_duplicates", "keep_first", "leaks", "near_duplicates"]


def exact_duplicates(texts: Iterable[str]) -> list[list[int]]:
    """Groups of two or more indices whose texts are equal, each group and the groups in order of appearance.

    >>> exact_duplicates(["a", "b", "a", "c", "b"])
    [[0, 2], [1, 4]]
    """
    places: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        places.setdefault(text, []).append(index)
    return [group for group in places.values() if len(group) > 1]


def near_duplicates(texts: Iterable[str], threshold: float = 0.9) -> list[list[int]]:
    """Groups of two or more indices whose texts say the same; exact duplicates are among them.

    Two texts are near-duplicates when they agree after normalisation (NFKC, casefold, no white space or
    punctuation) or when the Jaccard similarity of their sets of character 5-grams is at least `threshold`. A
    group holds whatever a chain of such pairs connects. Candidates come from MinHash signatures in bands and
    are verified exactly, so no pair is reported wrongly; at most 1 pair in 900 exactly at the threshold is
    missed, and far fewer above it.

    Args:
        texts: The texts.
        threshold: Jaccard similarity from 0.5 to 1; 0.9 finds copies with a few words changed.

    Returns:
        The groups, in order of their first index.

    Raises:
        SettingError: The threshold is outside that range.

    Source:
        Broder 1997; Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, chapter 3.
    """
    _check(threshold)
    places = _places(texts)
    distinct = list(places)
    groups = (
        sorted(index for position in group for index in places[distinct[position]])
        for group in _alike(distinct, threshold)
    )
    return sorted(group for group in groups if len(group) > 1)


def keep_first(groups: Iterable[Sequence[int]], n: int) -> np.ndarray:
    """The indices from 0 to n - 1 without all but the first of each group, int64, ascending.

    >>> keep_first([[0, 2], [1, 4]], 5).tolist()
    [0, 1, 3]
    """
    kept = np.ones(n, dtype=bool)
    for group in groups:
        kept[list(group[1:])] = False
    return np.flatnonzero(kept)


def leaks(train_texts: Iterable[str], test_texts: Iterable[str], threshold: float = 0.9) -> list[tuple[int, int]]:
    """Texts that stand in both the training and the test part, exactly or nearly.

    Args:
        train_texts: The training texts.
        test_texts: The test texts.
        threshold: As in `near_duplicates`.

    Returns:
        Every (training index, test index) whose texts are near-duplicates, in order of the test texts.

    Raises:
        SettingError: The threshold is outside 0.5 to 1.
    """
    _check(threshold)
    train, test = _places(train_texts), _places(test_texts)
    theirs, ours = list(train), list(test)
    pairs: list[tuple[int, int]] = []
    for text in ours:
        pairs += product(train.get(text, ()), test[text])
    shingled = lru_cache(maxsize=4096)(shingles)
    for position, near in _candidates(theirs, ours, threshold).items():
        text, own = ours[position], shingles(ours[position])
        for other in (theirs[i] for i in near):
            if other != text and jaccard(shingled(other), own) >= threshold:
                pairs += product(train[other], test[text])
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _check(threshold: float) -> None:
    if not 0.5 <= threshold <= 1:
        raise SettingError(f"a threshold of {threshold} is not between 0.5 and 1: 0.9 finds near copies")


def _places(texts: Iterable[str]) -> dict[str, list[int]]:
    """Normalised text -> its indices."""
    places: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        places.setdefault(normalised(text), []).append(index)
    return places


def _alike(distinct: list[str], threshold: float) -> list[list[int]]:
    """Positions of distinct normalised texts in groups of near-duplicates, a text like no other in its
    own.
    """
    sets = _DisjointSets(len(distinct))
    signature = signatures(distinct)
    needed = agreement_needed(threshold)
    shingled = lru_cache(maxsize=4096)(shingles)
    rejected: set[tuple[int, int]] = set()
    for bucket in _buckets(band_keys(signature, threshold)):
        apart = len({sets.root(member) for member in bucket.tolist()})
        for position, member in enumerate(bucket.tolist()):
            if apart == 1:
                break
            others = bucket[position + 1 :]
            agreeing = others[(signature[others] == signature[member]).sum(axis=1) >= needed]
            for other in agreeing.tolist():
                if (member, other) in rejected or sets.root(member) == sets.root(other):
                    continue
                if jaccard(shingled(distinct[member]), shingled(distinct[other])) >= threshold:
                    sets.join(member, other)
                    apart -= 1
                else:
                    rejected.add((member, other))
    return sets.groups()


def _candidates(train: list[str], test: list[str], threshold: float) -> dict[int, set[int]]:
    """Test position -> training positions that share a band and agree in enough of the signature."""
    if not train or not test:
        return {}
    ours, theirs = signatures(test), signatures(train)
    needed = agreement_needed(threshold)
    candidates: dict[int, set[int]] = {}
    for own_keys, their_keys in zip(band_keys(ours, threshold), band_keys(theirs, threshold), strict=True):
        order = np.argsort(their_keys, kind="stable")
        ordered = their_keys[order]
        low, high = np.searchsorted(ordered, own_keys, "left"), np.searchsorted(ordered, own_keys, "right")
        for position in np.flatnonzero(high > low):
            members = order[low[position] : high[position]]
            near = members[(theirs[members] == ours[position]).sum(axis=1) >= needed]
            candidates.setdefault(int(position), set()).update(near.tolist())
    return candidates


def _buckets(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Positions of texts that share a key, band after band, two or more at a time."""
    for band in keys:
        order = np.argsort(band, kind="stable")
        borders = np.flatnonzero(np.diff(band[order])) + 1
        starts, ends = np.concatenate([[0], borders]), np.concatenate([borders, [len(order)]])
        for i in np.flatnonzero(ends - starts > 1):
            yield order[starts[i] : ends[i]]


class _DisjointSets:
    """Union-find with path halving (Tarjan & van Leeuwen 1984)."""

    def __init__(self, n: int) -> None:
        self._parents = list(range(n))

    def root(self, i: int) -> int:
        parents = self._parents
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    def join(self, i: int, j: int) -> None:
        low, high = sorted((self.root(i), self.root(j)))
        self._parents[high] = low

    def groups(self) -> list[list[int]]:
        members: dict[int, list[int]] = {}
        for i in range(len(self._parents)):
            members.setdefault(self.root(i), []).append(i)
        return list(members.values())
