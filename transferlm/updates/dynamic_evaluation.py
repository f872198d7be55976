"""Read the new text once, learning from every few tokens, and keep what the weights became."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from transferlm.errors import SettingError
from transferlm.models._adaptive_reading import AdaptiveReader, gradient_squares, token_stream
from transferlm.models.base import Model, ReadsOn
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
    """Size of the steps; none takes 0.002 for `rms` and 0.1 for `sgd`."""
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

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Read the text once; nothing is kept on the way."""
        assert isinstance(model, ReadsOn)
        rms = self.rule == "rms"
        squares = gradient_squares(model, old or new, self.segment) if rms else None
        home = [parameter.detach().clone() for parameter in model.module.parameters()]
        rate = self.learning_rate or (0.002 if rms else 0.1)
        weights = DynamicWeights(model.module.parameters(), home, rate, self.decay, squares)
        reader, nats, tokens = AdaptiveReader(model, weights, self.segment), 0.0, 0
        with Progress("reading", new.size, "bytes") as progress:
            for ids in token_stream(model, new.read(progress.advance)):
                logs = reader.read(ids)
                nats, tokens = nats - float(logs.sum()), tokens + len(logs)
        logs = reader.rest()
        nats, tokens = nats - float(logs.sum()), tokens + len(logs)
        model.module.eval()
        return Lineage(scores={"loss while reading": nats / tokens, "tokens read": float(tokens)})
