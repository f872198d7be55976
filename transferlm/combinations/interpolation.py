"""Mix the probabilities of several causal models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from transferlm.combinations.base import Combination
from transferlm.measure.language import mean_loss
from transferlm.models._numbers import numbers
from transferlm.models.base import Causal, Model
from transferlm.models.mixture import Mixture
from transferlm.text.corpus import Corpus

__all__ = ["Interpolation"]


@dataclass(frozen=True)
class Interpolation(Combination):
    """Linear interpolation (Jelinek & Mercer 1980): a weighted sum of the probabilities, token by token.

    Models with one vocabulary of any kind go together; so do all models by word, and all by character, over the words
    of all of them. Weights are fitted by EM to tuning text, the same optimum whatever the start; without it all weigh
    alike.
    """

    weights: str | None = None
    """One number a model, as "2,1", in any scale; none fits them to the tuning text."""
    switching: float | None = None
    """Chance at each word that a text turns from one model's kind to another's: the weights follow what is read. None
    keeps them, which is best where all texts are of one kind.
    """

    requires: ClassVar[tuple[type, ...]] = (Causal,)

    def __post_init__(self) -> None:
        self._given()
        Mixture(switching=self.switching)

    def _given(self) -> list[float] | None:
        return None if self.weights is None else numbers(self.weights, "weights")

    def together(self, models: Sequence[Model], tuning: Corpus | None) -> tuple[Model, dict[str, float]]:
        """A mixture of the models.

        Raises:
            SettingError: There are more or fewer weights than models.
            UnsupportedError: The models cut texts differently.
        """
        mixture, scores = Mixture.of(models, self._given(), switching=self.switching), {}
        if tuning is not None:
            if self.weights is None:
                mixture.tune(tuning)
            scores["tuning_loss"] = mean_loss(mixture, tuning)
        weighed = {f"weight of model {place}": float(w) for place, w in enumerate(mixture.weights, 1)}
        return mixture, {**scores, **weighed, "types": float(mixture.vocabulary.size)}
