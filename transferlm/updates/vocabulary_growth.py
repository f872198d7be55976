"""New words enter a model of word vectors, and the old ones learn from the new text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from transferlm.errors import SettingError
from transferlm.models.base import GrowingVectors, Model
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update, at_least
from transferlm.vectors.table import WordTable

__all__ = ["VocabularyGrowth"]

_NEIGHBOURS, _ASKED = 10, 500


@dataclass(frozen=True)
class VocabularyGrowth(Update):
    """Word vectors trained further on new text, its new words among them, in the space of the old ones.

    All that follows from counts (subsampling, negative samples, lengths) is computed anew from old and new text
    together. How far the old words moved is measured: the mean cosine of each one's vector with what it was, and the
    share of the 10 nearest old neighbours of the 500 most frequent old words that still are.
    """

    epochs: int = 5
    """Passes over the new text (for `glove` over all pairs that were ever counted)."""
    learning_rate: float | None = None
    """Step size at the start; none takes that of the model's own training."""
    plasticity: float = 1.0
    """How far vectors of old words may move: 1 as those of new words, 0 not at all, so that new words settle among
    them."""

    requires: ClassVar[tuple[type, ...]] = (GrowingVectors,)

    def __post_init__(self) -> None:
        at_least(1, epochs=self.epochs)
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise SettingError(f"learning_rate {self.learning_rate}: give a number above 0")
        if not 0 <= self.plasticity <= 1:
            raise SettingError(f"plasticity {self.plasticity}: give 0 (old words stay) to 1 (they move freely)")

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Grow the vocabulary, train, and measure how far the old words moved."""
        assert isinstance(model, GrowingVectors)
        before = model.table
        model.grow(new, seed, epochs=self.epochs, learning_rate=self.learning_rate, plasticity=self.plasticity)
        cosine, kept = _drift(before, model.table)
        added = len(model.table) - len(before)
        return Lineage(scores={"words added": added, "cosine of old words": cosine, "neighbours kept": kept})


def _drift(before: WordTable, after: WordTable) -> tuple[float, float]:
    """Mean cosine of the old words' vectors with what they were, and the share of nearest neighbours kept."""
    old = len(before)
    moved = WordTable(before.words, after.vectors[:old])
    cosines = np.einsum("ij,ij->i", before.vectors, moved.vectors) / (before.lengths * moved.lengths)
    count = min(_NEIGHBOURS, old - 1)
    if not count:
        return float(cosines.mean()), 1.0
    asked = np.arange(min(_ASKED, old))
    near, nearer = (table.neighbours(asked, count).tolist() for table in (before, moved))
    kept = [len({*one} & {*other}) / count for one, other in zip(near, nearer, strict=True)]
    return float(cosines.mean()), float(np.mean(kept))
