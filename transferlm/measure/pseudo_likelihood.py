"""How well a masked language model knows texts: their pseudo-log-likelihood, which is no code length."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferlm.errors import DataError
from transferlm.measure.language import finite
from transferlm.models.base import Masked, Vocabulary
from transferlm.text.corpus import Corpus, TextHash

__all__ = ["PseudoScores", "score_masked"]


@dataclass(frozen=True)
class PseudoScores:
    """How probable each token of texts is to a masked language model that sees all others (Salazar et al. 2020).

    Texts, and models with one vocabulary, can be ranked by it. It is no log-probability, as the pseudo-likelihoods of
    all texts do not sum to 1: there are no bits per byte and no perplexity.

    Attributes:
        nats: Minus the sum of the tokens' natural log-probabilities.
        tokens: Tokens scored; the marks around a text are not.
        unknown: Tokens that stand for anything outside the vocabulary.
        texts: Number of texts.
        characters: Characters of the texts.
        vocabulary: What the probabilities are distributed over.
        whole_words: Whether the later tokens of a word were hidden with each token (Kauf & Ivanova 2023).
        hash: SHA-256 over the texts, as `Corpus.hash` gives it.
    """

    nats: float
    tokens: int
    unknown: int
    texts: int
    characters: int
    vocabulary: Vocabulary
    whole_words: bool
    hash: str

    @property
    def pseudo_log_likelihood(self) -> float:
        """In bits per character: below 0, and better the nearer it is."""
        return -self.nats / math.log(2) / self.characters

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that are unknown."""
        return self.unknown / self.tokens

    def to_json(self) -> dict[str, Any]:
        """Every figure as plain data; what is infinite is None."""
        return {
            "pseudo_log_likelihood": finite(self.pseudo_log_likelihood),
            "whole_words": self.whole_words,
            "nats": finite(self.nats),
            "tokens": self.tokens,
            "unknown_share": self.unknown_share,
            "texts": self.texts,
            "characters": self.characters,
            "vocabulary": self.vocabulary.name,
            "vocabulary_hash": self.vocabulary.hash,
            "hash": self.hash,
        }

    def __str__(self) -> str:
        return (
            f"pseudo-log-likelihood {self.pseudo_log_likelihood:.4f} bits per character over {self.tokens:,} tokens"
            f" ({self.vocabulary.name})"
        )


def score_masked(model: Masked, texts: Corpus | Iterable[str], whole_words: bool = False) -> PseudoScores:
    """Score texts in one pass, in memory that neither their number nor what is found grows.

    Args:
        model: Any masked model with its head.
        texts: A corpus, or any texts; read once, and whole.
        whole_words: Hide with each token the later ones of its word.

    Raises:
        DataError: There is no text.
        UnsupportedError: The model has no head, or Chinese words are asked for and their segmenter is not installed.
    """
    unknown_id, whole = model.tokenizer.unknown_id, TextHash()
    nats, tokens, unknown, count, characters = 0.0, 0, 0, 0, 0

    def counted() -> Iterable[str]:
        nonlocal count, characters
        for text in texts:
            whole.update(text)
            count, characters = count + 1, characters + len(text)
            yield text

    for scores in model.pseudo_scores(counted(), whole_words):
        nats -= float(scores.log_probs.sum())
        tokens += len(scores.ids)
        unknown += 0 if unknown_id is None else int(np.count_nonzero(scores.ids == unknown_id))
    if not tokens:
        raise DataError("there is no text to score")
    return PseudoScores(nats, tokens, unknown, count, characters, model.vocabulary, whole_words, whole.hexdigest())
