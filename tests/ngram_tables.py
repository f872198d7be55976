"""Count tables and n-gram counts made by a plain dictionary, for tests to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from transferlm.counts.symbols import BEGIN, END, NOTHING
from transferlm.counts.table import CountTable


def table_of(texts: Sequence[Sequence[int]], order: int, dtype: type = np.int64, scale: float = 1) -> CountTable:
    """The windows of texts of symbols, each count times `scale`."""
    found: Counter[tuple[int, ...]] = Counter()
    for words in texts:
        text = [BEGIN, *words, END]
        padded = text + [NOTHING] * order
        found.update(tuple(padded[i : i + order]) for i in range(len(text)))
    rows = sorted(found)
    counts = np.array([found[row] for row in rows], dtype)
    return CountTable(np.array(rows, np.uint32).reshape(len(rows), order), counts if scale == 1 else counts * scale)


def grams_of(texts: Sequence[Sequence[int]], size: int) -> Counter[tuple[int, ...]]:
    """How often each n-gram of `size` symbols occurs."""
    found: Counter[tuple[int, ...]] = Counter()
    for words in texts:
        text = (BEGIN, *words, END)
        found.update(text[i : i + size] for i in range(len(text) - size + 1))
    return found
