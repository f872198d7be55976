"""Which of many texts may be near-duplicates: MinHash signatures, and bands of them that collide."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from transferlm.progress import Progress

__all__ = ["SHINGLE", "agreement_needed", "band_keys", "jaccard", "normalised", "shingles", "signatures"]

SHINGLE = 5
"""Characters of a shingle: the length that Leskovec et al. advise for short documents (chapter 3.2.2)."""

_HASHES = 128
"""Length of a signature: its estimate of the Jaccard similarity has a standard error of at most 0.044."""

_MISSED = 1e-3
"""Largest share of pairs exactly at the threshold that no band may bring together."""

_CHUNK = 1 << 16
"""Shingles hashed at once, so that the 128 passes over them stay in the processor's cache."""


class _Kept(dict[int, int | None]):
    """Code point -> itself, or None for white space, punctuation and control characters; filled as met."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code))[0] in "ZPC" else code
        return self[code]


_KEPT = _Kept()


def normalised(text: str) -> str:
    """A text as it is compared: NFKC, casefolded, without white space, punctuation and control characters.

    A text of nothing else (`!!!`) stays as it is, so that it agrees with none but itself. Symbols such as
    emoji stay: they carry meaning.

    >>> normalised("Ｆｉｎｅ,  FILM!"), normalised(" ?! ")
    ('finefilm', '?!')
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded.translate(_KEPT) or folded.strip()


def shingles(text: str) -> set[str]:
    """The character 5-grams of a normalised text; a shorter text is its own one shingle."""
    return {text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))}


def jaccard(first: set[str], second: set[str]) -> float:
    """Shared shingles over all shingles of two texts (Broder 1997).

    >>> jaccard(shingles("abcdefg"), shingles("abcdefh"))
    0.5
    """
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def signatures(texts: Sequence[str]) -> np.ndarray:
    """MinHash signatures of normalised texts, uint32 of shape (texts, 128).

    The share of positions in which two signatures agree estimates the Jaccard similarity of the texts'
    shingle sets (Broder 1997; Leskovec et al., section 3.3). Always the same for the same text.
    """
    random = np.random.default_rng(1997)
    # Odd multipliers make each map a permutation of the 32-bit numbers.
    multipliers = random.integers(2**32, size=_HASHES, dtype=np.uint32) | np.uint32(1)
    shifts = random.integers(2**32, size=_HASHES, dtype=np.uint32)
    found = np.empty((len(texts), _HASHES), dtype=np.uint32)
    with Progress("comparing texts", len(texts), "texts") as progress:
        for first, last in _chunks(texts):
            hashes, starts = _shingle_hashes(texts[first:last])
            moved = np.empty_like(hashes)
            for k in range(_HASHES):
                np.multiply(hashes, multipliers[k], out=moved)
                np.add(moved, shifts[k], out=moved)
                found[first:last, k] = np.minimum.reduceat(moved, starts)
            progress.advance(last - first)
    return found


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    first, total = 0, 0
    for last, text in enumerate(texts):
        if total and total + len(text) > _CHUNK:
            yield first, last
            first, total = last, 0
        total += max(len(text), SHINGLE)
    if first < len(texts):
        yield first, len(texts)


def _shingle_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """One uint32 a shingle, text after text, and where each text's begin."""
    padded = [text.ljust(SHINGLE, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = len(codes) - SHINGLE + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for k in range(SHINGLE):
        mixed = _mix(mixed + codes[k : k + count])
    inside = np.ones(len(codes), dtype=bool)
    ends = np.cumsum(lengths)
    for k in range(1, SHINGLE):
        inside[ends - k] = False  # a shingle that begins here would run into the next text
    starts = np.concatenate([[0], np.cumsum(lengths - SHINGLE + 1)[:-1]])
    return (mixed[inside[:count]] >> np.uint64(32)).astype(np.uint32), starts


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Scatter 64-bit numbers, so that near ones end far apart (Fibonacci hashing, then folding the upper half
    down).
    """
    numbers = numbers * np.uint64(0x9E3779B97F4A7C15)
    folded: np.ndarray = numbers ^ (numbers >> np.uint64(29))
    return folded


def banding(threshold: float) -> tuple[int, int]:
    """How many bands of how many rows: the longest bands that still bring a pair at the threshold together.

    Two texts of similarity s share a band with probability 1 - (1 - s^rows)^bands (Leskovec et al., section
    3.4.2); longer bands let fewer dissimilar pairs through. At the threshold at most 0.1% are missed.

    >>> banding(0.9)
    (16, 8)
    """
    chosen = 1
    for rows in range(1, _HASHES + 1):
        if (1 - threshold**rows) ** (_HASHES // rows) <= _MISSED:
            chosen = rows
    return _HASHES // chosen, chosen


def band_keys(signature: np.ndarray, threshold: float) -> np.ndarray:
    """One uint64 a band and text, shape (bands, texts): texts that share one are candidates."""
    bands, rows = banding(threshold)
    keys = np.zeros((bands, len(signature)), dtype=np.uint64)
    for band in range(bands):
        for row in range(rows):
            keys[band] = _mix(keys[band] + signature[:, band * rows + row] + np.uint64(1))
    return keys


def agreement_needed(threshold: float) -> int:
    """Positions in which two signatures must agree to be worth an exact comparison.

    Four standard errors below the threshold: a pair at the threshold falls short of it three times in
    100,000.
    """
    error = (threshold * (1 - threshold) / _HASHES) ** 0.5
    return int(np.ceil(_HASHES * (threshold - 4 * error)))
