"""How often words stand near one another: weighted counts of pairs over windows, on disk where memory ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferlm.errors import ModelFolderError, SettingError
from transferlm.vectors._cooccurrence_kernels import BLOCKS, ROW_BITS, emit, keys_of
from transferlm.vectors._pair_runs import Run, Sums, merged, summed, write_run
from transferlm.vectors.table import read_only

__all__ = ["BLOCKS", "LEAST_MEMORY", "MOST_WORDS", "Pairs", "count_pairs"]

LEAST_MEMORY = 1 << 20
"""Bytes below which the runs on disk would be too many to be of use."""
MOST_WORDS = 1 << ROW_BITS
_BYTES = 64
"""What a pair takes while pairs are sorted and summed, copies counted."""
_BLOCK = 1 << 22
"""Pairs that are gathered before they are sorted and summed."""
_ONE = 2.0**32
_ROW, _CELL = np.uint64(ROW_BITS), np.uint64(2 * ROW_BITS)


@dataclass(frozen=True, eq=False)
class Pairs(Run):
    """Pairs of words and their weighted counts, those of a cell together.

    Rows are dealt into `BLOCKS` blocks (row modulo `BLOCKS`); a cell is two blocks, or one with itself. Within a cell
    the pairs rise. The arrays may be mapped from files.

    Attributes:
        first: uint32 (pairs,): the smaller row of each pair.
        second: uint32 (pairs,): the larger one.
        counts: float32 (pairs,), above 0: X of Pennington et al., the same in both orders.
    """

    first: np.ndarray
    second: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls) -> Pairs:
        """No pairs."""
        return cls(np.zeros(0, np.uint32), np.zeros(0, np.uint32), np.zeros(0, np.float32))

    @classmethod
    def of(cls, run: Sums) -> Pairs:
        """The pairs of a run."""
        mask = np.uint64(MOST_WORDS - 1)
        counts = (run.sums.astype(np.float64) / _ONE).astype(np.float32)
        return cls((run.keys >> _ROW & mask).astype(np.uint32), (run.keys & mask).astype(np.uint32), counts)

    def __len__(self) -> int:
        return len(self.counts)

    def part(self, start: int, end: int) -> Sums:
        """Some of it, as it is merged."""
        sums = np.rint(self.counts[start:end].astype(np.float64) * _ONE).astype(np.uint64)
        return Sums(keys_of(*(read_only(side[start:end]) for side in (self.first, self.second))), sums)

    def borders(self) -> np.ndarray:
        """Where each cell begins, (0, 0), (0, 1) ... in turn, and last the number of pairs: int64 (cells + 1,)."""
        sizes = np.zeros(BLOCKS * (BLOCKS + 1) // 2, np.int64)
        for start in range(0, len(self), _BLOCK):
            keys = self.part(start, min(start + _BLOCK, len(self))).keys
            sizes += np.bincount((keys >> _CELL).astype(np.int64), minlength=len(sizes))
        return np.concatenate([[0], np.cumsum(sizes)])

    def check(self, words: int) -> None:
        """See that a folder's pairs are some, before kernels follow them.

        Raises:
            ModelFolderError: A row is not below `words` or the pairs do not rise, or a count is no number above 0.
        """
        last = -1
        for start in range(0, len(self), _BLOCK):
            end = min(start + _BLOCK, len(self))
            first, second, counts = (array[start:end] for array in (self.first, self.second, self.counts))
            keys = self.part(start, end).keys.astype(np.int64)
            rising = last < keys[0] and (np.diff(keys) > 0).all()
            if second.max() >= words or (first > second).any() or not rising or not (counts > 0).all():
                told = "the co-occurrences are damaged, or of an earlier version"
                raise ModelFolderError(f"{told}: copy the model again, or pretrain it anew")
            last = int(keys[-1])


def count_pairs(
    texts: Iterable[np.ndarray],
    window: int,
    before: Pairs | None = None,
    memory: int = 1 << 30,
    scratch: Path | None = None,
) -> Pairs:
    """Count each pair of words that stand at most `window` words apart, by 1 / distance, in both orders.

    The weights are Pennington et al.'s (2014, section 4.2), to 2 ** -32; windows are symmetric, end with the text, and
    reach over unknown words as if they were not there (as the authors' program does). Weights are added as whole
    numbers: the result is the same bits whatever the order of the texts and whatever `memory`.

    Args:
        texts: Rows of the words of each text, int64; -1 is unknown.
        window: Most words that a pair stands apart, 1 to 1,000.
        before: Pairs counted earlier, which the new ones are added to.
        memory: Bytes that counting may take. Beyond them, sorted runs go to disk, and the pairs returned are mapped
            from files there.
        scratch: Folder for the runs; by default the system's folder for temporary files. Runs and files are removed,
            except under Windows, where the files stay as long as the pairs map them.

    Raises:
        SettingError: `memory` is below 1 MB.

    >>> import numpy as np
    >>> pairs = count_pairs([np.array([0, 1, 0])], window=2)
    >>> pairs.first.tolist(), pairs.second.tolist(), pairs.counts.tolist()
    ([0, 0], [0, 1], [1.0, 2.0])
    """
    if memory < LEAST_MEMORY:
        raise SettingError(f"memory of {memory:,} bytes: give at least {LEAST_MEMORY:,}")
    most = memory // _BYTES
    with tempfile.TemporaryDirectory(prefix="transferlm-pairs-", dir=scratch, ignore_cleanup_errors=True) as folder:
        runs: list[Run] = [*_runs(texts, window, most, Path(folder))]
        if before is not None and len(before):
            runs.append(before)
        if sum(map(len, runs)) <= most:
            return _in_memory(runs)
        return _on_disk(runs, most, Path(folder))


def _runs(texts: Iterable[np.ndarray], window: int, most: int, folder: Path) -> Iterator[Run]:
    """Runs on disk of `most` pairs or fewer, and one in memory.

    Blocks of pairs are sorted and summed as they fill, and sums of like size joined.
    """
    sums: list[Sums] = []
    written = 0
    for block in _blocks(texts, window, min(_BLOCK, most)):
        sums.append(block)
        while len(sums) > 1 and len(sums[-2]) < 2 * len(sums[-1]):
            sums[-2:] = [_joined(sums[-2:])]
        if sum(map(len, sums)) > most // 2:
            yield write_run(folder / f"{written}.run", _joined(sums))
            written, sums = written + 1, []
    if sums:
        yield _joined(sums)


def _blocks(texts: Iterable[np.ndarray], window: int, size: int) -> Iterator[Sums]:
    """The pairs in the order of the texts, `size` or fewer at a time, summed."""
    keys, weights = np.empty(size, np.uint64), np.empty(size, np.uint64)
    filled = 0
    for text in texts:
        rows = text[text >= 0]
        at = 0
        while at < len(rows):
            at, filled = emit(rows, at, window, keys, weights, filled)
            if at < len(rows):
                yield summed(keys[:filled], weights[:filled])
                filled = 0
    if filled:
        yield summed(keys[:filled], weights[:filled])


def _joined(sums: list[Sums]) -> Sums:
    return summed(np.concatenate([one.keys for one in sums]), np.concatenate([one.sums for one in sums]))


def _in_memory(runs: list[Run]) -> Pairs:
    parts = [Pairs.of(part) for part in merged(runs)] or [Pairs.empty()]
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "second", "counts")))


def _on_disk(runs: list[Run], most: int, folder: Path) -> Pairs:
    """Merge into three files and map them."""
    kinds = {"first": np.uint32, "second": np.uint32, "counts": np.float32}
    paths = {name: folder / name for name in kinds}
    with paths["first"].open("wb") as first, paths["second"].open("wb") as second, paths["counts"].open("wb") as counts:
        for part in merged(runs, most):
            pairs = Pairs.of(part)
            pairs.first.tofile(first)
            pairs.second.tofile(second)
            pairs.counts.tofile(counts)
    return Pairs(*(np.asarray(np.memmap(path, kinds[name], "r")) for name, path in paths.items()))
