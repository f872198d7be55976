"""Read the new text once, learning from every few tokens, and keep what the weights became."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import torch

from transferlm.errors import SettingError
from transferlm.launched import alone
from transferlm.models._adaptive_reading import AdaptiveReader, gradient_squares, token_stream
from transferlm.models._scored_texts import Scored
from transferlm.models.base import Model, ReadsOn, digest
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.dynamic_weights import DynamicWeights
from transferlm.progress import Progress
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update, at_least

__all__ = ["DynamicEvaluation"]


@dataclass(frozen=True)
class DynamicEvaluation(Update):
    """Dynamic evaluation (Krause et al. 2018) whose adapted weights are kept: one pass, in the order of the text.

    After each segment the weights take a gradient step, and a step back to where they were before the update, so that
    they follow what was read last without leaving what they knew. `rms` divides gradients by their root mean squares on
    the old text where it is given, else on the new. Each token's loss is told as it was before it was learnt from.
    """

    rule: Literal["rms", "sgd"] = "rms"
    """Steps over the root mean square of gradients, or plain gradient steps."""
    learning_rate: float | None = None
    """Size of the steps; none takes what suits the family: on recurrent models 0.001 for `rms` and 0.2 for `sgd`."""
    decay: float = 0.002
    """Share of the way back to the weights as they were, a step."""
    segment: int = 5
    """Tokens between two steps."""

    requires: ClassVar[tuple[type, ...]] = (ReadsOn,)
    deterministic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rule not in ("rms", "sgd"):
            raise SettingError(f"rule {self.rule!r}: choose rms or sgd")
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            raise SettingError(f"learning_rate {self.learning_rate}: give a number above 0, or none")
        if not 0 <= self.decay <= 1:
            raise SettingError(f"decay {self.decay}: give a share from 0 to 1")
        at_least(1, segment=self.segment)

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:
        """Read the text once."""
        alone("dynamic evaluation")
        assert isinstance(model, ReadsOn)
        rms, key = self.rule == "rms", digest(self._key(model, new, seed), "" if old is None else old.hash)
        squares = gradient_squares(model, old or new, self.segment) if rms else None
        home = [parameter.detach().clone() for parameter in model.module.parameters()]
        rate = self.learning_rate or model.step_sizes[self.rule]
        weights = DynamicWeights(model.module.parameters(), home, rate, self.decay, squares)
        reading = _Reading(AdaptiveReader(model, weights, self.segment))
        reading.through(new, None if checkpoints is None else Checkpoint(checkpoints, key))
        model.module.eval()
        return Lineage(
            scores={"loss while reading": reading.nats / reading.tokens, "tokens read": float(reading.tokens)}
        )


class _Reading:
    """How far the text is read, and what it cost so far."""

    def __init__(self, reader: AdaptiveReader) -> None:
        self.reader, self.parameters = reader, reader.weights.parameters
        self.nats, self.tokens, self.texts = 0.0, 0, 0

    def through(self, new: Corpus, checkpoint: Checkpoint | None) -> None:
        """Read to the end, from where an interrupted run stopped."""
        self._resume(checkpoint)
        with Progress("reading", new.size, "bytes") as progress:
            for tokens in islice(token_stream(self.reader.model, new.read(progress.advance)), self.texts, None):
                self._count(self.reader.read(tokens.ids))
                self.texts += 1
                if checkpoint is not None and checkpoint.due:
                    self._save(checkpoint)
        self._count(self.reader.rest())

    def _count(self, found: Scored) -> None:
        self.nats, self.tokens = self.nats - float(found.log_probs.sum()), self.tokens + len(found.log_probs)

    def _save(self, checkpoint: Checkpoint) -> None:
        weights = {f"weights.{place}": parameter for place, parameter in enumerate(self.parameters)}
        facts = {"nats": self.nats, "tokens": self.tokens, "texts": self.texts}
        checkpoint.save({**weights, **self.reader.carried()}, facts)

    @torch.no_grad()
    def _resume(self, checkpoint: Checkpoint | None) -> None:
        found = None if checkpoint is None else checkpoint.load()
        if found is None:
            return
        tensors, facts = found
        self.nats, self.tokens, self.texts = facts["nats"], facts["tokens"], facts["texts"]
        for place, parameter in enumerate(self.parameters):
            parameter.copy_(tensors.pop(f"weights.{place}"))
        self.reader.carry(tensors)
