"""What the count-based smoothings have in common: the estimate they give, and building it from the unigrams up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.levels import Levels
from transferlm.counts.pieces import THREADS, even, even_borders, in_pieces
from transferlm.counts.symbols import BEGIN, UNKNOWN
from transferlm.counts.trie import Trie
from transferlm.errors import DataError
from transferlm.models._discounting_kernels import counts_of_counts

__all__ = [
    "Estimate",
    "Level",
    "Weigh",
    "build",
    "event_counts",
    "fraction_notes",
    "over_contexts",
    "statistics_of",
    "vocabulary_size",
]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A smoothed back-off model: p(w | h) is that of the longest n-gram of h + w that is a node of `trie`, times the
    back-off weights of the longer contexts that are nodes.

    Attributes:
        trie: The nodes that the arrays below speak of: the trie estimated from, less what was pruned.
        log_probs: float32 (nodes,) an order, natural log of p(last symbol | those before); -inf for BEGIN.
        back_offs: float32 (nodes,) an order but the last, natural log of the weight given to the shorter context; 0
            for a node that is no context, -inf where nothing is left.
        unknown: Natural log of the probability of UNKNOWN, and so of a word without a node; -inf where it has none.
        facts: What was estimated on the way, ready for JSON.
        notes: What a person should know, one sentence each.
    """

    trie: Trie
    log_probs: Sequence[np.ndarray]
    back_offs: Sequence[np.ndarray]
    unknown: float
    facts: dict[str, Any]
    notes: list[str]

    def back_off(self) -> BackOff:
        """The model, for scoring and for files."""
        trie = self.trie
        links = trie.symbols, trie.parents, trie.first, trie.suffixes
        return BackOff(*links, self.log_probs, self.back_offs, self.unknown)


@dataclass(frozen=True, eq=False)
class Level:
    """The n-grams of one order, ready for smoothing: unigrams are children of one empty context.

    Attributes:
        order: 1 for unigrams.
        first: uint32 (contexts + 1,), where the n-grams of each context begin.
        suffixes: uint32 (nodes,), the place of each n-gram's suffix in `lower`.
        lower: float64, the probabilities of the order below; for unigrams the uniform one, of one element.
    """

    order: int
    first: np.ndarray
    suffixes: np.ndarray
    lower: np.ndarray


Weigh = Callable[[Level], tuple[np.ndarray, np.ndarray]]
"""A level to its float64 probabilities (nodes,) and weights for the shorter context (contexts,)."""


def build(
    trie: Trie, weigh: Weigh, facts: dict[str, Any], notes: list[str], kept: Sequence[np.ndarray] | None = None
) -> Estimate:
    """Smooth each order on those below it.

    Args:
        trie: The counted n-grams.
        weigh: The smoothing; called once an order, unigrams first.
        facts: Given on; the number of n-grams of each order joins it under `ngrams`.
        notes: Given on.
        kept: Which nodes of each order stay in the model; None keeps all.
    """
    uniform = np.array([1 / vocabulary_size(trie)])
    bounds = [np.array([0, trie.nodes(1)], np.uint32), *trie.first]
    log_probs: Sequence[np.ndarray] = Levels.empty([trie.nodes(order + 1) for order in range(trie.order)], np.float32)
    back_offs = []
    lower, unknown = uniform, -math.inf
    for order in range(1, trie.order + 1):
        lower, left = weigh(Level(order, bounds[order - 1], trie.suffixes[order - 1], lower))
        if order == 1:
            lower[trie.symbols[0] == BEGIN] = 0
            unknown = _unknown(trie, lower, float(left[0] * uniform[0]))
        else:
            back_offs.append(np.empty(len(left), np.float32))
            _write_logs(left, back_offs[-1])
        _write_logs(lower, log_probs[order - 1])
    if kept is not None:
        trie = trie.only(kept)
        log_probs = [values[marks] for values, marks in zip(log_probs, kept, strict=True)]
        back_offs = [values[marks] for values, marks in zip(back_offs, kept[:-1], strict=True)]
    facts = {**facts, "ngrams": [trie.nodes(order + 1) for order in range(trie.order)]}
    return Estimate(trie, log_probs, back_offs, unknown, facts, notes)


def over_contexts(
    kernel: Callable[..., None], level: Level, values: np.ndarray, *settings: Any
) -> tuple[np.ndarray, np.ndarray]:
    """What a kernel gives for all contexts of a level: probabilities, and what each leaves to the shorter context."""
    probabilities, left = np.empty(len(values), np.float64), np.empty(len(level.first) - 1, np.float64)
    work = partial(kernel, values, *settings, level.first, level.suffixes, level.lower, probabilities, left)
    in_pieces(work, even_borders(level.first, THREADS))
    return probabilities, left


def statistics_of(values: np.ndarray, top: int) -> list[int]:
    """How many values, rounded up, are 0 (not told: 0), 1, 2 and so on to `top`."""
    parts = in_pieces(partial(counts_of_counts, values, top), even(len(values), THREADS))
    found: list[int] = np.sum(parts, axis=0).tolist()
    return found


def event_counts(trie: Trie, order: int) -> np.ndarray:
    """The counts of one order as float64, with 0 for BEGIN, which nothing predicts."""
    counts = trie.counts[order - 1].astype(np.float64)
    if order == 1:
        counts[trie.symbols[0] == BEGIN] = 0
    return counts


def vocabulary_size(trie: Trie) -> int:
    """How many symbols may be predicted: all that occur but BEGIN, and UNKNOWN whether or not it occurs.

    Raises:
        DataError: Nothing was counted.
    """
    symbols = trie.symbols[0]
    predicted = int(np.count_nonzero(symbols != BEGIN))
    if not predicted:
        raise DataError("nothing was counted, so there is nothing to estimate from: give at least one text")
    return predicted + int(not np.any(symbols == UNKNOWN))


def fraction_notes(trie: Trie) -> list[str]:
    """What to say of discounts where n-grams are counted in fractions, as in a table that was scaled."""
    if trie.first_counts(1, 1).dtype.kind != "f" or not any(
        np.any(counts != np.floor(counts)) for counts in trie.counts
    ):
        return []
    return ["Some counts are not whole: they are discounted like the next whole number."]


def _unknown(trie: Trie, unigrams: np.ndarray, unseen: float) -> float:
    """Log probability of UNKNOWN: its node's where it has one, else of a word never seen."""
    own = np.flatnonzero(trie.symbols[0] == UNKNOWN)
    probability = float(unigrams[own[0]]) if len(own) else unseen
    return math.log(probability) if probability > 0 else -math.inf


def _write_logs(probabilities: np.ndarray, logs: np.ndarray) -> None:
    """Natural logs, taken in 64 bits and kept in 32."""

    def write(begin: int, end: int) -> None:
        with np.errstate(divide="ignore"):
            np.log(probabilities[begin:end], out=logs[begin:end], dtype=np.float64, casting="same_kind")

    in_pieces(write, even(len(logs), THREADS))
