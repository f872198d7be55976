"""Add the counts of new text to a count-based model's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from transferlm.models.base import CountBased, Model
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update

__all__ = ["CountMerging"]


@dataclass(frozen=True)
class CountMerging(Update):
    """Sum of raw counts: to the bit the model that counting all the text at once gives.

    New words enter the vocabulary, and what follows from the counts is estimated anew. With `removed` the text is taken
    away instead: to the bit the model that never saw it, if it was counted before. That its n-grams were is checked;
    which texts they came from is not kept.
    """

    removed: bool = False
    """Take the text away, as when a document has to be withdrawn; that its n-grams were counted is checked."""

    requires: ClassVar[tuple[type, ...]] = (CountBased,)
    exact: ClassVar[bool] = True

    @property
    def unlearns(self) -> bool:
        """Whether text is removed."""
        return self.removed

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Count the text, then add to or subtract from the model's counts.

        Raises:
            DataError: An n-gram to remove was not counted as often, or nothing would be left.
            UnsupportedError: The model's raw counts were not kept.
        """
        assert isinstance(model, CountBased)
        before, given = model.counts, model.counted(new, checkpoints)
        model.adopt(before.subtract(given) if self.removed else before.merge(given))
        tokens = float(given.table.total)
        return Lineage(scores={"tokens removed" if self.removed else "tokens added": tokens}, notes=model.notes())
