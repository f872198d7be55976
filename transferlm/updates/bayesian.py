"""Take the model as prior belief and the counts of new text as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from transferlm.counts.counted_text import CountedText
from transferlm.errors import SettingError
from transferlm.measure.language import mean_loss
from transferlm.models.base import Causal, CountBased, Model
from transferlm.models.mixture import Mixture
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update

__all__ = ["Bayesian"]


@dataclass(frozen=True)
class Bayesian(Update):
    """MAP adaptation (Bacchiani & Roark 2003): the old model is the prior, counts of the new text are the evidence.

    In every context the old model's own probabilities weigh as much as `strength` words for each distinct word that the
    new text shows there. The result holds the model as it was and a count-based one of the new text. Updated again, the
    counts are added up: at a given strength two updates in turn are, to the bit, one with both texts. Works for every
    model by word or by character, ARPA files and neural models too.
    """

    strength: float | None = None
    """Words that the prior weighs for each distinct new one; none fits it to the last texts, before they are added."""
    held_out: float = 0.1
    """Share of the new texts, at their end, that the strength is fitted on."""
    switching: float | None = 0.2
    """Chance at each word that a text turns from one kind to the other: what is read decides how much old and new are
    believed, so that old text is not forgotten; none leaves it to the evidence alone.
    """

    requires: ClassVar[tuple[type, ...]] = (Causal,)
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.strength is not None and not 0 < self.strength < float("inf"):
            raise SettingError(f"strength {self.strength}: give a number above 0, or none to fit it")
        if not 0 < self.held_out < 1:
            raise SettingError(f"held_out {self.held_out}: give a share between 0 and 1")
        Mixture(switching=self.switching)

    def start(self, model: Model, seed: int) -> Model:
        """The model with counts of nothing beside it; one that was updated so before, as it is."""
        if isinstance(model, Mixture) and model.strength is not None:
            return model.copy()
        return Mixture.beside(model, CountBased, seed)

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Count, and fit the strength where none is given.

        Raises:
            DataError: There are fewer than two texts, and no strength was given.
            UnsupportedError: Counts of the new text can't be mixed with the old model.
        """
        assert isinstance(model, Mixture)
        evidence = model.components[-1]
        assert isinstance(evidence, CountBased)
        before = evidence.counts if evidence.trained else None
        scores = {}
        if self.strength is not None:
            counted = evidence.counted(new, checkpoints)
        else:
            train, held = new.at_end(self.held_out)
            counted = evidence.counted(train, checkpoints)
            model.give_evidence(_together(before, counted))
            model.rely_on_prior(1.0)
            model.tune(held)
            model.adjust(switching=self.switching)
            scores["held_out_loss"] = mean_loss(model, held)
            counted = counted.merge(evidence.counted(held, checkpoints))
        model.give_evidence(_together(before, counted))
        strength = self.strength if self.strength is not None else model.strength
        assert strength is not None
        model.rely_on_prior(strength)
        model.adjust(switching=self.switching)
        return Lineage(scores={**scores, "tokens added": float(counted.table.total), "strength": strength})


def _together(before: CountedText | None, new: CountedText) -> CountedText:
    return new if before is None else before.merge(new)
