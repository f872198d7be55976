"""One array a level, all of them lying one after the other in one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Levels"]


@dataclass(frozen=True, eq=False)
class Levels(Sequence[np.ndarray]):
    """A sequence of arrays of one kind that are parts of one: given on as a whole without being copied.

    Attributes:
        joined: All levels.
        borders: Where each level begins in `joined`, and where the last one ends.
    """

    joined: np.ndarray
    borders: Sequence[int]

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray]) -> Levels:
        """These arrays, copied unless they are such levels already."""
        if isinstance(arrays, Levels):
            return arrays
        return cls(np.concatenate(arrays), np.cumsum([0, *map(len, arrays)]).tolist())

    @classmethod
    def empty(cls, sizes: Sequence[int], kind: type[np.generic]) -> Levels:
        """Levels of these sizes, to be written."""
        return cls(np.empty(sum(sizes), kind), np.cumsum([0, *sizes]).tolist())

    def __len__(self) -> int:
        return len(self.borders) - 1

    def __getitem__(self, level: int) -> np.ndarray:  # type: ignore[override]
        at = range(len(self))[level]
        return self.joined[self.borders[at] : self.borders[at + 1]]
