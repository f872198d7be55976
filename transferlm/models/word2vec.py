"""word2vec: a word's vector predicts the words around it, or they predict it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.models._gensim_trained import GensimTrained
from transferlm.models._pretrained_table import pretrained_table
from transferlm.models._table_backed import factors
from transferlm.vectors.table import WordTable

__all__ = ["Word2Vec"]


@dataclass(eq=False)
class Word2Vec(GensimTrained):
    """Word vectors by skip-gram or CBOW with negative sampling (Mikolov et al. 2013a, 2013b); gensim trains them.

    One thread and a seed give the same vectors each time. Vectors of a pretrained table can be laid in first, for the
    words that both have.
    """

    width: int = 100
    """Numbers a vector; 300 for a billion words."""
    architecture: Literal["skip_gram", "cbow"] = "skip_gram"
    """skip_gram predicts the words around from a word, cbow the word from their mean: three times as fast, and worse on
    rare words."""
    window: int = 5
    """Most words to either side that are predicted; the number is drawn from 1 to this at each word."""
    negative: int = 5
    """Words drawn as false answers for each true one: 5 to 20 for small texts, 2 to 5 for large ones."""
    subsampling: float = 1e-3
    """Words more frequent than this share of the text are left out at random, the oftener the more frequent; 0 none."""
    minimum_count: int = 5
    """Occurrences that a word needs to get a vector."""
    epochs: int = 5
    """Passes over the text."""
    learning_rate: float = 0.025
    """Step size at the start, falling to 1e-4 in a straight line; 0.05 suits cbow."""
    threads: int = 1
    """More than 1 are faster and give up repeatability: two runs then differ."""
    lowercase: bool = False
    """Read capital letters as small ones."""
    punctuation: bool = False
    """Split punctuation and symbols off as words of their own, for text that was not tokenised before."""
    pretrained: str | None = None
    """A file, fetched name or folder of word vectors of the same width, to start from; none starts from drawn ones."""
    pretrained_words: Literal["trained", "frozen", "overwritten"] = "trained"
    """Their vectors are trained on, stay as they are while the rest moves around them, or overwrite the learnt ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretrained_words not in ("trained", "frozen", "overwritten"):
            raise SettingError(f"pretrained_words {self.pretrained_words!r}: choose trained, frozen or overwritten")

    def _made(self, **settings: Any) -> Any:
        from gensim.models import Word2Vec as Engine

        return Engine(**settings)

    def _lay_in(self, engine: Any, plasticity: float) -> None:
        vectors, words = engine.wv.vectors, engine.wv.index_to_key
        if self._table is not None:
            vectors[: len(self._table)], engine.syn1neg[: len(self._table)] = self._table.vectors, self._context
            engine.wv.vectors_lockf = factors(len(words), len(self._table), plasticity)
        elif self.pretrained is not None and self.pretrained_words != "overwritten":
            rows, theirs = self._shared(words)
            vectors[rows] = theirs
            engine.wv.vectors_lockf = factors(len(words), 0, 1.0)
            engine.wv.vectors_lockf[rows] = float(self.pretrained_words == "trained")

    def _take(self, engine: Any, words: Iterable[str]) -> None:
        vectors, first = engine.wv.vectors, self._table is None
        if first and self.pretrained is not None and self.pretrained_words == "overwritten":
            rows, theirs = self._shared(engine.wv.index_to_key)
            vectors[rows] = theirs
        self._table = WordTable.of(words, vectors)

    def _shared(self, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the words that the pretrained table has too, and its vectors for them."""
        table = pretrained_table(str(self.pretrained))
        if table.width != self.width:
            raise SettingError(f"{self.pretrained} has vectors of width {table.width}: give --width {table.width}")
        theirs = table.rows(words)
        rows = np.flatnonzero(theirs >= 0)
        if not rows.size:
            raise DataError(f"{self.pretrained} has no vector for any word of the text: is one in small letters only?")
        return rows, np.asarray(table.vectors[theirs[rows]])
