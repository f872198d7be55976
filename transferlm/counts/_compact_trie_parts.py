"""The parts of a compact trie: n-grams by their last symbol first, where their children begin, packed numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from transferlm.counts import _compact_trie_kernels as kernels
from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, FIRST_WORD, UNKNOWN

__all__ = ["Order", "grouped", "numbers_of", "orders_of", "packed", "unigrams_of", "width_of", "words_of"]


class Order(NamedTuple):
    """The n-grams of one order as the trie numbers them.

    Attributes:
        places: int64 (n-grams,): where each stands in the model.
        symbols: uint32 (n-grams,): the first symbol of each.
        children: int64 (n-grams one order lower,): how many of them have one symbol more before each of those.
    """

    places: np.ndarray
    symbols: np.ndarray
    children: np.ndarray


def orders_of(model: BackOff, vocabulary: int) -> Iterator[Order]:
    """The orders from the second on, each sorted by the number of the n-gram without its first symbol, then by that.

    Below the n-grams of two symbols stands every symbol of the vocabulary.
    """
    numbers, nodes, first_symbols = model.symbols[0].astype(np.int64), vocabulary, model.symbols[0]
    for suffixes, parents in zip(model.suffixes[1:], model.parents[1:], strict=True):
        shorter, first_symbols = numbers[suffixes], first_symbols[parents]
        places = np.argsort(shorter << 32 | first_symbols, kind="stable")
        yield Order(places, first_symbols[places], np.bincount(shorter, minlength=nodes))
        numbers, nodes = np.empty(len(places), np.int64), len(places)
        numbers[places] = np.arange(nodes)


def unigrams_of(model: BackOff, taken: np.ndarray | float, vocabulary: int) -> np.ndarray:
    """float32 (symbols, 3): log-probability, not a number where it has none of its own; back-off weight less what is
    `taken` from all log-probabilities after the symbol; and that.
    """
    listed = model.symbols[0]
    highest = int(listed[-1]) + 1 if len(listed) else 0
    unigrams = np.zeros((max(FIRST_WORD, highest, vocabulary), 3), np.float32)
    unigrams[:, kernels.LOG_PROB] = np.nan
    unigrams[[BEGIN, UNKNOWN], kernels.LOG_PROB] = -np.inf, model.unknown
    unigrams[listed, kernels.LOG_PROB], unigrams[listed, kernels.TAKEN] = model.log_probs[0], taken
    if model.order > 1:
        unigrams[listed, kernels.BACK_OFF] = model.back_offs[0] - taken
    return unigrams


def grouped(counts: Sequence[np.ndarray], begin: int) -> tuple[np.ndarray, np.ndarray]:
    """Where children begin, as the places of groups and how much later those of each n-gram are.

    Args:
        counts: Children of each n-gram, int64 (n-grams,) an order.
        begin: The first one's place.

    Returns:
        uint32 (groups,); int64 (32 * groups,), with the end of the last one's children among them.
    """
    bounds = np.cumsum(np.concatenate([np.array([begin], np.int64), *counts]))
    places = np.pad(bounds, (0, -len(bounds) % kernels.GROUP), mode="edge").reshape(-1, kernels.GROUP)
    return places[:, 0].astype(np.uint32), (places - places[:, :1]).reshape(-1)


def width_of(most: int) -> int:
    """Bits that the whole numbers up to `most` take, one at least."""
    return max(1, int(most).bit_length())


def words_of(count: int, width: int) -> int:
    """Words that so many packed numbers take: one more than they fill, since two are read at a time."""
    return (count * width + 31) // 32 + 1


def packed(parts: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Numbers of `width` bits, 1 to 32, one after the other: uint32."""
    numbers = np.concatenate([np.zeros(0, np.uint32), *parts])
    words = np.zeros(words_of(len(numbers), width), np.uint32)
    kernels.pack(numbers, width, words)
    return words


def numbers_of(words: np.ndarray, count: int, width: int) -> np.ndarray:
    """The first numbers that `packed` laid into words: int64 (count,)."""
    at = np.arange(count) * width
    pairs = words[at >> 5].astype(np.uint64) | words[(at >> 5) + 1].astype(np.uint64) << np.uint64(32)
    numbers: np.ndarray = pairs >> (at & 31).astype(np.uint64) & np.uint64((1 << width) - 1)
    return numbers.astype(np.int64)
