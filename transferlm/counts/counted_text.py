"""A text's words and n-gram counts: what a count-based model learns from, adds to, and can take away again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from transferlm.counts.counting import count
from transferlm.counts.mapped_arrays import part, prefixed
from transferlm.counts.pieces import THREADS
from transferlm.counts.symbols import FIRST_WORD
from transferlm.counts.table import CountTable, NotCountedError
from transferlm.errors import DataError
from transferlm.text.corpus import Corpus
from transferlm.text.lexicon import Lexicon, ReservedWordError, Symbols

__all__ = ["CountedText"]

_SHARE_OF_MEMORY = 4
"""The numbers of the text may take a quarter of the memory; they are done with before the counts are sorted."""


@dataclass(frozen=True, eq=False)
class CountedText:
    """Words and counts. Neither keeps a trace of the order in which texts came, so that sums are exact.

    Attributes:
        lexicon: The words, sorted; every one of them occurs.
        table: Windows of their symbols.
    """

    lexicon: Lexicon
    table: CountTable

    @classmethod
    def of(
        cls, texts: Iterable[str], unit: str, order: int, memory: int = 1 << 30, scratch: Path | None = None
    ) -> CountedText:
        """Count texts, read once.

        Args:
            texts: Any number of texts.
            unit: "word" or "character".
            order: Longest n-gram, 1 to 10.
            memory: Bytes to work in; beyond them the work goes to files in `scratch`, with the same result.
            scratch: Folder for them, cleared afterwards; none takes the system's.

        Raises:
            DataError: There is no text, or one with `<s>` or `</s>` as a word; of a corpus its file and line are told.
        """
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            lexicon, symbols = _numbered(texts, unit, Path(folder), memory // _SHARE_OF_MEMORY)
            if len(symbols.starts) < 2:
                raise DataError("the corpus is empty: there is nothing to count")
            return cls(lexicon, count(symbols.ids, symbols.starts, order, memory, scratch))

    def merge(self, other: CountedText) -> CountedText:
        """Counts of both texts: to the bit those of counting them together."""
        lexicon, mine, theirs = self.lexicon.union(other.lexicon)
        return CountedText(lexicon, self.table.merge(other.table.renumbered(theirs), mine, THREADS))

    def subtract(self, other: CountedText) -> CountedText:
        """Counts without the other's: to the bit those of never having seen that text.

        Raises:
            DataError: Something in the other text was never counted here, or not as often; or nothing would be left.
        """
        lexicon, mine, theirs = self.lexicon.union(other.lexicon)
        if len(lexicon) > len(self.lexicon):
            known = np.zeros(lexicon.size, dtype=bool)
            known[mine] = True
            word = lexicon.word(int(np.flatnonzero(~known[FIRST_WORD:])[0]) + FIRST_WORD)
            raise DataError(f"the word {word!r} of the text to remove was never counted: it was not part of this model")
        try:
            left = self.table.subtract(other.table.renumbered(theirs))
        except NotCountedError as error:
            words = " ".join(lexicon.word(symbol) for symbol in error.gram if symbol)
            raise DataError(
                f"{words!r} was not counted as often as it is to be removed: remove only what was added"
            ) from None
        if not len(left):
            raise DataError("this would take away all that was counted: nothing would be left to estimate from")
        used = np.zeros(self.lexicon.size, dtype=bool)
        used[left.grams[:, 0]] = True
        kept, numbers = self.lexicon.keep(used)
        return CountedText(kept, left.renumbered(numbers))

    def scale(self, factor: float) -> CountedText:
        """Every count times a number."""
        return CountedText(self.lexicon, self.table.scale(factor))

    @cached_property
    def hash(self) -> str:
        """SHA-256 over words and counts."""
        whole = sha256(self.lexicon.hash.encode())
        for array in (self.table.grams, self.table.counts):
            whole.update(f"{array.dtype}{array.shape}".encode())
            whole.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        return whole.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store."""
        return prefixed("lexicon.", self.lexicon.arrays()) | prefixed("table.", self.table.arrays())

    @classmethod
    def from_arrays(cls, unit: str, arrays: Mapping[str, np.ndarray]) -> CountedText:
        """What `arrays` told of.

        Raises:
            ModelFolderError: An array is missing or does not fit.
        """
        return cls(Lexicon.from_arrays(unit, part("lexicon.", arrays)), CountTable.from_arrays(part("table.", arrays)))


def _numbered(texts: Iterable[str], unit: str, folder: Path, memory: int) -> tuple[Lexicon, Symbols]:
    try:
        return Lexicon.build(texts, unit, into=folder, memory=memory)
    except ReservedWordError:
        place = texts.find(ReservedWordError.concerns) if isinstance(texts, Corpus) else None
        if place is None:
            raise
        raise ReservedWordError("this text", *place) from None
