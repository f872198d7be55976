"""fastText: a word's vector is the mean of its own and its character n-grams', so that unknown words have one too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from transferlm.errors import SettingError
from transferlm.models._gensim_trained import GensimTrained
from transferlm.models._table_backed import Shapes
from transferlm.vectors.table import Asked

__all__ = ["FastText"]


@dataclass(eq=False)
class FastText(GensimTrained):
    """Word vectors with sub-words (Bojanowski et al. 2017), by skip-gram or CBOW; gensim trains them.

    A word with n n-grams has the mean of its own vector and theirs (Bojanowski's sum, eq. 3, over n + 1). An unknown
    one has the mean of the n-grams that it shares with known words; n-grams that no known word has were never trained
    and are not kept, where gensim mixes their random vectors in. While it trains, `buckets` vectors are in memory: 800
    MB at the defaults.
    """

    width: int = 100
    """Numbers a vector; 300 for a billion words."""
    architecture: Literal["skip_gram", "cbow"] = "skip_gram"
    """skip_gram predicts the words around from a word, cbow the word from their mean."""
    window: int = 5
    """Most words to either side that are predicted; the number is drawn from 1 to this at each word."""
    negative: int = 5
    """Words drawn as false answers for each true one."""
    subsampling: float = 1e-3
    """Words more frequent than this share of the text are left out at random, the oftener the more frequent; 0 none."""
    minimum_count: int = 5
    """Occurrences that a word needs to get a vector of its own."""
    shortest: int = 3
    """Characters of the shortest n-grams, the word's borders `<` and `>` counted; 1 or 2 suit Chinese."""
    longest: int = 6
    """Characters of the longest n-grams."""
    buckets: int = 2_000_000
    """Vectors that n-grams share by a hash of their bytes."""
    epochs: int = 5
    """Passes over the text."""
    learning_rate: float = 0.05
    """Step size at the start, falling to 1e-4 in a straight line."""
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.shortest <= self.longest:
            raise SettingError(f"n-grams of {self.shortest} to {self.longest} characters: give 1 or more, rising")
        if not 1 <= self.buckets < 2**32:
            raise SettingError(f"buckets {self.buckets}: give 1 or more")

    def vectors_of(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors, of unknown words from their n-grams: float32 (words, width); and bool (words,), which have one."""
        vectors, known = super().vectors_of(words)
        for row in np.flatnonzero(~known).tolist():
            found = self._from_ngrams(words[row])
            if found is not None:
                vectors[row], known[row] = found, True
        return vectors, known

    def _asked(self, word: str) -> Asked:
        unknown = None if word in self.table else self._from_ngrams(word)
        return word if unknown is None else unknown

    def _from_ngrams(self, word: str) -> np.ndarray | None:
        places, ngrams = self._state["ngrams.places"], self._state["ngrams.vectors"]
        wanted = self._places_of(word)
        at = np.minimum(np.searchsorted(places, wanted), max(len(places) - 1, 0))
        rows = at[places[at] == wanted] if len(places) else at[:0]
        return np.asarray(ngrams[rows].mean(axis=0)) if len(rows) else None

    def _places_of(self, word: str) -> np.ndarray:
        """The buckets of a word's n-grams, with repetitions: uint32."""
        from gensim.models.fasttext import ft_ngram_hashes

        return np.array(ft_ngram_hashes(word, self.shortest, self.longest, self.buckets), np.uint32)

    # ---------------------------------------------------------------- learning

    def _made(self, **settings: Any) -> Any:
        from gensim.models import FastText as Engine

        return Engine(**settings, min_n=self.shortest, max_n=self.longest, bucket=self.buckets)

    def _lay_in(self, engine: Any, plasticity: float) -> None:
        super()._lay_in(engine, plasticity)
        places = self._state["ngrams.places"]
        engine.wv.vectors_ngrams[places] = self._state["ngrams.vectors"]
        engine.wv.vectors_ngrams_lockf = np.ones(self.buckets, np.float32)
        engine.wv.vectors_ngrams_lockf[places] = plasticity

    def _lay_in_words(self, engine: Any, old: int) -> None:
        engine.wv.vectors_vocab[:old] = self._state["own"]

    def _hold(self, engine: Any, moving: np.ndarray) -> None:
        engine.wv.vectors_vocab_lockf = moving

    def _set_vectors(self, engine: Any, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Choose the words' own parts so that with their n-grams, which other words share, they come to these."""
        for row, vector in zip(rows.tolist(), vectors, strict=True):
            ngrams = engine.wv.buckets_word[row]
            engine.wv.vectors_vocab[row] = vector * (len(ngrams) + 1) - engine.wv.vectors_ngrams[ngrams].sum(axis=0)

    def _read(self, engine: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        engine.wv.adjust_vectors()
        places = np.unique(np.concatenate([np.zeros(0, np.uint32), *engine.wv.buckets_word])).astype(np.uint32)
        return engine.wv.vectors, {
            "context": engine.syn1neg,
            "own": engine.wv.vectors_vocab,
            "ngrams.places": places,
            "ngrams.vectors": engine.wv.vectors_ngrams[places.astype(np.int64)],
        }

    def _shapes(self, words: int, arrays: Mapping[str, np.ndarray]) -> Shapes:
        places = len(arrays.get("ngrams.places", ()))
        return {
            "context": (np.float32, (words, self.width)),
            "own": (np.float32, (words, self.width)),
            "ngrams.places": (np.uint32, (places,)),
            "ngrams.vectors": (np.float32, (places, self.width)),
        }
