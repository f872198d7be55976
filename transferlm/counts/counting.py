"""Counting n-grams: every window of a stream of symbols, by hashing, in bounded memory."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from transferlm.counts._counting_kernels import BLOCK, count_windows, gather, rehash, scatter_pass, unpack
from transferlm.counts._runs import write_run, write_table
from transferlm.counts.symbols import NOTHING
from transferlm.counts.table import HIGHEST_ORDER, CountTable
from transferlm.errors import DataError, SettingError
from transferlm.progress import Progress

__all__ = ["count"]

LEAST_MEMORY = 1 << 20
"""Below this the runs on disk would be too many to be of use."""

_LOAD = 0.65
"""Share of the slots used before a table grows: above it, probing grows quickly."""

_FIRST_SLOTS = 1 << 14
_MOST_SLOTS = (1 << 32) - 1
_SLICE = 1 << 21
"""Positions between two reports of progress."""

_DIGIT = 11
"""Bits a pass of the radix sort, so that the places it writes to fit the first caches."""


@dataclass(frozen=True)
class _Windows:
    """What is counted: windows of `order` symbols of `bits` bits."""

    symbols: np.ndarray
    starts: np.ndarray
    order: int
    bits: int

    @property
    def fields(self) -> int:
        """Symbols a word."""
        return 64 // self.bits

    @property
    def width(self) -> int:
        """Words a window."""
        return -(-self.order // self.fields)

    def empty(self, rows: int) -> np.ndarray:
        """Packed rows without counts."""
        return np.zeros((rows, self.width + 1), np.uint64)


@dataclass
class _Shard:
    """The counts of the windows whose first symbol is in [low, high): shards are disjoint, and each is one thread's."""

    windows: _Windows
    low: int
    high: int
    most_slots: int
    folder: Path
    name: str
    runs: list[Path] = field(default_factory=list)
    slots: np.ndarray = field(init=False)
    used: int = field(init=False)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin with a small empty table, whose doublings end at the largest: then old and new fit together."""
        slots = self.most_slots
        while slots > _FIRST_SLOTS:
            slots = -(-slots // 2)
        self.slots, self.used = self.windows.empty(slots), 0

    def take(self, begin: int, end: int) -> None:
        """Count the windows that begin at positions `begin` to `end`."""
        text = self.windows
        while True:
            limit = int(_LOAD * len(self.slots))
            begin, self.used = count_windows(
                text.symbols, text.starts, begin, end, text.order, text.bits, self.low, self.high,
                self.slots, self.used, limit,
            )  # fmt: skip
            if begin == end:
                return
            if len(self.slots) < self.most_slots:
                self._grow()
            else:
                self.spill()

    def spill(self) -> None:
        """Write what has been counted as one sorted run, and begin anew."""
        rows = self.sorted_rows()
        self.runs.append(write_run(self.folder / f"{self.name}-{len(self.runs)}.run", rows))

    def sorted_rows(self) -> np.ndarray:
        """The packed rows counted since the last run, sorted; the table is empty afterwards."""
        rows = np.empty((self.used, self.windows.width + 1), np.uint64)
        gather(self.slots, rows)
        self.clear()
        return _sorted(rows, self.windows)

    def _grow(self) -> None:
        larger = self.windows.empty(min(2 * len(self.slots), self.most_slots))
        rehash(self.slots, larger)
        self.slots = larger


def count(
    symbols: np.ndarray,
    starts: np.ndarray,
    order: int,
    memory: int = 1 << 30,
    scratch: Path | None = None,
    threads: int = 2,
) -> CountTable:
    """Count every window of `order` symbols: one begins at every position, and NOTHING fills it beyond its text's end.

    Windows are packed into whole words (24 bytes a window of five symbols and its count, for up to two million words)
    and counted in an open-addressing table a thread, each thread taking the windows that begin with its share of the
    symbols; so that no two windows are ever confused, and the result is the same bits whatever `memory` and `threads`.

    Args:
        symbols: uint32 (n,), BEGIN and END of every text included. May be mapped from a file.
        starts: int64 (texts + 1,), where each text begins; the last is n.
        order: Symbols a window, 1 to 10.
        memory: Bytes that tables and their sorting may take beside the input, at least 1 MB. Beyond it, counts go to
            disk in sorted runs; the table returned is then mapped from files there. The default suits 4 GB of RAM.
        scratch: Folder for the runs; by default the system's folder for temporary files. Runs and files are removed,
            except under Windows, where the files stay in `scratch` as long as the table maps them.
        threads: Tables filled at once.

    Raises:
        DataError: `symbols` hold NOTHING, or `starts` do not cover them.
        SettingError: `order`, `memory` or `threads` outside what it may be.

    >>> table = count(np.array([1, 4, 4, 2], np.uint32), np.array([0, 4]), order=2)
    >>> table.grams.tolist(), table.counts.tolist()
    ([[1, 4], [2, 0], [4, 2], [4, 4]], [1, 1, 1, 1])
    """
    _check_settings(order, memory, threads)
    windows = _windows(symbols, starts, order)
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="transferlm-counts-", dir=scratch, ignore_cleanup_errors=True) as folder:
        shards = _shards(windows, memory, threads, Path(folder))
        _take_all(shards, len(windows.symbols))
        return _table(shards, windows, Path(folder))


def _check_settings(order: int, memory: int, threads: int) -> None:
    if not 1 <= order <= HIGHEST_ORDER:
        raise SettingError(f"order {order}: it must be 1 to {HIGHEST_ORDER}")
    if memory < LEAST_MEMORY:
        raise SettingError(f"memory of {memory:,} bytes: give at least {LEAST_MEMORY:,}")
    if threads < 1:
        raise SettingError(f"{threads} threads: at least 1 is needed")


def _windows(symbols: np.ndarray, starts: np.ndarray, order: int) -> _Windows:
    symbols, starts = np.asarray(symbols), np.asarray(starts)
    if symbols.dtype != np.uint32 or symbols.ndim != 1:
        raise DataError(f"symbols are {symbols.dtype} {symbols.shape}: they must be uint32 in one dimension")
    if starts.dtype != np.int64 or starts.ndim != 1 or not len(starts):
        raise DataError(f"starts are {starts.dtype} {starts.shape}: they must be int64 in one dimension, one at least")
    if starts[0] != 0 or starts[-1] != len(symbols) or (np.diff(starts) < 0).any():
        raise DataError(f"starts must ascend from 0 to {len(symbols):,}, the number of symbols")
    if len(symbols) and symbols.min() == NOTHING:
        position = int(np.argmin(symbols))
        raise DataError(f"symbol {position:,} is {NOTHING}, which stands for no symbol: encode the text again")
    bits = int(symbols.max()).bit_length() if len(symbols) else 1
    return _Windows(np.ascontiguousarray(symbols), np.ascontiguousarray(starts), order, bits)


def _shards(windows: _Windows, memory: int, threads: int, folder: Path) -> list[_Shard]:
    """One shard a thread, first symbols divided so that each has about as many positions."""
    sample = np.sort(windows.symbols[:: max(1, len(windows.symbols) >> 16)])
    borders = [int(sample[len(sample) * part // threads]) for part in range(1, threads)] if len(sample) else []
    lows = [0, *sorted(set(borders) - {0})]
    highs = [*lows[1:], 1 << 32]
    slot_bytes = 8 * (windows.width + 1)
    while_gathering = 1 + _LOAD
    slots = min(_MOST_SLOTS, int(memory / threads / while_gathering / slot_bytes))
    return [
        _Shard(windows, low, high, max(slots, 4 * BLOCK), folder, f"shard{index}")
        for index, (low, high) in enumerate(zip(lows, highs, strict=True))
    ]


def _take_all(shards: list[_Shard], positions: int) -> None:
    with Progress("counting", positions, "positions") as progress, ThreadPoolExecutor(len(shards)) as pool:
        for begin in range(0, positions, _SLICE):
            end = min(begin + _SLICE, positions)
            list(pool.map(lambda shard, begin=begin, end=end: shard.take(begin, end), shards))
            progress.advance(end - begin)


def _table(shards: list[_Shard], windows: _Windows, folder: Path) -> CountTable:
    with ThreadPoolExecutor(len(shards)) as pool:
        if any(shard.runs for shard in shards):
            list(pool.map(_Shard.spill, shards))
            return CountTable(*write_table([shard.runs for shard in shards], windows.order, windows.bits, folder))
        parts = list(pool.map(_Shard.sorted_rows, shards))
    rows = sum(map(len, parts))
    grams, counts = np.empty((rows, windows.order), np.uint32), np.empty(rows, np.int64)
    first = 0
    for part in parts:
        unpack(part, windows.bits, grams[first : first + len(part)], counts[first : first + len(part)])
        first += len(part)
    return CountTable(grams, counts)


def _sorted(rows: np.ndarray, windows: _Windows) -> np.ndarray:
    """Sort packed rows by their words, last word first (a stable radix sort)."""
    other = np.empty_like(rows)
    for word in range(windows.width - 1, -1, -1):
        fields = min(windows.fields, windows.order - word * windows.fields)
        bits = fields * windows.bits
        digit = -(-bits // -(-bits // _DIGIT))
        for shift in range(0, bits, digit):
            if scatter_pass(rows, other, word, shift, digit):
                rows, other = other, rows
    return rows
