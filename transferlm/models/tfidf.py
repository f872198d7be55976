"""Weighted counts of words: the strong baseline without transfer, fitted on the labelled texts alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_matrix

from transferlm import storage
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models.base import Encoder, Encoding, Model, Trainable, digest, made_from

__all__ = ["TfIdf"]

# A run of letters and digits is a word; a Chinese or Japanese character is one by itself, since nothing separates
# words there; a run of other signs ("!!", ":-)") is one too, because it carries feeling.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
TOKEN = rf"[{_CJK}]|[^\W{_CJK}]+|[^\w\s]+"


@dataclass(eq=False)
class TfIdf(Model, Encoder, Trainable):
    """Sub-linear term frequency times inverse document frequency of word n-grams (Salton & Buckley 1988).

    A term t of a text weighs (1 + ln tf) (1 + ln((1 + n) / (1 + df))), and each text's vector has length 1;
    scikit-learn computes it. Chinese works by character n-grams. With a regularised linear classifier on top this is
    the baseline that any transfer has to beat.
    """

    ngrams: int = 2
    """Longest n-gram, in words (or Chinese characters)."""
    minimum_count: int = 1
    """Texts that an n-gram must stand in; 1 keeps all, best with few labels."""
    vocabulary_size: int = 200_000
    """Most frequent n-grams kept: bounds memory on large training sets."""

    def __post_init__(self) -> None:
        for name in ("ngrams", "minimum_count", "vocabulary_size"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give 1 or more")
        self._vectorizer: Any = None

    @property
    def trained(self) -> bool:
        """Whether terms and their weights are known."""
        return self._vectorizer is not None

    @property
    def encoding_width(self) -> int:
        """Number of terms."""
        return len(self._fitted().vocabulary_)

    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:  # noqa: ARG002
        """Learn terms and their document frequencies.

        Raises:
            DataError: No text holds a word.
        """
        vectorizer = self._empty()
        try:
            vectorizer.fit(corpus)
        except ValueError as error:
            raise DataError(f"no terms could be learnt ({error}): are the texts empty?") from None
        self._vectorizer = vectorizer
        return self

    def untrained(self, seed: int = 0) -> Self:  # noqa: ARG002 - nothing is drawn
        """The same hyper-parameters with no terms learnt."""
        return type(self)(**self.hyper_parameters())

    def encode(self, texts: Sequence[str]) -> Encoding:
        """Term weights as a CSR matrix of shape (texts, terms); a text without any known term is a row of zeros."""
        vectorizer = self._fitted()
        if not len(texts):
            return Encoding(csr_matrix((0, self.encoding_width), dtype=np.float32), np.ones(0))
        return Encoding(vectorizer.transform(texts).astype(np.float32), np.ones(len(texts)))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters, terms and weights."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        if not self.trained:
            return digest("tfidf", settings)
        return digest("tfidf", settings, json.dumps(self._terms(), ensure_ascii=False), self._vectorizer.idf_.tobytes())

    def write(self, folder: Path) -> None:
        """Terms as JSON, their weights as a safe tensor."""
        self._fitted()
        storage.write_json(folder / "terms.json", self._terms())
        storage.save_tensors({"idf": self._vectorizer.idf_}, folder / storage.WEIGHTS)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there."""
        model = made_from(cls, folder)
        terms, weights = folder.json("terms.json"), folder.tensors().get("idf")
        if weights is None or weights.shape != (len(terms),):
            shape = None if weights is None else weights.shape
            raise ModelFolderError(f"{folder.path}: idf has shape {shape}, terms.json says ({len(terms)},)")
        vectorizer = model._empty()
        vectorizer.vocabulary_ = {term: place for place, term in enumerate(terms)}
        vectorizer.fixed_vocabulary_ = True
        vectorizer.idf_ = weights
        model._vectorizer = vectorizer
        return model

    def _empty(self) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            token_pattern=TOKEN,
            ngram_range=(1, self.ngrams),
            min_df=self.minimum_count,
            max_features=self.vocabulary_size,
            sublinear_tf=True,
        )

    def _fitted(self) -> Any:
        if self._vectorizer is None:
            raise DataError("this tfidf model has seen no text yet: fit it first, or give it to `transfer`, which does")
        return self._vectorizer

    def _terms(self) -> list[str]:
        vocabulary = self._vectorizer.vocabulary_
        return sorted(vocabulary, key=vocabulary.__getitem__)
