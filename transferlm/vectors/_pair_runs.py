"""Sorted runs of pairs and their sums, merged a part at a time: what is counted may be larger than memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["DiskRun", "Run", "Sums", "merged", "summed", "write_run"]

_PART = 1 << 22
"""Pairs in memory at a time while runs are merged."""


class Run(ABC):
    """Pairs in rising order, each once."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def part(self, start: int, end: int) -> Sums:
        """Some of it."""


@dataclass(frozen=True, eq=False)
class Sums(Run):
    """A run in memory.

    Attributes:
        keys: uint64 (pairs,).
        sums: uint64 (pairs,): 2 ** 32 times the weighted counts.
    """

    keys: np.ndarray
    sums: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, start: int, end: int) -> Sums:
        """Some of it."""
        return Sums(self.keys[start:end], self.sums[start:end])


@dataclass(frozen=True)
class DiskRun(Run):
    """A run in a file: keys and sums in turns.

    Attributes:
        path: The file.
        pairs: How many it holds.
    """

    path: Path
    pairs: int

    def __len__(self) -> int:
        return self.pairs

    def part(self, start: int, end: int) -> Sums:
        """Some of it; the file is open no longer than that takes, so that runs may be thousands."""
        rows = np.fromfile(self.path, np.uint64, 2 * (end - start), offset=16 * start).reshape(-1, 2)
        return Sums(rows[:, 0], rows[:, 1])


def write_run(path: Path, run: Sums) -> DiskRun:
    """Write a run to a file."""
    np.stack([run.keys, run.sums], axis=1).tofile(path)
    return DiskRun(path, len(run))


def summed(keys: np.ndarray, sums: np.ndarray) -> Sums:
    """Each key once, in rising order, its sums added up."""
    if not len(keys):
        return Sums(keys, sums)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return Sums(keys[starts], np.add.reduceat(sums[order], starts))


def merged(runs: Sequence[Run], part: int = _PART) -> Iterator[Sums]:
    """One run out of many, a part at a time.

    Each part ends at the smallest of the keys that stand `part` / runs further on in every run, so that no more than
    `part` pairs are in memory.
    """
    at, step = [0] * len(runs), max(1, part // max(1, len(runs)))
    while any(start < len(run) for start, run in zip(at, runs, strict=True)):
        heads = [run.part(start, min(start + step, len(run))) for start, run in zip(at, runs, strict=True)]
        unfinished = [
            head.keys[-1] for head, start, run in zip(heads, at, runs, strict=True) if start + len(head) < len(run)
        ]
        border = min(unfinished) if unfinished else None
        ends = [len(head) if border is None else int(np.searchsorted(head.keys, border, "right")) for head in heads]
        at = [start + end for start, end in zip(at, ends, strict=True)]
        taken = [head.part(0, end) for head, end in zip(heads, ends, strict=True)]
        yield summed(np.concatenate([one.keys for one in taken]), np.concatenate([one.sums for one in taken]))
