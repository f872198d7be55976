"""From scores of tokens to entities: the tags of a text's units, each from where it was read with most context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transferlm.outputs import Stretch
from transferlm.tasks._links import logarithms
from transferlm.tasks._predictions import Entity

__all__ = ["decoded", "tags_of_tokens", "tags_of_units"]


def tags_of_units(units: np.ndarray, entities: Sequence[Entity], labels: Sequence[str]) -> np.ndarray:
    """The tag of each unit: 0 outside, 1 + 2 k where an entity of label k begins, 2 + 2 k within one.

    Args:
        units: int32 of shape (units, 2): what is tagged as one.
        entities: Those of the text.
        labels: Label names.
    """
    tags = np.zeros(len(units), dtype=np.int64)
    for entity in entities:
        first = int(np.searchsorted(units[:, 1], entity.start, side="right"))
        last = int(np.searchsorted(units[:, 0], entity.end, side="left"))
        begin = 1 + 2 * list(labels).index(entity.label)
        tags[first:last] = begin + 1
        tags[first : min(first + 1, last)] = begin
    return tags


def tags_of_tokens(
    units: np.ndarray, entities: Sequence[Entity], offsets: np.ndarray, labels: Sequence[str], first_only: bool = False
) -> np.ndarray:
    """The tag of each token, that of the first unit it has a character of; -1 where it has none.

    Args:
        units: int32 of shape (units, 2): what is tagged as one.
        entities: Those of the text.
        offsets: int32 of shape (tokens, 2).
        labels: Label names.
        first_only: Whether tokens without the first character of their unit have -1 too.
    """
    tags = np.append(tags_of_units(units, entities, labels), -1)
    first, last = _touched(units, offsets)
    own = np.where(last > first, first, len(units))
    if first_only and len(units):
        own = np.where(offsets[:, 0] <= np.append(units[:, 0], 0)[own], own, len(units))
    return tags[own]


def decoded(
    text: str, words: np.ndarray, units: np.ndarray, stretches: Sequence[Stretch], labels: Sequence[str]
) -> list[Entity]:
    """The entities with the most probable tags of which none is impossible (an inner one without a first).

    A word's scores are the mean of tokens of one stretch: one that holds the most of them, and of those the one in
    which the nearer end of what was read is farthest away. They are all of the word's, or where tokens have seen what
    follows them, and the first alone had learnt, those up to the word's first sign.

    Args:
        text: The text.
        words: int32 of shape (words, 2): what is tagged as one.
        units: int32 of shape (units, 2): these parted at every sign; may be the same.
        stretches: Its tokens' scores.
        labels: Label names.
    """
    words = _read(words, stretches)
    if not len(words):
        return []
    logs = logarithms(_word_scores(words, _read(units, stretches), stretches, 1 + 2 * len(labels), len(text)))
    tags = _most_probable(logs)
    chances = logs[np.arange(len(tags)), tags]
    found = []
    starts = np.flatnonzero(tags % 2 == 1)
    for start in starts:
        end = start + 1
        while end < len(tags) and tags[end] == tags[start] + 1:
            end += 1
        begin, stop = int(words[start, 0]), int(words[end - 1, 1])
        probability = float(np.exp(chances[start:end].sum()))
        found.append(Entity(begin, stop, labels[(tags[start] - 1) // 2], text[begin:stop], probability))
    return found


def _touched(units: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first unit that each token has a character of, and the one after the last."""
    first = np.searchsorted(units[:, 1], offsets[:, 0], side="right")
    last = np.searchsorted(units[:, 0], offsets[:, 1], side="left")
    return first, np.where(offsets[:, 1] > offsets[:, 0], last, first)


def _read(units: np.ndarray, stretches: Sequence[Stretch]) -> np.ndarray:
    """The units that some token stands for: a joiner within an emoji, which many tokenizers drop, ends no entity."""
    read = np.zeros(len(units) + 1, dtype=np.int64)
    for stretch in stretches:
        first, last = _touched(units, stretch.offsets)
        np.add.at(read, first, 1)
        np.add.at(read, last, -1)
    return units[np.cumsum(read)[:-1] > 0]


def _word_scores(
    words: np.ndarray, units: np.ndarray, stretches: Sequence[Stretch], size: int, length: int
) -> np.ndarray:
    """float64 of shape (words, size); a word that no token speaks for scores 0 throughout but for being outside."""
    scores = np.zeros((len(words), size))
    scores[:, 0] = 1.0
    most, best = np.zeros(len(words), dtype=np.int64), np.full(len(words), -1.0)
    heads = np.stack([words[:, 0], units[np.searchsorted(units[:, 1], words[:, 0], side="right"), 1]], axis=1)
    for stretch in stretches:
        first, last = _touched(heads if stretch.ahead else words, stretch.offsets)
        counts = last - first
        tokens = np.repeat(np.arange(len(counts)), counts)
        places = np.arange(len(tokens)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
        context = np.full(len(words), np.inf)
        np.minimum.at(context, places, _context(stretch.offsets, length)[tokens])
        sums, shares = np.zeros((len(words), size)), np.bincount(places, minlength=len(words))
        np.add.at(sums, places, stretch.scores[tokens])
        better = (shares > most) | ((shares == most) & (shares > 0) & (context > best))
        scores[better] = sums[better] / shares[better, None]
        most[better], best[better] = shares[better], context[better]
    return scores


def _context(offsets: np.ndarray, length: int) -> np.ndarray:
    """How far the nearer end of the stretch is from each token, in tokens; an end of the text itself is no end."""
    places = np.arange(len(offsets), dtype=np.float64)
    if not len(offsets):
        return places
    left = places if offsets[0, 0] > 0 else np.full(len(places), np.inf)
    right = places[::-1] if offsets[-1, 1] < length else np.full(len(places), np.inf)
    return np.asarray(np.minimum(np.minimum(left, right), 1e9))


def _most_probable(logs: np.ndarray) -> np.ndarray:
    """The most probable tags of which none is impossible, by dynamic programming (Viterbi 1967)."""
    tags: np.ndarray = logs.argmax(axis=1)
    before = np.concatenate([[0], tags[:-1]])
    if not ((tags > 0) & (tags % 2 == 0) & (before != tags) & (before != tags - 1)).any():
        return tags
    size = logs.shape[1]
    allowed = np.zeros((size, size))
    inner = np.arange(2, size, 2)
    allowed[:, inner] = -np.inf
    allowed[inner, inner] = allowed[inner - 1, inner] = 0.0
    total = np.where((np.arange(size) > 0) & (np.arange(size) % 2 == 0), -np.inf, logs[0])
    back = np.zeros(logs.shape, dtype=np.int64)
    for place in range(1, len(logs)):
        paths = total[:, None] + allowed
        back[place] = paths.argmax(axis=0)
        total = paths[back[place], np.arange(size)] + logs[place]
    best = np.zeros(len(logs), dtype=np.int64)
    best[-1] = total.argmax()
    for place in range(len(logs) - 1, 0, -1):
        best[place - 1] = back[place, best[place]]
    return best
