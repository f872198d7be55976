"""A neural model whose predictions are averaged over what its weights may be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import Any, ClassVar, Self

import numpy as np
import torch

from transferlm.errors import ModelFolderError, SettingError, UnsupportedError
from transferlm.models._causal import Context, refuse_context
from transferlm.models._kept_weights import POSTERIOR, numbers_of_weights
from transferlm.models._wrapped import Wrapped
from transferlm.models.base import Causal, GradientTrained, Kept, Model, TokenScores, digest, require
from transferlm.seeding import derive
from transferlm.storage import Folder
from transferlm.text.corpus import Corpus

__all__ = ["PosteriorAverage"]

_SPREADS = (0.0, 0.03, 0.1, 0.3, 1.0)


@dataclass(eq=False)
class PosteriorAverage(Wrapped):
    """p(w) = mean over draws of p(w | theta), theta from the weights' posterior (MacKay 1992; Ritter et al. 2018).

    The posterior is the normal distribution that `online_bayes` keeps with a model, `spread` times as wide. Each token
    is predicted by all draws together, so that where they differ the prediction is less sure. Every draw is a model of
    its own, in memory and in time.
    """

    draws: int = 8
    """Models that are drawn: the gain of more than some ten is small."""
    spread: float = 0.1
    """Width of the distribution, times its standard deviations: 1 is Bayes' rule. A diagonal precision holds too little
    of what weights depend on one another, so that less is better: `tune` fits it."""
    seed: int = 0
    """Decides the draws."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"draws", "spread", "seed"})
    inside_needs: ClassVar[tuple[type, ...]] = (Causal, GradientTrained)
    how_made: ClassVar[str] = "an average is nothing without a model: make one with PosteriorAverage.of(model)"

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise SettingError(f"draws {self.draws}: give 1 or more")
        if not 0 <= self.spread < math.inf:
            raise SettingError(f"spread {self.spread}: give 0 (the most probable weights alone) or more")

    @classmethod
    def of(cls, model: Model, **settings: Any) -> Self:
        """The model with averaged predictions; it is kept as it is.

        Args:
            model: A causal model that keeps a posterior.
            settings: Hyper-parameters.

        Raises:
            UnsupportedError: It is not causal, not trained by gradients, or keeps no posterior.
            ModelFolderError: The posterior does not fit the weights.
            SettingError: A setting makes no sense.
        """
        require(model, cls.inside_needs, "posterior_average")
        made = cls(**settings)
        made._model = model
        numbers_of_weights(made._posterior(), POSTERIOR, made.model.module)
        return made

    def adjust(self, **settings: Any) -> None:
        """Replace hyper-parameters, in place: draws are made anew."""
        super().adjust(**settings)
        self.__dict__.pop("_drawn", None)

    def token_scores(self, texts: Iterable[str], context: Context = "text") -> Iterator[TokenScores]:
        """Nats a token, each the mean of the draws' probabilities; in a stream every draw carries its own state."""
        refuse_context(context)
        drawn = self.drawn()
        readers = tee(texts, len(drawn))
        for found in zip(*(m.token_scores(r, context) for m, r in zip(drawn, readers, strict=True)), strict=True):
            yield TokenScores(_mean([scores.log_probs for scores in found]), found[0].offsets, found[0].ids)

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        return _mean([model.next_log_probs(contexts) for model in self.drawn()])

    def tune(self, texts: Corpus | Iterable[str], context: Context = "stream") -> float:
        """Fit the spread to texts the model was not trained on, in place; gives their mean nats a token."""
        some = list(texts)
        losses = {}
        for spread in _SPREADS:
            self.adjust(spread=spread)
            scores = [found.log_probs for found in self.token_scores(some, context)]
            losses[spread] = -float(np.concatenate(scores).mean())
        best = min(losses, key=losses.__getitem__)
        self.adjust(spread=best)
        return losses[best]

    def copy(self) -> Self:
        """An independent model."""
        twin = super().copy()
        twin.__dict__.pop("_drawn", None)
        return twin

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the settings, the posterior and the model's fingerprint."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        return digest("posterior_average", settings, self.model.fingerprint, self._posterior().hash)

    @classmethod
    def read(cls, folder: Folder) -> Self:
        """The model written there.

        Raises:
            ModelFolderError: The posterior is missing or does not fit the weights.
        """
        made = super().read(folder)
        posterior: Kept | None = made.model.kept.get(POSTERIOR)
        if posterior is None:
            raise ModelFolderError(f"{folder.path}: the posterior of the weights is missing, copy the folder again")
        numbers_of_weights(posterior, POSTERIOR, made.model.module)
        return made

    def _posterior(self) -> Kept:
        posterior: Kept | None = self.model.kept.get(POSTERIOR)
        if posterior is None:
            raise UnsupportedError(
                f"this {self.model.family} model keeps no posterior of its weights: update it by online_bayes first"
            )
        return posterior

    def drawn(self) -> list[Any]:
        """The draws; a posterior without spread is one."""
        if "_drawn" not in self.__dict__:
            count = self.draws if self.spread else 1
            self._drawn = [self._draw(number) for number in range(count)]
        return self._drawn

    @torch.no_grad()
    def _draw(self, number: int) -> Any:
        model = self.model.copy()
        generator = torch.Generator().manual_seed(derive(self.seed, "posterior", number))
        precisions = numbers_of_weights(self._posterior(), POSTERIOR, model.module)
        for parameter, precision in zip(model.module.parameters(), precisions, strict=True):
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            parameter.add_(noise * precision.rsqrt(), alpha=self.spread)
        return model


def _mean(logs: Sequence[np.ndarray]) -> np.ndarray:
    """The logarithm of the mean of probabilities."""
    mean: np.ndarray = np.logaddexp.reduce(np.stack(logs), axis=0) - math.log(len(logs))
    return mean
