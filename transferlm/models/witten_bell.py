"""N-grams smoothed by Witten-Bell interpolation: sound on the smallest corpora."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transferlm.counts.trie import Trie
from transferlm.models import _witten_bell
from transferlm.models._count_based import BackOffModel
from transferlm.models._discounting import Estimate

__all__ = ["WittenBell"]


@dataclass(eq=False)
class WittenBell(BackOffModel):
    """Witten-Bell smoothing (Witten & Bell 1991; Chen & Goodman 1999, eq. 17).

    A context's shorter one weighs as much as the context has seen different words. There is nothing to estimate from
    counts of counts, so that it works on any corpus, by character too.
    """

    order: int = 5
    """Longest n-gram, 1 to 10."""
    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character (for Chinese)."""
    open_vocabulary: bool = True
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""
    memory: str = "1G"
    """What counting may use before it goes to disk, as 512M or 2G; the model is the same."""

    def _estimate(self, trie: Trie) -> Estimate:
        return _witten_bell.estimate(trie)
