"""N-grams smoothed by interpolated modified Kneser-Ney: the strongest of the count-based models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transferlm.counts.trie import Trie
from transferlm.errors import SettingError
from transferlm.models import _kneser_ney
from transferlm.models._count_based import BackOffModel
from transferlm.models._discounting import Estimate

__all__ = ["KneserNey"]


@dataclass(eq=False)
class KneserNey(BackOffModel):
    """Interpolated modified Kneser-Ney (Kneser & Ney 1995; Chen & Goodman 1999, section 3), as KenLM estimates it.

    Discounts of each order follow from the counts of counts; where a corpus is too small for them, 0.5, 1 and 1.5 are
    taken instead, and the model says so.
    """

    order: int = 5
    """Longest n-gram, 1 to 10."""
    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character (for Chinese)."""
    pruning: str | None = None
    """Least count of an n-gram, an order each from the first: "1,1,2" drops trigrams seen once; none keeps all."""
    open_vocabulary: bool = True
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""
    memory: str = "1G"
    """What counting may use before it goes to disk, as 512M or 2G; the model is the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._least()

    def _estimate(self, trie: Trie) -> Estimate:
        return _kneser_ney.estimate(trie, self._least())

    def _least(self) -> list[int] | None:
        """The least counts, the last one holding for all higher orders."""
        if self.pruning is None:
            return None
        try:
            given = [int(part) for part in self.pruning.split(",")]
        except ValueError:
            given = []
        if not given or given[0] != 1 or given != sorted(given) or len(given) > self.order:
            raise SettingError(
                f"pruning {self.pruning!r}: give up to {self.order} whole numbers that do not fall, 1 first, as 1,1,2"
            )
        return given + given[-1:] * (self.order - len(given))
