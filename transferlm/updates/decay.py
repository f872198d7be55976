"""Let a count-based model's old counts fade while those of new text come in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from transferlm.errors import SettingError
from transferlm.models.base import CountBased, Model
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update

__all__ = ["Decay"]


@dataclass(frozen=True)
class Decay(Update):
    """Old counts times a factor, plus those of the new text: what was said long ago weighs less at each update.

    Words and n-grams are kept however small their counts become, so that nothing is forgotten altogether.
    """

    keep: float = 0.5
    """What is left of the old counts: after n updates the first text weighs keep to the power n."""

    requires: ClassVar[tuple[type, ...]] = (CountBased,)
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise SettingError(f"keep {self.keep}: give a number above 0 and at most 1, at which nothing fades")

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Scale the model's counts, count the text, add.

        Raises:
            UnsupportedError: The model's raw counts were not kept.
        """
        assert isinstance(model, CountBased)
        before = model.counts if self.keep == 1 else model.counts.scale(self.keep)
        given = model.counted(new, checkpoints)
        model.adopt(before.merge(given))
        return Lineage(
            scores={"tokens added": float(given.table.total), "tokens kept": float(before.table.total)},
            notes=model.notes(),
        )
