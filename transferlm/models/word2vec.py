"""word2vec: a word's vector predicts the words around it, or they predict it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from transferlm.models._gensim_trained import GensimTrained
from transferlm.models._table_backed import Shapes

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
    chinese: Literal["spaces", "characters", "words"] = "spaces"
    """Words of Chinese: parted by spaces like any others, or each character one, or cut by `rjieba` (an extra)."""
    pretrained: str | None = None
    """Word vectors of this width to start from: a file, fetched name or model's folder; none draws all at random."""
    pretrained_words: Literal["trained", "frozen", "overwritten"] = "trained"
    """Their vectors are trained on, stay as they are while the rest moves about them, or overwrite the learnt ones."""

    def _made(self, **settings: Any) -> Any:
        from gensim.models import Word2Vec as Engine

        return Engine(**settings)

    def _lay_in_words(self, engine: Any, old: int) -> None:
        engine.wv.vectors[:old] = self.table.vectors

    def _hold(self, engine: Any, moving: np.ndarray) -> None:
        engine.wv.vectors_lockf = moving

    def _set_vectors(self, engine: Any, rows: np.ndarray, vectors: np.ndarray) -> None:
        engine.wv.vectors[rows] = vectors

    def _read(self, engine: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return engine.wv.vectors, {"context": engine.syn1neg}

    def _shapes(self, words: int, arrays: Mapping[str, np.ndarray]) -> Shapes:  # noqa: ARG002 - words and width say it all
        return {"context": (np.float32, (words, self.width))}
