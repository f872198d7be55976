"""N-grams under a hierarchy of Dirichlet priors: the Bayesian one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transferlm.counts.trie import Trie
from transferlm.errors import SettingError
from transferlm.models import _hierarchical_dirichlet
from transferlm.models._count_based import BackOffModel
from transferlm.models._discounting import Estimate
from transferlm.models._numbers import numbers

__all__ = ["HierarchicalDirichlet"]


@dataclass(eq=False)
class HierarchicalDirichlet(BackOffModel):
    """Hierarchical Dirichlet language model (MacKay & Peto 1995, eq. 16).

    p(w | h) = (c(hw) + a p(w | shorter h)) / (c(h) + a): each context's prior is the distribution of the shorter one.
    At fixed concentrations adding text is Bayes' rule itself.
    """

    order: int = 3
    """Longest n-gram, 1 to 10."""
    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character (for Chinese)."""
    concentrations: str | None = None
    """The a of each order from the first, as "100,500,500"; none fits them to the counts by leaving each one out."""
    open_vocabulary: bool = True
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""
    memory: str = "1G"
    """What counting may use before it goes to disk, as 512M or 2G; the model is the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._given()

    def _estimate(self, trie: Trie) -> Estimate:
        return _hierarchical_dirichlet.estimate(trie, self._given())

    def _given(self) -> list[float] | None:
        if self.concentrations is None:
            return None
        given = numbers(self.concentrations, "concentrations")
        if len(given) != self.order:
            raise SettingError(f"concentrations {self.concentrations!r}: give {self.order} numbers, one an order")
        return given
