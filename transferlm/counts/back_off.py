"""A back-off language model as arrays, whatever smoothing or file it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from transferlm.counts.symbols import NOTHING
from transferlm.errors import ModelFolderError

__all__ = ["BackOff"]


@dataclass(frozen=True)
class BackOff:
    """Probabilities of n-grams and the weights with which shorter contexts stand in for longer ones (Katz 1987).

    The probability of a word is that of the longest n-gram (context + word) that has a node, times the back-off
    weights of the longer contexts that have nodes. Level k (of `order` levels) holds the n-grams of k symbols in
    lexicographic order; what a level's arrays are indexed by is called its nodes.

    Attributes:
        symbols: uint32 (nodes,) a level: the last symbol of each n-gram.
        parents: uint32 (nodes,) a level: node, one level lower, of the n-gram without its last symbol; 0 at level 1.
        first: uint32 (nodes + 1,) for each level but the last: where each node's children begin one level higher.
        suffixes: uint32 (nodes,) a level: node, one level lower, of the n-gram without its first symbol; 0 at level 1.
        log_probs: float32 (nodes,) a level: natural log of p(last symbol | the symbols before). -inf where there is
            none, as for BEGIN.
        back_offs: float32 (nodes,) for each level but the last: natural log of the weight of the shorter context; 0
            where the node is no context, -inf where nothing is left to share out.
        unknown: Natural log of the probability of a symbol without a node of level 1, read only where UNKNOWN has no
            such node.
    """

    symbols: Sequence[np.ndarray]
    parents: Sequence[np.ndarray]
    first: Sequence[np.ndarray]
    suffixes: Sequence[np.ndarray]
    log_probs: Sequence[np.ndarray]
    back_offs: Sequence[np.ndarray]
    unknown: float

    @property
    def order(self) -> int:
        """Symbols in the longest n-gram."""
        return len(self.symbols)

    def nodes(self, level: int) -> int:
        """N-grams of `level` symbols (1 to `order`)."""
        return len(self.symbols[level - 1])

    def check(self) -> None:
        """See that the arrays fit together; linear in the nodes.

        Raises:
            ModelFolderError: They don't. The message says which array of which level, and how.
        """
        for wrong in self._wrongs():
            raise ModelFolderError(f"no back-off model: {wrong}; the files are damaged, make the model again")

    def _wrongs(self) -> Iterator[str]:
        below = self.order - 1
        sizes = [len(self.symbols), len(self.parents), len(self.suffixes), len(self.log_probs)]
        if below < 0 or sizes != [self.order] * 4 or [len(self.first), len(self.back_offs)] != [below] * 2:
            yield "its arrays tell of different orders"
            return
        if not self.unknown <= 0:
            yield f"unknown is {self.unknown}, not the logarithm of a probability"
        for level in range(1, self.order + 1):
            yield from self._wrong_shapes(level)
            yield from self._wrong_values(level)
            yield from self._wrong_order(level)
            if level > 1:
                yield from self._wrong_links(level)

    def _wrong_shapes(self, level: int) -> Iterator[str]:
        nodes, at = self.nodes(level), level - 1
        arrays: dict[str, tuple[np.ndarray, type[np.generic], int]] = {
            "symbols": (self.symbols[at], np.uint32, nodes),
            "parents": (self.parents[at], np.uint32, nodes),
            "suffixes": (self.suffixes[at], np.uint32, nodes),
            "log_probs": (self.log_probs[at], np.float32, nodes),
        }
        if level < self.order:
            arrays["first"] = (self.first[at], np.uint32, nodes + 1)
            arrays["back_offs"] = (self.back_offs[at], np.float32, nodes)
        for name, (array, kind, length) in arrays.items():
            if array.dtype != kind or array.shape != (length,):
                yield f"{name} of level {level} is {array.dtype} {array.shape}, not {np.dtype(kind)} ({length},)"

    def _wrong_values(self, level: int) -> Iterator[str]:
        if not np.all(self.log_probs[level - 1] <= 0):
            yield f"level {level} holds a log-probability that is above 0 or not a number"
        if level < self.order and not np.all(self.back_offs[level - 1] < np.inf):
            yield f"level {level} holds a back-off weight that is infinite or not a number"

    def _wrong_order(self, level: int) -> Iterator[str]:
        symbols, parents = self.symbols[level - 1], self.parents[level - 1]
        above = self.nodes(level - 1) if level > 1 else 1
        if np.any(symbols == NOTHING):
            yield f"level {level} holds an n-gram with no symbol at its end"
        if np.any(parents >= above):
            yield f"level {level} holds a parent that is not there"
        later = (parents[1:] > parents[:-1]) | ((parents[1:] == parents[:-1]) & (symbols[1:] > symbols[:-1]))
        if not np.all(later):
            yield f"the n-grams of level {level} are not distinct and sorted"
        if level > 1 and not np.array_equal(np.bincount(parents, minlength=above), np.diff(self.first[level - 2])):
            yield f"first of level {level - 1} and parents of level {level} disagree"

    def _wrong_links(self, level: int) -> Iterator[str]:
        """`suffixes` lead to the n-gram without its first symbol: same last symbol, and the parent's suffix above."""
        suffixes, below = self.suffixes[level - 1], level - 2
        if self.first[below][0] != 0:
            yield f"first of level {level - 1} does not begin at 0"
        if np.any(suffixes >= self.nodes(level - 1)):
            yield f"level {level} holds a suffix that is not there"
        elif not np.array_equal(self.symbols[below][suffixes], self.symbols[level - 1]):
            yield f"suffixes of level {level} lead to other words"
        elif level > 2:
            parents = self.suffixes[below][self.parents[level - 1]]
            if not np.array_equal(self.parents[below][suffixes], parents):
                yield f"suffixes of level {level} lead to other contexts"
