"""Teach an encoder to put a whole text into its one vector: a decoder has to rebuild it from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

from transferlm.errors import SettingError
from transferlm.models.base import Encoder, GradientTrained, Model
from transferlm.neural.batching import EpochBatch
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.embedding import only_rows
from transferlm.neural.loop import Group, Settings, fit
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._encoder_text import EncoderText
from transferlm.updates._text_decoder import TextDecoder
from transferlm.updates.base import Update, at_least

__all__ = ["Denoising"]

_DECODER_FACTOR = 10.0
"""On the learning rate: the decoder starts from nothing, the encoder has much to lose."""


@dataclass(frozen=True)
class Denoising(Update):
    """TSDAE (Wang et al. 2021): 60% of a text's tokens are deleted, the rest encoded, and the whole text rebuilt.

    All that the decoder, a small Transformer on the encoder's own embeddings, knows of the text is the one vector, so
    the vector has to hold it. The decoder is thrown away afterwards. It chooses among the tokens that the text uses,
    and only their embedding rows move.
    """

    steps: int = 300
    """Most optimizer steps."""
    epochs: int = 10
    """Most passes over the text: training ends with whichever comes first."""
    learning_rate: float = 3e-5
    """Peak step size of the encoder; the decoder's is ten times as large."""
    batch_size: int = 16
    """Texts a step."""
    deleted: float = 0.6
    """Share of a text's tokens that are deleted before it is encoded; at least one stays."""
    decoder_layers: int = 1
    """Layers of the decoder: a weak one leans on the vector."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Shrinkage of weight matrices."""
    clip: float = 1.0
    """Largest gradient norm."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bfloat16 where the hardware multiplies it natively, else fp32."""

    requires: ClassVar[tuple[type, ...]] = (Encoder, GradientTrained)

    def __post_init__(self) -> None:
        for name in ("steps", "epochs", "batch_size", "decoder_layers"):
            at_least(1, **{name: getattr(self, name)})
        if not 0 <= self.deleted < 1:
            raise SettingError(f"deleted {self.deleted}: give a share from 0 up to, not including, 1")
        Settings.of(self, epochs=1)

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:  # noqa: ARG002
        """Train encoder and decoder together to rebuild the texts."""
        assert isinstance(model, GradientTrained)
        assert isinstance(model, Encoder)
        text = EncoderText(model, new)
        key = self._key(model, new, seed)
        steps = text.steps(self.steps, self.epochs, self.batch_size)
        with only_rows(model.embedding, text.used()) as renamed:
            with torch.random.fork_rng():
                torch.manual_seed(derive(seed, "decoder"))
                decoder = TextDecoder(model.encoding_width, model.embedding, self.decoder_layers).to(text.device)
            torch.manual_seed(derive(seed, "dropout"))
            history = fit(
                nn.ModuleList([model.module, decoder]),
                text.order(self.batch_size, seed),
                lambda batch: self._loss(model, decoder, text, batch, renamed, seed),
                Settings.of(self, epochs=1, steps=steps),
                groups=[Group(text.parameters()), Group(list(decoder.parameters()), _DECODER_FACTOR)],
                checkpoint=Checkpoint(checkpoints, key) if checkpoints is not None else None,
                tokens=text.tokens,
                description="denoising",
            )
        return Lineage(scores={"train_loss": history.losses[-1], "steps": history.steps}, notes=text.notes())

    def _loss(
        self,
        model: GradientTrained,
        decoder: TextDecoder,
        text: EncoderText,
        batch: EpochBatch,
        renamed: np.ndarray,
        seed: int,
    ) -> torch.Tensor:
        draw = np.random.default_rng(derive(seed, "deleted", batch.epoch, batch.place))
        special = np.array(sorted(model.tokenizer.special_ids - {model.tokenizer.unknown_id}))
        ids = [text.rows[row] for row in batch.rows]
        noisy = text.laid_out([_thinned(row, special, self.deleted, draw) for row in ids], renamed)
        return decoder.loss(model.text_states(noisy), text.laid_out(ids, renamed), model.embedding.weight)


def _thinned(row: np.ndarray, special: np.ndarray, deleted: float, draw: np.random.Generator) -> np.ndarray:
    """The row without a share of its tokens; the marks around a text, and at least one token, stay."""
    ordinary = np.flatnonzero(~np.isin(row, special))
    kept = np.ones(len(row), dtype=bool)
    kept[ordinary] = draw.random(len(ordinary)) >= deleted
    if len(ordinary) and not kept[ordinary].any():
        kept[draw.choice(ordinary)] = True
    return row[kept]
