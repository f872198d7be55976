"""Two spaces of word vectors laid over one another by a rotation: with a dictionary, or finding one on the way.

Vectors are compared at unit length, after their mean was taken off (Artetxe, Labaka & Agirre 2016). The map is
orthogonal (Xing et al. 2015; Smith et al. 2017), so that all angles within a space stay. Words are translated by
cross-domain similarity local scaling (CSLS: Conneau et al. 2018), which takes from a cosine how near both words are to
everything, since some words are near to all ("hubs").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from transferlm.progress import Progress

__all__ = ["Induction", "by_distribution", "induced", "normalised", "orthogonal", "translated"]

_AT_ONCE = 1 << 24
"""Cosines computed at a time: 67 MB."""
_PATIENCE, _LEAST_GAIN, _FIRST_KEPT = 50, 1e-6, 0.1
"""Of self-learning: rounds without gain before more of the similarities are kept, the gain that counts, and their share
at first (Artetxe, Labaka & Agirre 2018, section 3.3)."""


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Vectors at unit length, less their mean, at unit length again: float32 of the same shape; zeros stay zeros."""
    units = _units(np.asarray(vectors, np.float32))
    return _units(units - units.mean(axis=0))


def orthogonal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The orthogonal R for which `one @ R` is nearest to `other`, pair by pair (Procrustes: Schoenemann 1966).

    Args:
        one: Vectors of shape (pairs, width).
        other: Their counterparts, of the same shape.

    Returns:
        U V' of the singular value decomposition of one' other: float32 of shape (width, width).

    >>> orthogonal(np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]])).round(6).tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    """
    left, _, right = np.linalg.svd(one.T.astype(np.float64) @ other.astype(np.float64))
    return np.asarray(left @ right, np.float32)


def translated(one: np.ndarray, other: np.ndarray, asked: np.ndarray, neighbours: int = 10) -> np.ndarray:
    """The row of `other` that each asked row of `one` has the largest CSLS with: int64 of shape (asked,).

    CSLS(x, y) = 2 cos(x, y) - r(x) - r(y), where r is a word's mean cosine with its nearest neighbours in the other
    space; r(x) changes nothing in the order of the y and is left out.

    Args:
        one: Unit vectors of one space, turned into the other already.
        other: Unit vectors of the other space.
        asked: Rows of `one`.
        neighbours: How many nearest neighbours; 0 compares cosines alone.
    """
    near = _nearness(other, one, neighbours) if neighbours else np.zeros(len(other), np.float32)
    best = np.empty(len(asked), np.int64)
    for place, cosines in _blocks(one[asked], other):
        best[place] = np.argmax(2 * cosines - near, axis=1)
    return best


def by_distribution(one: np.ndarray, other: np.ndarray, neighbours: int = 10) -> np.ndarray:
    """A first dictionary without any word in common: words whose likeness to all others is distributed alike.

    A word's similarities to the words of its own space, sorted, are the same in any language as far as the spaces are
    isometric; those of the square root of the similarity matrix are compared (Artetxe et al. 2018, section 3.2).

    Args:
        one: Normalised vectors of the most frequent words: 2,000 to 4,000.
        other: As many of the other space.
        neighbours: Of CSLS.

    Returns:
        int64 of shape (pairs, 2): each word's most alike one, in both directions.
    """
    count = min(len(one), len(other))
    sorted_rows = []
    for vectors in (one[:count], other[:count]):
        left, lengths, _ = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
        sorted_rows.append(normalised(np.sort((left * lengths) @ left.T, axis=1)))
    pairs, _ = _dictionary(sorted_rows[0], sorted_rows[1], neighbours, 1.0, np.random.default_rng(0))  # all are kept
    return pairs


@dataclass(frozen=True)
class Induction:
    """A map that was found by self-learning.

    Attributes:
        rotation: Turns the first space into the second: float32 of shape (width, width).
        pairs: The dictionary that it was fitted to: int64 of shape (pairs, 2).
        likeness: Mean over words, of both spaces, of the score of the best partner.
        rounds: How many were run.
    """

    rotation: np.ndarray
    pairs: np.ndarray
    likeness: float
    rounds: int


def induced(
    one: np.ndarray, other: np.ndarray, pairs: np.ndarray, neighbours: int, rounds: int | None, seed: int
) -> Induction:
    """Self-learning: a map from the dictionary, a dictionary from the map, and so on (Artetxe et al. 2018).

    With `rounds` None each round leaves out similarities at random, at first nine of ten, so that it gets out of poor
    optima, and all are kept in the end; it stops when the likeness no longer rises. Given a number, it keeps them all.

    Args:
        one: Normalised vectors of the most frequent words of the first space.
        other: Those of the second.
        pairs: The dictionary to begin with: int64 (pairs, 2).
        neighbours: Of CSLS.
        rounds: How many; None until nothing is gained any more.
        seed: Decides what is left out.
    """
    generator = np.random.default_rng(seed)
    kept, best, since, done = (_FIRST_KEPT if rounds is None else 1.0), -np.inf, 0, 0
    found = Induction(orthogonal(one[pairs[:, 0]], other[pairs[:, 1]]), pairs, best, 0)
    with Progress("laying the spaces over one another", rounds, "rounds") as progress:
        while rounds is None or done < rounds:
            turned = one @ found.rotation
            pairs, likeness = _dictionary(turned, other, neighbours, kept, generator)
            done += 1
            found = Induction(orthogonal(one[pairs[:, 0]], other[pairs[:, 1]]), pairs, likeness, done)
            progress.advance()
            if likeness > best + _LEAST_GAIN:
                best, since = likeness, 0
            else:
                since += 1
            if rounds is None and since > (_PATIENCE if kept < 1 else 0):
                if kept >= 1:
                    break
                kept, since = min(1.0, 2 * kept), 0
                best = best if kept < 1 else -np.inf  # from here on it climbs, from where chance has led it
    return found


def _dictionary(
    one: np.ndarray, other: np.ndarray, neighbours: int, kept: float, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Each word's best partner, in both directions, and the mean score of the best that there would have been."""
    found, likeness = [], []
    for forward, (own, others) in enumerate(((other, one), (one, other))):
        near = _nearness(others, own, neighbours)
        partners = np.empty(len(own), np.int64)
        for place, cosines in _blocks(own, others):
            scores = cosines - near / 2
            likeness.append(scores.max(axis=1))
            if kept < 1:
                scores[generator.random(scores.shape, np.float32) >= kept] = -np.inf
            partners[place] = np.argmax(scores, axis=1)
        rows = np.arange(len(own))
        found.append(np.stack([rows, partners] if forward else [partners, rows], axis=1))
    return np.concatenate(found), float(np.concatenate(likeness).mean())


def _nearness(one: np.ndarray, other: np.ndarray, neighbours: int) -> np.ndarray:
    """Each row's mean cosine with its nearest neighbours in the other space: float32 of shape (rows of one,)."""
    count = min(neighbours, len(other))
    found = np.zeros(len(one), np.float32)
    if not count:
        return found
    for place, cosines in _blocks(one, other):
        found[place] = np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)
    return found


def _blocks(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Products of all rows of the first with all of the second, some rows of the first at a time."""
    step = max(1, _AT_ONCE // len(other))
    for start in range(0, len(one), step):
        place = slice(start, start + step)
        yield place, one[place] @ other.T


def _units(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, np.float32(1)), np.float32)
