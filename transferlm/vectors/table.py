"""Words and their vectors, in a fixed order: what is near a word, and what completes an analogy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from transferlm.errors import DataError, ModelFolderError, SettingError

__all__ = ["COSINES_AT_ONCE", "Asked", "Near", "WordTable", "read_only"]

Near = list[tuple[str, float]]
"""Words and their scores, the best first."""

Asked = str | np.ndarray
"""A word, or any vector of shape (width,)."""

_EPSILON = 1e-6
"""Keeps 3CosMul from dividing by 0; gensim's value (Levy & Goldberg 2014 take 0.001, which changes no ranking here)."""


COSINES_AT_ONCE = 1 << 24
"""Cosines computed at a time: 67 MB."""


@dataclass(frozen=True, eq=False)
class WordTable:
    """An immutable table of word vectors; it may be memory-mapped, and a look-up then reads one row.

    Lengths are computed from the vectors that are here, so that they can't be those of earlier ones.

    Attributes:
        words: Each word once, none empty or with a space or line feed in it, the most frequent first where that is
            known.
        vectors: float32 of shape (words, width), finite, read-only.
    """

    words: Sequence[str]
    vectors: np.ndarray

    @classmethod
    def of(cls, words: Iterable[str], vectors: np.ndarray) -> WordTable:
        """A table of these words and vectors.

        Raises:
            DataError: A word is empty, twice there, or holds a space or line feed; a vector is not finite; their
                numbers differ.
        """
        words = tuple(words)
        vectors = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        if vectors.shape[0] != len(words) or not vectors.size:
            raise DataError(f"{len(words):,} words for vectors of shape {vectors.shape}: one vector a word is needed")
        table = cls(words, read_only(vectors))
        if len(table._row_of) != len(words):
            twice = next(word for row, word in enumerate(words) if table._row_of[word] != row)
            raise DataError(f"the word {twice!r} is there twice")
        odd = next((word for word in words if not word or " " in word or "\n" in word), None)
        if odd is not None:
            raise DataError(f"{odd!r} can't be the word of a vector: it is empty, or has a space or line feed")
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if broken.size:
            raise DataError(f"the vector of {words[broken[0]]!r} is not finite")
        return table

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> WordTable:
        """The table that `arrays()` gave; of the vectors nothing is read.

        Raises:
            ModelFolderError: An array is missing or does not fit the other.
        """
        try:
            words = bytes(arrays["words"]).decode().split("\n")
            vectors = arrays["vectors"]
        except (KeyError, UnicodeDecodeError) as error:
            raise ModelFolderError(f"the word vectors are damaged ({error}): copy the model again") from None
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(words):
            found = f"{len(words):,} words and vectors of {vectors.dtype} {vectors.shape}"
            raise ModelFolderError(f"the word vectors are damaged ({found}): copy the model again")
        return cls(words, read_only(vectors))

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store: `words`, uint8, parted by line feeds; and `vectors`."""
        return {"words": np.frombuffer("\n".join(self.words).encode(), np.uint8), "vectors": self.vectors}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the words and vectors, in hexadecimal."""
        whole = hashlib.sha256("\n".join(self.words).encode())
        whole.update(np.ascontiguousarray(self.vectors, "<f4").data)
        return whole.hexdigest()

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._row_of

    def __deepcopy__(self, memo: dict[int, Any]) -> WordTable:
        return self

    @property
    def width(self) -> int:
        """Numbers a vector."""
        return int(self.vectors.shape[1])

    def rows(self, words: Sequence[str]) -> np.ndarray:
        """Row of each word, -1 where it is unknown: int64 of shape (words,)."""
        return np.fromiter((self._row_of.get(word, -1) for word in words), np.int64, len(words))

    def vector(self, word: str) -> np.ndarray:
        """A word's vector: float32 of shape (width,).

        Raises:
            DataError: The word has none.
        """
        return np.asarray(self.vectors[self._known(word)])

    def similarity(self, one: Asked, other: Asked) -> float:
        """Cosine between two words' vectors, or any two; 0 where one is all zeros.

        Raises:
            DataError: A word has no vector.
        """
        return float(self._unit(one) @ self._unit(other))

    def nearest(self, near: Asked, count: int = 10) -> Near:
        """The words whose vectors have the largest cosine with a word's (which is left out), or with a vector.

        Args:
            near: A word, or any vector of shape (width,).
            count: Most words given.

        Raises:
            DataError: The word has no vector.
            SettingError: `count` is below 1.
        """
        return self._best(self._cosines(self._unit(near)), [near], count)

    def neighbours(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Rows of the words nearest to each of many, itself left out, in no order: int64 (rows, count).

        Args:
            rows: int64 (rows,): of which words.
            count: Below the number of words.
        """
        found = np.empty((len(rows), count), np.int64)
        step = max(1, COSINES_AT_ONCE // len(self))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            scores = (self.vectors[part] / self.lengths[part, None]) @ self.vectors.T / self.lengths
            scores[np.arange(len(part)), part] = -np.inf
            found[start : start + step] = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        return found

    def analogy(self, a: Asked, b: Asked, c: Asked, count: int = 1, method: Literal["add", "mul"] = "add") -> Near:
        """What is to `c` as `b` is to `a`: man, king, woman asks for queen; the three are left out.

        Args:
            a: The word that is left behind; each of the three may be any vector instead.
            b: What it is to.
            c: What the answer is to.
            count: Most words given.
            method: `add` has the largest cosine with b - a + c over unit vectors (3CosAdd, Mikolov et al. 2013), as
                gensim's `most_similar`; `mul` the largest cos(b) cos(c) / cos(a), cosines moved to [0, 1] (3CosMul,
                Levy & Goldberg 2014, eq. 4).

        Raises:
            DataError: A word has no vector.
            SettingError: `count` is below 1.
        """
        units = [self._unit(word) for word in (a, b, c)]
        if method == "add":
            scores = self._cosines(units[1] - units[0] + units[2])
        else:
            away, to, of = ((1 + self._cosines(unit)) / 2 for unit in units)
            scores = to * of / (away + _EPSILON)
        return self._best(scores, [a, b, c], count)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Euclidean length of each vector, 1 where it is 0: float32 of shape (words,)."""
        lengths = np.sqrt(np.einsum("ij,ij->i", self.vectors, self.vectors))  # a norm would copy the whole table
        return np.asarray(np.where(lengths > 0, lengths, np.float32(1)))

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    def _known(self, word: str) -> int:
        if word in self._row_of:
            return self._row_of[word]
        near = next((form for form in (word.lower(), word.capitalize(), word.upper()) if form in self._row_of), None)
        hint = f": did you mean {near!r}?" if near else f" among {len(self):,}"
        raise DataError(f"there is no vector for the word {word!r}{hint}")

    def _unit(self, asked: Asked) -> np.ndarray:
        if not isinstance(asked, str):
            return np.asarray(asked, np.float32) / np.float32(np.linalg.norm(asked) or 1)
        row = self._known(asked)
        return np.asarray(self.vectors[row] / self.lengths[row])

    def _cosines(self, vector: np.ndarray) -> np.ndarray:
        """Cosine of every word with a vector: float32 of shape (words,)."""
        length = float(np.linalg.norm(vector))
        return np.asarray(self.vectors @ (vector / (length or 1.0)) / self.lengths)

    def _best(self, scores: np.ndarray, without: Sequence[Asked], count: int) -> Near:
        if count < 1:
            raise SettingError(f"count {count}: give 1 word or more")
        left_out = {self._row_of[word] for word in without if isinstance(word, str)}
        taken = min(count + len(left_out), len(self))
        best = np.argpartition(-scores, taken - 1)[:taken]
        best = best[np.lexsort((best, -scores[best]))]
        return [(self.words[row], float(scores[row])) for row in best.tolist() if row not in left_out][:count]


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that can't be written to."""
    view = array.view()
    view.flags.writeable = False
    return view
