"""The pretraining of a recurrent model on a stream of text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from transferlm.models._recurrent_network import Network
from transferlm.models._recurrent_settings import RecurrentSettings
from transferlm.models._sampled import sampled_loss
from transferlm.models._stream import RegularisedReader, StreamReader
from transferlm.models.base import digest
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.loop import fit
from transferlm.neural.settings import Settings
from transferlm.seeding import derive
from transferlm.text.corpus import Corpus

__all__ = ["train_on"]


class _Recurrent(RecurrentSettings, Protocol):
    module: Network

    @property
    def trained(self) -> bool: ...
    @property
    def fingerprint(self) -> str: ...
    def objective(self, corpus: Corpus, seed: int = 0, batch_size: int | None = None) -> StreamReader: ...


def train_on(
    model: _Recurrent, stream: Callable[[Corpus], np.ndarray], corpus: Corpus, seed: int, checkpoints: Path | None
) -> None:
    """Lower the model's loss on the corpus, in place, as its settings say.

    Args:
        model: With its network drawn.
        stream: Gives a corpus's tokens.
        corpus: Texts; a share of them is held out.
        seed: Decides the held-out part, dropout and random lengths.
        checkpoints: Folder for the training state and its log; none keeps none.
    """
    splits = model.held_out and corpus.survey().texts > 1
    train, held = corpus.held_out(model.held_out, seed) if splits else (corpus, None)
    tokens = stream(train)
    sampled = sampled_loss(model, tokens, model.module.embedding.num_embeddings, seed)
    if sampled is not None and not model.trained:
        model.module.begin_at(sampled.log_frequencies)
    reader = RegularisedReader(
        model.module,
        tokens,
        model.batch_size,
        model.sequence_length,
        seed=derive(seed, "stream"),
        random_lengths=model.random_lengths,
        activation=model.activation_penalty,
        slowness=model.slowness_penalty,
        sampled=sampled,
    )
    judge = model.objective(held) if held is not None else None
    key = digest("pretrain", model.fingerprint, corpus.hash, str(seed))
    torch.manual_seed(derive(seed, "dropout"))
    fit(
        model.module,
        reader.batches,
        reader.loss,
        Settings.of(model),
        penalty=reader.penalty if model.activation_penalty or model.slowness_penalty else None,
        evaluate=judge.mean_loss if judge is not None else None,
        checkpoint=Checkpoint(checkpoints, key, carried=reader) if checkpoints is not None else None,
        tokens=reader.tokens,
        pace=reader.pace if model.random_lengths else None,
        description="pretraining",
    )
