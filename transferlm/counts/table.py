"""Tables of n-gram counts: sorted, so that merging, subtracting and shortening each take one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from transferlm.counts._table_kernels import add_rows, find_places, first_fault, mark_used, shorten, subtract_rows
from transferlm.counts.pieces import even, in_pieces
from transferlm.counts.symbols import NOTHING
from transferlm.errors import DataError, ModelFolderError, SettingError

__all__ = ["HIGHEST_ORDER", "CountTable", "NotCountedError"]

HIGHEST_ORDER = 10
"""Longest n-gram counted: beyond it nearly every n-gram of natural text occurs once."""

_TOLERANCE = 1e-9
"""A weighted count this small beside what it was before a subtraction is rounding, and counts as zero."""

_FAULTS = {
    1: "does not stand after the row before it: rows must ascend and be distinct",
    2: "has a count that is not a positive finite number",
    3: "has NOTHING before another symbol",
}


class NotCountedError(DataError):
    """More was to be taken away than was counted.

    Attributes:
        gram: The symbols of the first such row.
    """

    def __init__(self, gram: list[int], times: float) -> None:
        super().__init__(
            f"symbols {gram} are to be taken away {times} times and occur less often: subtract only what was merged"
        )
        self.gram = gram


@dataclass(frozen=True, eq=False)
class CountTable:
    """How often each window of `order` symbols occurs.

    Every position of every text begins one window, filled with NOTHING beyond the text's end; so the counts of all
    shorter n-grams follow from it (`lower`), and the counts sum to the number of symbols.

    Attributes:
        grams: Distinct windows, uint32 (rows, order), C-contiguous, ascending in the numeric order of their symbols
            from left to right. May be mapped from a file.
        counts: int64 (rows,), or float64 for weighted counts; all above zero.

    Raises:
        DataError: Arrays of another shape or kind. What they hold is looked at by `check` alone.
    """

    grams: np.ndarray
    counts: np.ndarray

    def __post_init__(self) -> None:
        grams, counts = np.asarray(self.grams), np.asarray(self.counts)
        if grams.dtype != np.uint32 or grams.ndim != 2 or not 1 <= grams.shape[1] <= HIGHEST_ORDER:
            raise DataError(
                f"grams are {grams.dtype} {grams.shape}: they must be uint32 (rows, order), order 1 to {HIGHEST_ORDER}"
            )
        if counts.dtype not in (np.int64, np.float64) or counts.shape != grams.shape[:1]:
            raise DataError(
                f"counts are {counts.dtype} {counts.shape}: they must be int64 or float64 ({len(grams)},), one a row"
            )
        object.__setattr__(self, "grams", np.ascontiguousarray(grams))
        object.__setattr__(self, "counts", np.ascontiguousarray(counts))

    def __len__(self) -> int:
        return len(self.grams)

    @property
    def order(self) -> int:
        """Symbols a window."""
        return int(self.grams.shape[1])

    @cached_property
    def total(self) -> int | float:
        """Sum of the counts: the number of symbols counted (a float where they are weighted)."""
        total: int | float = self.counts.sum().item()
        return total

    def merge(self, other: CountTable, numbers: np.ndarray | None = None, threads: int = 1) -> CountTable:
        """The counts of both: the table of all their texts.

        Args:
            other: The other table.
            numbers: uint32, new symbols of this table's own, strictly ascending from NOTHING on; `other` has its
                already. None leaves them as they are.
            threads: How many work at it; the result is the same.

        Raises:
            DataError: The orders differ, or `numbers` do not cover the symbols or do not ascend.
        """
        self._check_order(other)
        if numbers is None:
            numbers = np.arange(int(self.grams.max(initial=NOTHING)) + 1, dtype=np.uint32)
        _check_numbers(numbers, np.arange(len(numbers)))
        ours, theirs = self._alike(other)
        places, absent = np.empty(len(other), np.int64), np.empty(len(other), np.bool_)
        find = partial(find_places, self.grams, numbers, other.grams, places, absent)
        in_pieces(find, even(len(other), threads))
        added = np.concatenate([np.zeros(1, np.int64), np.cumsum(absent)])
        rows = len(self) + int(added[-1])
        grams, counts = np.empty((rows, self.order), np.uint32), np.empty(rows, ours.dtype)
        add = partial(add_rows, self.grams, ours, numbers, other.grams, theirs, places, added, grams, counts)
        if not all(in_pieces(add, even(len(self), threads))):
            raise _without_number(self.grams, numbers)
        return CountTable(grams, counts)

    def subtract(self, other: CountTable) -> CountTable:
        """The counts without those of `other`: the table as if its texts had never been counted.

        Rows at zero vanish; of weighted counts, a rest below 1e-9 of what was there is rounding and vanishes too.

        Raises:
            DataError: The orders differ, or a count would fall below zero.
        """
        self._check_order(other)
        ours, theirs = self._alike(other)
        grams, counts = np.empty_like(self.grams), np.empty_like(ours)
        tolerance = 0.0 if ours.dtype == np.int64 else _TOLERANCE
        written, missing = subtract_rows(self.grams, ours, other.grams, theirs, tolerance, grams, counts)
        if missing >= 0:
            raise NotCountedError(other.grams[missing].tolist(), other.counts[missing])
        return CountTable(grams[:written], counts[:written])

    def scale(self, factor: float) -> CountTable:
        """Counts times a factor, float64: the weight of these texts beside others.

        Raises:
            SettingError: The factor is not a positive finite number.
        """
        if not 0 < factor < float("inf"):
            raise SettingError(f"factor {factor}: it must be above 0 and finite")
        return CountTable(self.grams, self.counts * np.float64(factor))

    def renumbered(self, new: np.ndarray) -> CountTable:
        """The table with other numbers for its symbols.

        Args:
            new: uint32, old symbol -> new symbol; NOTHING stays, and among the symbols that occur the order stays, so
                that the table remains sorted. What it says of symbols that do not occur does not matter.

        Raises:
            DataError: `new` does not cover the symbols, or changes their order.
        """
        _check_numbers(new, np.zeros(1, np.int64))
        used = np.zeros(len(new), np.bool_)
        used[NOTHING] = True
        if not mark_used(self.grams, used):
            raise _without_number(self.grams, new)
        _check_numbers(new, np.flatnonzero(used))
        return CountTable(new[self.grams], self.counts)

    def lower(self, order: int) -> CountTable:
        """The table of a smaller order, by summing.

        Raises:
            SettingError: `order` is not 1 to this table's.
        """
        if not 1 <= order <= self.order:
            raise SettingError(f"order {order}: a table of order {self.order} holds 1 to {self.order}")
        if order == self.order:
            return self
        grams, counts = np.empty((len(self), order), np.uint32), np.empty_like(self.counts)
        written = shorten(self.grams, self.counts, grams, counts)
        return CountTable(grams[:written].copy(), counts[:written].copy())

    def check(self) -> None:
        """Look at every row: ascending, distinct, counts positive and finite, NOTHING only at the end.

        Raises:
            DataError: Naming the first row that is wrong.
        """
        row, fault = first_fault(self.grams, self.counts)
        if fault:
            raise DataError(
                f"row {row:,} of the counts, symbols {self.grams[row].tolist()} {self.counts[row]} times,"
                f" {_FAULTS[fault]}: count again"
            )

    def arrays(self) -> dict[str, np.ndarray]:
        """What a model folder keeps; `from_arrays` reads it."""
        return {"grams": self.grams, "counts": self.counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> CountTable:
        """The table of `arrays`, unread: what they hold is looked at by `check` alone.

        Raises:
            ModelFolderError: An array is missing, or of another shape or kind.
        """
        missing = sorted({"grams", "counts"} - set(arrays))
        if missing:
            raise ModelFolderError(f"counts lack the array {missing[0]!r}: they must hold 'grams' and 'counts'")
        try:
            return cls(arrays["grams"], arrays["counts"])
        except DataError as error:
            raise ModelFolderError(f"counts that can't be used: {error}") from None

    def _check_order(self, other: CountTable) -> None:
        if self.order != other.order:
            least = min(self.order, other.order)
            raise DataError(f"tables of order {self.order} and {other.order}: shorten the longer with lower({least})")

    def _alike(self, other: CountTable) -> tuple[np.ndarray, np.ndarray]:
        """The counts of both in one dtype: int64 only where both are."""
        kind = np.result_type(self.counts.dtype, other.counts.dtype)
        return self.counts.astype(kind, copy=False), other.counts.astype(kind, copy=False)


def _check_numbers(new: np.ndarray, old: np.ndarray) -> None:
    """See that new numbers keep the order of these old symbols, and NOTHING as it is."""
    if new.dtype != np.uint32 or new.ndim != 1 or not len(new) or new[NOTHING] != NOTHING:
        raise DataError(f"new symbols are {new.dtype} {new.shape}: they must be uint32 and begin with {NOTHING}")
    falls = np.flatnonzero(new[old][1:] <= new[old][:-1])
    if len(falls):
        before, after = old[falls[0]], old[falls[0] + 1]
        raise DataError(
            f"symbols {before} and {after} become {new[before]} and {new[after]}: new numbers must keep their order"
        )


def _without_number(grams: np.ndarray, new: np.ndarray) -> DataError:
    return DataError(f"{len(new):,} new symbols and a symbol {grams.max():,}: each needs a new one")
