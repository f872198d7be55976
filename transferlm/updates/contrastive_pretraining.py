"""Teach an encoder to tell texts apart: two views of a text belong together, all others do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch.nn import functional

from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.base import Encoder, GradientTrained, Model
from transferlm.neural.batching import EpochBatch
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.embedding import only_rows
from transferlm.neural.loop import Group, Settings, fit
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._encoder_text import EncoderText
from transferlm.updates.base import Update, at_least

__all__ = ["ContrastivePretraining"]


@dataclass(frozen=True)
class ContrastivePretraining(Update):
    """Unsupervised SimCSE (Gao et al. 2021, eq. 1): a text encoded twice under different dropout is its own positive.

    The other texts of the batch are the negatives. Vectors are pooled as the model pools them; only the embedding rows
    that the text uses move.
    """

    steps: int = 300
    """Most optimizer steps; the method needs few (Gao et al. 2021 stop after one pass over a million sentences)."""
    epochs: int = 3
    """Most passes over the text: training ends with whichever comes first."""
    learning_rate: float = 3e-5
    """Peak step size."""
    batch_size: int = 32
    """Texts a step, each encoded twice; more give harder negatives."""
    temperature: float = 0.05
    """Divides the cosines: the smaller, the more the nearest negatives count."""
    warmup: float = 0.0
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.0
    """Shrinkage of weight matrices."""
    clip: float = 1.0
    """Largest gradient norm."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bfloat16 where the hardware multiplies it natively, else fp32."""

    requires: ClassVar[tuple[type, ...]] = (Encoder, GradientTrained)

    def __post_init__(self) -> None:
        at_least(1, steps=self.steps, epochs=self.epochs)
        at_least(2, batch_size=self.batch_size)
        if not self.temperature > 0:
            raise SettingError(f"temperature {self.temperature}: give a number above 0")
        Settings.of(self, epochs=1)

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Pull the two views of each text together and push the others of the batch away.

        Raises:
            UnsupportedError: The model has no dropout, so that both views would be the same.
            DataError: There is one text only.
        """
        assert isinstance(model, GradientTrained)
        if new.survey().texts < 2:
            raise DataError(f"{new.name} holds one text: contrastive_pretraining tells texts apart, give two or more")
        text = EncoderText(model, new)
        if not _drops(model, text):
            raise UnsupportedError("contrastive_pretraining needs dropout, and this model has none: try denoising")
        key = self._key(model, new, seed)
        steps = text.steps(self.steps, self.epochs, self.batch_size)
        torch.manual_seed(derive(seed, "dropout"))
        with only_rows(model.embedding, text.used()) as renamed:
            history = fit(
                model.module,
                text.order(self.batch_size, seed),
                lambda batch: self._loss(model, text, batch, renamed),
                Settings.of(self, epochs=1, steps=steps),
                groups=[Group(text.parameters())],
                checkpoint=Checkpoint(checkpoints, key) if checkpoints is not None else None,
                tokens=text.tokens,
                description="contrastive pretraining",
            )
        return Lineage(scores={"train_loss": history.losses[-1], "steps": history.steps}, notes=text.notes())

    def _loss(self, model: GradientTrained, text: EncoderText, batch: EpochBatch, renamed: np.ndarray) -> torch.Tensor:
        """Gao et al. 2021, eq. 1: cosines of first (rows) and second views (columns); the diagonal is right.

        A text that stands in the batch twice is no negative of itself.
        """
        ids = [text.rows[row] for row in batch.rows]
        states = model.text_states(text.laid_out([*ids, *ids], renamed)).float()
        one, other = functional.normalize(states, dim=1).chunk(2)
        cosines = one @ other.T / self.temperature
        twins = np.array([[a is not b and np.array_equal(a, b) for b in ids] for a in ids])
        cosines = cosines.masked_fill(torch.from_numpy(twins).to(cosines.device), -torch.inf)
        return functional.cross_entropy(cosines, torch.arange(len(ids), device=cosines.device))


def _drops(model: GradientTrained, text: EncoderText) -> bool:
    """Whether a text has another vector each time while training: dropout may stand in a layer or in a call."""
    longest = text.rows[int(np.argmax(text.rows.lengths))]
    batch = text.laid_out([longest], np.arange(model.embedding.num_embeddings))
    model.module.train()
    try:
        with torch.no_grad(), torch.random.fork_rng():
            return not torch.equal(model.text_states(batch), model.text_states(batch))
    finally:
        model.module.eval()
