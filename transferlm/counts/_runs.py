"""Sorted runs of packed counts on disk, merged in blocks: what is counted may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from transferlm.counts._counting_kernels import merge_block, unpack

__all__ = ["merged", "together", "write_run", "write_table"]

FAN_IN = 16
"""Most runs merged at once: their heads are compared one by one."""

BLOCK_ROWS = 1 << 16
"""Rows read of a run at a time."""


def write_run(path: Path, rows: np.ndarray) -> Path:
    """Write packed rows, uint64 (rows, width + 1), sorted and distinct, as they are; the path again."""
    rows.tofile(path)
    return path


def together(paths: Sequence[Path], width: int) -> list[Path]:
    """The same counts in at most `FAN_IN` runs: the first are merged into one and removed, until they fit."""
    runs = list(paths)
    stage = 0
    while len(runs) > FAN_IN:
        target = runs[0].with_name(f"{runs[0].stem}-{stage}.run")
        with target.open("wb") as file:
            for rows in merged(runs[:FAN_IN], width):
                rows.tofile(file)
        for path in runs[:FAN_IN]:
            path.unlink()
        runs = [*runs[FAN_IN:], target]
        stage += 1
    return runs


def merged(paths: Sequence[Path], width: int, block_rows: int = BLOCK_ROWS) -> Iterator[np.ndarray]:
    """Merge sorted runs into one, counts of equal windows added.

    Args:
        paths: The runs, at most `FAN_IN` of them for speed.
        width: Words that hold a window.
        block_rows: Rows of each run in memory at a time.

    Yields:
        Packed rows, uint64 (rows, width + 1), in order. Each array is overwritten by the next.
    """
    sizes = [path.stat().st_size // (8 * (width + 1)) for path in paths]
    read = [0] * len(paths)
    buffer = np.empty((len(paths) * block_rows, width + 1), np.uint64)
    heads = np.arange(len(paths), dtype=np.int64) * block_rows
    tails = heads.copy()
    out = np.empty((block_rows, width + 1), np.uint64)
    while True:
        for run, path in enumerate(paths):
            if heads[run] == tails[run] and read[run] < sizes[run]:
                rows = min(block_rows, sizes[run] - read[run])
                start = run * block_rows
                buffer[start : start + rows] = _read(path, read[run], rows, width)
                read[run] += rows
                heads[run], tails[run] = start, start + rows
        more = np.array([done < size for done, size in zip(read, sizes, strict=True)], dtype=np.bool_)
        written = merge_block(buffer, heads, tails, more, out)
        if written:
            yield out[:written]
        elif not more.any():
            return


def write_table(shards: Sequence[Sequence[Path]], order: int, bits: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Merge the runs of every shard into two files and map them.

    Args:
        shards: The runs of each shard; the shards' windows are disjoint and ascend from one shard to the next.
        order: Symbols a window.
        bits: Bits a symbol.
        folder: Where the two files go; every run is removed once it is merged.

    Returns:
        Symbols, uint32 (rows, order), and counts, int64 (rows,), mapped from the files, read-only.
    """
    grams_path, counts_path = folder / "grams.uint32", folder / "counts.int64"
    width = -(-order // (64 // bits))
    with grams_path.open("wb") as grams_file, counts_path.open("wb") as counts_file:
        for paths in shards:
            runs = together(paths, width)
            for rows in merged(runs, width):
                grams, counts = np.empty((len(rows), order), np.uint32), np.empty(len(rows), np.int64)
                unpack(rows, bits, grams, counts)
                grams.tofile(grams_file)
                counts.tofile(counts_file)
            for path in runs:
                path.unlink()
    grams = np.memmap(grams_path, np.uint32, mode="r").reshape(-1, order)
    counts = np.memmap(counts_path, np.int64, mode="r")
    return grams, counts


def _read(path: Path, first: int, rows: int, width: int) -> np.ndarray:
    count = rows * (width + 1)
    return np.fromfile(path, np.uint64, count, offset=8 * first * (width + 1)).reshape(rows, width + 1)
