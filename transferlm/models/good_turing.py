"""N-grams smoothed by Katz back-off with Good-Turing discounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transferlm.counts.trie import Trie
from transferlm.errors import SettingError
from transferlm.models import _good_turing
from transferlm.models._count_based import BackOffModel
from transferlm.models._discounting import Estimate

__all__ = ["GoodTuring"]

HIGHEST = 100


@dataclass(eq=False)
class GoodTuring(BackOffModel):
    """Katz back-off (Katz 1987): Good-Turing discounts for small counts, the mass they free for shorter contexts.

    By default as SRILM does: counts up to 7 are discounted, unigrams are not, and n-grams of order 3 and up that were
    seen once are dropped.
    """

    order: int = 3
    """Longest n-gram, 1 to 10."""
    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character (for Chinese)."""
    maximum: int = 7
    """Highest count that is discounted."""
    open_vocabulary: bool = True
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""
    memory: str = "1G"
    """What counting may use before it goes to disk, as 512M or 2G; the model is the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.maximum <= HIGHEST:
            raise SettingError(f"maximum {self.maximum}: give 1 to {HIGHEST}; larger counts are reliable as they are")

    def _estimate(self, trie: Trie) -> Estimate:
        return _good_turing.estimate(trie, self.maximum)
