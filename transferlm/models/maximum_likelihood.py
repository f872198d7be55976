"""N-grams as they were counted, without smoothing: what was never seen has no probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transferlm.counts.trie import Trie
from transferlm.models import _maximum_likelihood
from transferlm.models._count_based import BackOffModel
from transferlm.models._discounting import Estimate

__all__ = ["MaximumLikelihood"]


@dataclass(eq=False)
class MaximumLikelihood(BackOffModel):
    """Relative frequencies: p(w | h) = c(hw) / c(h).

    A context that was never seen is shortened; a word never seen in a context that was has probability 0. It is here to
    be compared with, and to see what a corpus says.
    """

    order: int = 3
    """Longest n-gram, 1 to 10."""
    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character (for Chinese)."""
    open_vocabulary: bool = True
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""
    memory: str = "1G"
    """What counting may use before it goes to disk, as 512M or 2G; the model is the same."""

    def _estimate(self, trie: Trie) -> Estimate:
        return _maximum_likelihood.estimate(trie)
