"""Kernels of the lexicon: tokens found and hashed in one scan of UTF-8 bytes, looked up in an open-addressing table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["add", "hashes_of", "locate", "look_up", "renumber", "symbol_of", "table"]

Array = np.ndarray
Index = Any

BEGIN, END, UNKNOWN, FIRST_WORD = 1, 2, 3, 4
_SEED = np.uint64(0xCBF29CE484222325)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_HALF, _BYTE, _ZERO = np.uint64(32), np.uint64(8), np.uint64(0)


@njit(cache=True, nogil=True)
def _white_space(text: Array, at: Index, end: Index) -> Index:
    """Bytes of the Unicode White_Space character that begins at `at`, before `end`; 0 for any other."""
    byte = text[at]
    if 0x20 < byte < 0x80:
        return 0
    if byte <= 0x20:
        return 1 if byte == 0x20 or 9 <= byte <= 13 else 0
    if byte == 0xC2:
        return 2 if at + 1 < end and (text[at + 1] == 0x85 or text[at + 1] == 0xA0) else 0
    if byte < 0xE1 or byte > 0xE3 or at + 2 >= end:
        return 0
    second, third = text[at + 1], text[at + 2]
    if byte == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if byte == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if second == 0x80:
        return 3 if 0x80 <= third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0
    return 3 if second == 0x81 and third == 0x9F else 0


@njit(cache=True, nogil=True)
def _next_token(text: Array, at: Index, end: Index, characters: bool) -> tuple[Index, Index, np.uint64]:
    """Beginning, end and hash of the first token from `at` on; beginning and end are equal when there is none.

    The blank is looked for before all other white space: that makes the scan twice as quick.
    """
    while not characters and at < end:
        byte = text[at]
        if 0x20 < byte < 0xC2:
            break
        width = 1 if byte == 0x20 else _white_space(text, at, end)
        if width == 0:
            break
        at += width
    begin = at
    hashed, chunk, filled = _SEED, _ZERO, 0
    while at < end:
        byte = text[at]
        if characters:
            if at > begin and byte & 0xC0 != 0x80:
                break
        elif byte <= 0x20 or byte >= 0xC2:  # noqa: SIM102 - measured
            if byte == 0x20 or _white_space(text, at, end):
                break
        chunk = (chunk << _BYTE) | np.uint64(byte)
        at += 1
        filled += 1
        if filled == 8:
            hashed, chunk, filled = _mixed(hashed, chunk), _ZERO, 0
    return begin, at, _mixed(hashed, chunk)


@njit(cache=True, nogil=True)
def _mixed(hashed: np.uint64, chunk: np.uint64) -> np.uint64:
    """The hash with eight more bytes; reversible, so that words of one length up to eight bytes differ."""
    hashed = (hashed ^ chunk) * _FACTOR
    return hashed ^ (hashed >> _HALF)


@njit(cache=True, nogil=True)
def _hash(letters: Array, begin: Index, end: Index) -> np.uint64:
    """The hash that `_next_token` gives to these bytes."""
    hashed, chunk = _SEED, _ZERO
    for at in range(begin, end):
        chunk = (chunk << _BYTE) | np.uint64(letters[at])
        if (at - begin) % 8 == 7:
            hashed, chunk = _mixed(hashed, chunk), _ZERO
    return _mixed(hashed, chunk)


@njit(cache=True, nogil=True)
def hashes_of(letters: Array, ends: Array) -> Array:
    """The hash of each word, uint64 (words,)."""
    hashes = np.empty(ends.size, np.uint64)
    begin = 0
    for word in range(ends.size):
        hashes[word] = _hash(letters, begin, ends[word])
        begin = ends[word]
    return hashes


@njit(cache=True, nogil=True)
def _is_word(letters: Array, ends: Array, word: Index, text: Array, begin: Index, end: Index) -> bool:
    """Whether the bytes are those of this word (counted from 1), whose hash they have."""
    first = ends[word - 2] if word > 1 else 0
    length = end - begin
    if ends[word - 1] - first != length:
        return False
    if length <= 8:
        return True
    for i in range(length):  # noqa: SIM110 - kernels have no generators
        if letters[first + i] != text[begin + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _find(
    slots: Array, hashes: Array, letters: Array, ends: Array, text: Array, begin: Index, end: Index, hashed: np.uint64
) -> Index:
    """The slot of the word, else the empty slot where it belongs, else -1 (only in a damaged table)."""
    mask = slots.size - 1
    at = np.int64(hashed & np.uint64(mask))
    for _ in range(slots.size):
        word = np.int64(slots[at])
        if word == 0:
            return at
        if word <= hashes.size and hashes[word - 1] == hashed and _is_word(letters, ends, word, text, begin, end):
            return at
        at = (at + 1) & mask
    return -1


@njit(cache=True, nogil=True)
def symbol_of(text: Array, slots: Array, hashes: Array, letters: Array, ends: Array) -> Index:
    """The symbol of the word that these bytes are."""
    slot = _find(slots, hashes, letters, ends, text, 0, text.size, _hash(text, 0, text.size))
    return UNKNOWN + (slots[slot] if slot >= 0 else 0)


@njit(cache=True, nogil=True)
def table(hashes: Array, size: Index) -> Array:
    """Slots (size,) with the words of these hashes, counted from 1; `size` is a power of two above their number."""
    slots = np.zeros(size, np.uint32)
    mask = size - 1
    for word in range(hashes.size):
        at = np.int64(hashes[word] & np.uint64(mask))
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = word + 1
    return slots


@njit(cache=True, nogil=True)
def _longer(array: Array) -> Array:
    """The array with as much room again."""
    longer = np.empty(2 * array.size, array.dtype)
    longer[: array.size] = array
    return longer


@njit(cache=True, nogil=True)
def add(
    text: Array,
    starts: Array,
    characters: bool,
    slots: Array,
    hashes: Array,
    letters: Array,
    ends: Array,
    words: Index,
    ids: Array,
    borders: Array,
) -> tuple[Array, Array, Array, Index, Index]:
    """Number all tokens, new words too: (slots, hashes, ends, words, index of the text with a reserved word or -1)."""
    state = np.array([0, -1, 0, words])
    refused = _add_until_full(text, starts, characters, slots, hashes, letters, ends, state, ids, borders)
    while state[0] < starts.size - 1 and not refused:
        hashes, ends = _longer(hashes), _longer(ends)
        slots = table(hashes[: state[3]], 2 * slots.size)
        refused = _add_until_full(text, starts, characters, slots, hashes, letters, ends, state, ids, borders)
    return slots, hashes, ends, state[3], state[0] if refused else -1


@njit(cache=True, nogil=True)
def _add_until_full(
    text: Array,
    starts: Array,
    characters: bool,
    slots: Array,
    hashes: Array,
    letters: Array,
    ends: Array,
    state: Array,
    ids: Array,
    borders: Array,
) -> bool:
    """Number tokens until half the slots are taken; `state` is (text, place in it or -1, ids written, words)."""
    i, at, written, words = state
    used = ends[words - 1]
    refused = False
    while i < starts.size - 1 and not refused:
        if at < 0:
            ids[written] = BEGIN
            written += 1
            at = starts[i]
        begin, stop, hashed = _next_token(text, at, starts[i + 1], characters)
        while begin < stop and 2 * words < slots.size:
            slot = _find(slots, hashes, letters, ends, text, begin, stop, hashed)
            symbol = slots[slot]
            if symbol == 0:
                for place in range(begin, stop):
                    letters[used] = text[place]
                    used += 1
                hashes[words], ends[words] = hashed, used
                words += 1
                symbol = np.uint32(words)
                slots[slot] = symbol
            elif symbol < UNKNOWN:
                refused = True
                break
            ids[written] = symbol
            written += 1
            begin, stop, hashed = _next_token(text, stop, starts[i + 1], characters)
        at = begin
        if begin < stop:
            break
        ids[written] = END
        written += 1
        borders[i] = written
        i += 1
        at = -1
    state[:] = np.array([i, at, written, words])
    return refused


@njit(cache=True, nogil=True)
def look_up(
    text: Array,
    starts: Array,
    characters: bool,
    slots: Array,
    hashes: Array,
    letters: Array,
    ends: Array,
    ids: Array,
    borders: Array,
) -> None:
    """Number all tokens with the words there are; `borders` (texts,) gets where each text ends in `ids`."""
    written = 0
    for i in range(starts.size - 1):
        ids[written] = BEGIN
        written += 1
        begin, stop, hashed = _next_token(text, starts[i], starts[i + 1], characters)
        while begin < stop:
            slot = _find(slots, hashes, letters, ends, text, begin, stop, hashed)
            word = slots[slot] if slot >= 0 else np.uint32(0)
            ids[written] = UNKNOWN + word
            written += 1
            begin, stop, hashed = _next_token(text, stop, starts[i + 1], characters)
        ids[written] = END
        written += 1
        borders[i] = written


@njit(cache=True, nogil=True)
def _count(text: Array, begin: Index, end: Index) -> Index:
    """Characters that begin in these bytes."""
    count = 0
    for at in range(begin, end):
        count += (text[at] & 0xC0) != 0x80
    return count


@njit(cache=True, nogil=True)
def locate(text: Array, starts: Array, characters: bool, offsets: Array) -> None:
    """Fill (tokens, 2) with the tokens' beginnings and ends in characters of their text; END stands at (n, n)."""
    row = 0
    for i in range(starts.size - 1):
        at, end, position = starts[i], starts[i + 1], 0
        begin, stop, _ = _next_token(text, at, end, characters)
        while begin < stop:
            offsets[row, 0] = position + _count(text, at, begin)
            position = offsets[row, 0] + _count(text, begin, stop)
            offsets[row, 1] = position
            row += 1
            at = stop
            begin, stop, _ = _next_token(text, at, end, characters)
        offsets[row, :] = position + _count(text, at, end)
        row += 1


@njit(cache=True, nogil=True)
def renumber(ids: Array, numbers: Array) -> None:
    """Put `numbers[id]` in the place of every id."""
    for i in range(ids.size):
        ids[i] = numbers[ids[i]]
