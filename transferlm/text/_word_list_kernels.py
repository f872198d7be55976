"""Kernels of word lists: words as letters and ends, sorted, gathered and merged by their bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["gather", "merge", "prefixes"]

Array = np.ndarray
Index = Any


@njit(cache=True, nogil=True)
def prefixes(letters: Array, ends: Array) -> Array:
    """The first eight bytes of each word as a number whose order is theirs; zeros where a word is shorter."""
    keys = np.zeros(ends.size, np.uint64)
    begin = 0
    for word in range(ends.size):
        for i in range(8):
            byte = np.uint64(letters[begin + i]) if begin + i < ends[word] else np.uint64(0)
            keys[word] = (keys[word] << np.uint64(8)) | byte
        begin = ends[word]
    return keys


@njit(cache=True, nogil=True)
def gather(letters: Array, ends: Array, order: Array) -> tuple[Array, Array]:
    """(letters, ends) of the words `order` names, in that order."""
    new_ends = np.empty(order.size, np.int64)
    size = 0
    for i in range(order.size):
        word = order[i]
        size += ends[word] - (ends[word - 1] if word else 0)
        new_ends[i] = size
    new_letters = np.empty(size, np.uint8)
    at = 0
    for word in order:
        for letter in range(ends[word - 1] if word else 0, ends[word]):
            new_letters[at] = letters[letter]
            at += 1
    return new_letters, new_ends


@njit(cache=True, nogil=True)
def _compare(letters: Array, begin: Index, end: Index, other: Array, other_begin: Index, other_end: Index) -> Index:
    """Below, at or above 0 as the first bytes stand before, with or after the second."""
    for i in range(min(end - begin, other_end - other_begin)):
        difference = np.int64(letters[begin + i]) - np.int64(other[other_begin + i])
        if difference:
            return difference
    return (end - begin) - (other_end - other_begin)


@njit(cache=True, nogil=True)
def merge(letters: Array, ends: Array, other: Array, other_ends: Array) -> tuple[Array, Array, Index]:
    """Where the words of two sorted lists stand in their union: (numbers, other_numbers, words of the union)."""
    numbers = np.empty(ends.size, np.int64)
    other_numbers = np.empty(other_ends.size, np.int64)
    i = j = union = 0
    while i < ends.size or j < other_ends.size:
        if j == other_ends.size:
            side = -1
        elif i == ends.size:
            side = 1
        else:
            begin = ends[i - 1] if i else 0
            other_begin = other_ends[j - 1] if j else 0
            side = _compare(letters, begin, ends[i], other, other_begin, other_ends[j])
        if side <= 0:
            numbers[i] = union
            i += 1
        if side >= 0:
            other_numbers[j] = union
            j += 1
        union += 1
    return numbers, other_numbers, union
