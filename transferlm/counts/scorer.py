"""What gives symbols their probabilities, in whatever arrays: what is the same for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np

from transferlm.errors import DataError, ModelFolderError

__all__ = ["Scorer", "frozen", "in_threads", "texts_in"]


@dataclass(frozen=True, eq=False)
class Scorer(ABC):
    """A finished back-off model: an `Automaton`, or a `CompactTrie`. Its fields are its arrays, which never change.

    Attributes:
        unigrams: (vocabulary, columns), indexed by symbol.
        levels: int64 (order,): where the n-grams or contexts of each length begin.
    """

    unigrams: np.ndarray
    levels: np.ndarray

    kind: ClassVar[str]
    """What errors call it."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `arrays` told of; they may be memory-mapped, and of the long ones nothing is read here.

        Raises:
            ModelFolderError: An array is missing, or its type or shape is wrong. Wrong contents give wrong
                probabilities, and no more than that.
        """
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ModelFolderError(f"the {cls.kind} lacks its array {missing[0]!r}: make the model again")
        found = cls(**{name: np.asarray(arrays[name]) for name in names})
        found._check()
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep, by the names of the attributes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def order(self) -> int:
        """Symbols in the longest n-gram."""
        return len(self.levels)

    @property
    def vocabulary(self) -> int:
        """Symbols that `next_log_probs` has columns for."""
        return len(self.unigrams)

    @property
    @abstractmethod
    def goes_on_after_unknown(self) -> bool:
        """Whether UNKNOWN stands in n-grams of two symbols and more, as a word of the corpus does."""

    def score(self, ids: np.ndarray, starts: np.ndarray, threads: int = 1) -> np.ndarray:
        """Natural logs of the probability of every symbol given those before it in its text.

        Args:
            ids: uint32 (symbols,): the texts, one after the other, each from BEGIN to END.
            starts: int64 (texts + 1,): where each begins, and where the last ends.
            threads: How many work at once; the result is the same.

        Returns:
            float64 (symbols,). 0 for the BEGIN that opens a text, which is given and not predicted; -inf where the
            model has no probability.

        Raises:
            DataError: `starts` does not divide `ids`.
        """
        return self._walk(ids, starts, threads, orders=False)[0]

    def orders(self, ids: np.ndarray, starts: np.ndarray, threads: int = 1) -> np.ndarray:
        """How many symbols, itself included, the n-gram holds that gave each symbol its probability.

        Returns:
            uint8 (symbols,): 0 for the BEGIN that opens a text, 1 for an unknown word, as KenLM's query tells.
        """
        return self._walk(ids, starts, threads, orders=True)[1]

    @abstractmethod
    def next_log_probs(self, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """The whole distribution of the next symbol after each context.

        Args:
            contexts: Symbols, uint32, oldest first; BEGIN has to be among them to count.

        Returns:
            float64 (contexts, vocabulary): natural logs. -inf for NOTHING, BEGIN, and symbols without a unigram, whose
            probability is that of UNKNOWN.
        """

    @abstractmethod
    def _walk(
        self, ids: np.ndarray, starts: np.ndarray, threads: int, *, orders: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `score` and `orders` give; no orders are found where they are not asked for."""

    @abstractmethod
    def _check(self) -> None:
        """See that the arrays have types and shapes that fit together.

        Raises:
            ModelFolderError: They have not.
        """

    def _check_shapes(self, shapes: Mapping[str, tuple[type[np.generic], tuple[int, ...]]]) -> None:
        for name, (kind, shape) in shapes.items():
            array = getattr(self, name)
            if array.dtype != kind or array.shape != shape or not array.flags.c_contiguous:
                wanted = f"{np.dtype(kind)} {shape}"
                raise ModelFolderError(
                    f"{name} of the {self.kind} is {array.dtype} {array.shape}, not {wanted}: damaged, or of an earlier"
                    " version; make the model again"
                )


def texts_in(ids: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and where their texts begin, as kernels take them.

    Raises:
        DataError: `starts` does not divide `ids`.
    """
    ids, starts = frozen(np.ascontiguousarray(ids, np.uint32)), frozen(np.ascontiguousarray(starts, np.int64))
    if not len(starts) or starts[0] != 0 or starts[-1] != len(ids) or np.any(starts[1:] < starts[:-1]):
        raise DataError(f"starts of texts do not divide {len(ids):,} symbols: they must climb from 0 to that number")
    return ids, starts


def frozen(array: np.ndarray) -> np.ndarray:
    """A read-only view, so that a kernel is compiled once for arrays in memory and mapped ones."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def in_threads(work: Callable[[int, int], None], size: int, threads: int) -> None:
    """Do the work of `0` to `size` in as many parts as there are threads, each told where it begins and ends."""
    borders = np.linspace(0, size, threads + 1).astype(int).tolist()
    if threads == 1:
        work(*borders)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, borders[:-1], borders[1:]))
