"""Keep the model as it is, train another on the new text, and mix the two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from transferlm.errors import SettingError
from transferlm.measure.language import mean_loss
from transferlm.models.base import Causal, CountBased, Model
from transferlm.models.mixture import Mixture
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update

__all__ = ["Interpolation"]


@dataclass(frozen=True)
class Interpolation(Update):
    """Linear interpolation of old and new (Jelinek & Mercer 1980): the result is a mixture that holds both.

    The new model is of the old one's kind (of the newest part's, where the old one holds others); for an ARPA file, to
    which nothing can be added, it is a Kneser-Ney model. Updated so again, the mixture gets one component more. Texts
    all of one kind are better added up (`count_merging`).
    """

    weight: float | None = None
    """The new model's weight, 0 to 1; none fits all weights by EM to the last texts, on which it is not trained."""
    held_out: float = 0.1
    """Share of the new texts, at their end, that the weights are fitted on; counts are added once they are."""
    switching: float | None = 0.2
    """Chance at each word that a text turns from one kind to another: what is read decides how much each component is
    believed, so that old text is not forgotten; none keeps the weights as they were fitted.
    """

    requires: ClassVar[tuple[type, ...]] = (Causal,)

    def __post_init__(self) -> None:
        if self.weight is not None and not 0 < self.weight < 1:
            raise SettingError(f"weight {self.weight}: give a number between 0 and 1, or none to fit it")
        if not 0 < self.held_out < 1:
            raise SettingError(f"held_out {self.held_out}: give a share between 0 and 1")
        Mixture(switching=self.switching)

    def start(self, model: Model, seed: int) -> Model:
        """The model with an untrained one beside it that weighs nothing yet; of such a mixture, the components."""
        return Mixture.beside(model, seed=seed, flat=isinstance(model, Mixture) and model.switching == self.switching)

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Train the new component, then weigh.

        Raises:
            DataError: There are fewer than two texts, and no weight was given.
            UnsupportedError: The new component can't be mixed with the old ones.
        """
        assert isinstance(model, Mixture)
        held = None
        if self.weight is not None:
            model.train_last(new, seed, checkpoints)
            model.weigh([*(model.weights[:-1] * (1 - self.weight)), self.weight])
        else:
            train, held = new.at_end(self.held_out)
            model.train_last(train, seed, checkpoints)
            model.tune(held)
        model.adjust(switching=self.switching)
        scores = {"weight of the new": float(model.weights[-1])}
        if held is not None:
            scores["held_out_loss"] = mean_loss(model, held)
            last = model.newest
            if isinstance(last, CountBased):
                model.give_evidence(last.counts.merge(last.counted(held, checkpoints)))
        return Lineage(scores=scores)
