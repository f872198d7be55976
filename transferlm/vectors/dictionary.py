"""Words of one table that stand for words of another: from a file, or because they are spelt alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferlm.errors import DataError
from transferlm.text.files import existing, numbered_lines
from transferlm.vectors.table import WordTable

__all__ = ["Dictionary", "identical"]

_FEWEST = 2


@dataclass(frozen=True)
class Dictionary:
    """Pairs of words.

    Attributes:
        name: What to call it in messages.
        pairs: A word and its translation; a word may be there several times.
    """

    name: str
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: str | Path, encoding: str = "utf-8") -> Dictionary:
        """The dictionary in a text file: a pair a line, parted by a tab, or by white space where there is no tab.

        Raises:
            DataError: A line is no pair, or there is no line; the message names the place.
        """
        place, pairs = existing(path), dict[tuple[str, str], None]()
        for number, line in numbered_lines(place, encoding):
            if not line.strip():
                continue
            words = [word.strip() for word in (line.split("\t") if "\t" in line else line.split())]
            if len(words) != 2 or not all(words):
                raise DataError(f"{line.strip()[:60]!r} is no pair of words parted by a tab", path=path, line=number)
            pairs[words[0], words[1]] = None
        if not pairs:
            raise DataError("there is no pair of words in it", path=path)
        return cls(str(path), tuple(pairs))

    def rows(self, one: WordTable, other: WordTable) -> np.ndarray:
        """The pairs whose words both tables have, as rows: int64 of shape (pairs, 2).

        Raises:
            DataError: There are fewer than two.
        """
        first = one.rows([pair[0] for pair in self.pairs])
        second = other.rows([pair[1] for pair in self.pairs])
        known = np.flatnonzero((first >= 0) & (second >= 0))
        if len(known) < _FEWEST:
            raise DataError(
                f"{self.name}: of {len(self.pairs):,} pairs the models know both words of {len(known)}: is the first"
                " column the first model's language, and are capital letters as in the models?"
            )
        return np.stack([first[known], second[known]], axis=1)


def identical(one: WordTable, other: WordTable) -> np.ndarray:
    """The words that both tables have, as rows: int64 of shape (pairs, 2).

    Raises:
        DataError: There are fewer than two.
    """
    rows = other.rows(one.words)
    found = np.flatnonzero(rows >= 0)
    if len(found) < _FEWEST:
        raise DataError(
            f"the models have {len(found)} words in common to begin from: give a dictionary, or another start"
        )
    return np.stack([found, rows[found]], axis=1)
