"""Models that fill in hidden tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from transferlm.models._contract.causal import TokenScores, Vocabulary

__all__ = ["Masked"]


class Masked(ABC):
    """A model that gives a hidden token a probability from the tokens on both sides of it."""

    tokenizer: Any
    """How texts become tokens (`text/tokenizers/`)."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """What the probabilities are distributed over."""

    @abstractmethod
    def pseudo_scores(self, texts: Iterable[str], whole_words: bool = False) -> Iterator[TokenScores]:
        """Nats a token given all others of its text (Salazar et al. 2020), one text after the other.

        The sum over a text is its pseudo-log-likelihood: good for ranking texts, and no log-probability, since the
        pseudo-likelihoods of all texts do not sum to 1. So there is no perplexity either.

        Args:
            texts: The texts to score, read as they are needed, and whole, however long.
            whole_words: Hide with each token the later ones of its word (Kauf & Ivanova 2023): else what ends a rare
                word gives its beginning away, and the score is too high.

        Returns:
            Scores in the order of the texts; a text's end is not among them.

        Raises:
            UnsupportedError: There is no masked-LM head.
        """

    def pseudo_log_likelihoods(self, texts: Iterable[str], whole_words: bool = False) -> np.ndarray:
        """The sum of each text's scores, in nats: float64 of shape (texts,)."""
        return np.array([scores.log_probs.sum() for scores in self.pseudo_scores(texts, whole_words)])
