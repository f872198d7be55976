"""Train every layer of the model together with a new head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

from transferlm.errors import SettingError
from transferlm.models.base import Encoder, GradientTrained, Model, digest
from transferlm.neural.batching import Batch, by_length, collate, shuffled_by_length
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.embedding import only_rows
from transferlm.neural.heads import LinearHead, loss_of
from transferlm.neural.loop import Group, Settings, fit
from transferlm.neural.precision import Precision, autocast
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples
from transferlm.text.splits import stratified_split
from transferlm.text.tokenizers.base import share_read

__all__ = ["FineTuning"]


@dataclass(frozen=True)
class FineTuning(Strategy):
    """All layers and a linear head trained by AdamW with warm-up and decay (Devlin et al. 2019; Mosbach et al. 2021).

    The weights with the lowest loss on a held-out part are kept. Few labels get more epochs than many: small sets need
    steps, not passes, so `minimum_steps` lengthens training where `epochs` would give fewer.
    """

    learning_rate: float = 1e-4
    """Peak step size; 1e-4 suits bodies of MiniLM's size, 2e-5 to 5e-5 larger ones."""
    epochs: int = 3
    """Passes over the examples, more where `minimum_steps` asks for them."""
    minimum_steps: int = 200
    """Optimizer steps that training takes at least."""
    batch_size: int = 16
    """Texts a step."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Shrinkage of weight matrices; biases, norms and embeddings are left alone."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after warm-up."""
    dropout: float = 0.1
    """Dropout before the head; the body keeps its own."""
    held_out: float = 0.1
    """Share of the examples kept aside to choose the best weights; 0 keeps the last weights."""
    patience: int | None = 5
    """Evaluations without improvement before stopping; none runs to the end."""
    clip: float = 1.0
    """Largest gradient norm."""
    accumulate: int = 1
    """Batches a step: `batch_size` stays the texts of one batch."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bfloat16 where the hardware multiplies it natively, else fp32."""

    requires: ClassVar[tuple[type, ...]] = (Encoder, GradientTrained)
    frozen: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise SettingError(f"held_out {self.held_out}: give a share from 0 up to, not including, 1")
        if not 0 <= self.dropout < 1:
            raise SettingError(f"dropout {self.dropout}: give a share from 0 up to, not including, 1")
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give 1 or more")
        self._settings(1)

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:
        """Train a copy of the model; its embedding table moves only in the rows that the examples use."""
        trained = body = model.copy()
        assert isinstance(body, Encoder)
        assert isinstance(body, GradientTrained)
        train, held = self._parts(examples, seed)
        tokens = body.tokenize(examples.texts)
        torch.manual_seed(derive(seed, "dropout"))
        head = LinearHead(
            body.encoding_width, examples.task.output(examples.labels), self.dropout, derive(seed, "head")
        ).to(next(body.module.parameters()).device)
        with only_rows(body.embedding, [np.array([body.pad_id]), *(t.ids for t in tokens)]) as renamed:
            trial = _Trial(body, head, examples, [renamed[t.ids] for t in tokens], int(renamed[body.pad_id]))
            history = fit(
                nn.ModuleList([body.module, head]),
                lambda epoch: trial.batches(train, self.batch_size, derive(seed, "order", epoch)),
                trial.loss,
                self._settings(len(train)),
                groups=[Group([p for group in body.layer_groups() for p in group] + list(head.parameters()))],
                evaluate=(lambda: trial.mean_loss(held, self.precision)) if len(held) else None,
                checkpoint=_checkpoint(self, model, examples, seed, checkpoints),
                description="fine-tuning",
            )
        weights, bias = head.arrays()
        scores = {"train_loss": history.losses[history.best if len(held) else -1]}
        if len(held):
            scores["held_out_loss"] = history.evaluations[history.best]
        scores["train_share_read"] = float(share_read(examples.texts, tokens).mean())
        return TaskModel(trained, examples.task, examples.labels, weights, bias, Lineage(scores=scores))

    def _settings(self, rows: int) -> Settings:
        steps = -(-rows // (self.batch_size * self.accumulate))
        return Settings.of(self, epochs=max(self.epochs, -(-self.minimum_steps // steps)))

    def _parts(self, examples: Examples, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows to train on and rows held out, every class in both; nothing is held out where that can't be."""
        counts = np.bincount(examples.targets, minlength=len(examples.labels))
        held: int = max(int(np.count_nonzero(counts)), round(self.held_out * len(examples)))
        if self.held_out == 0 or counts[counts > 0].min() < 2 or 2 * held > len(examples):
            rows = np.arange(len(examples))
            return rows, rows[:0]
        parts = stratified_split(examples.targets.tolist(), [len(examples) - held, held], derive(seed, "held out"))
        return parts[0], parts[1]


def _checkpoint(
    strategy: FineTuning, model: Model, examples: Examples, seed: int, folder: Path | None
) -> Checkpoint | None:
    """Where this very training keeps its state: the key is everything that decides how it goes."""
    if folder is None:
        return None
    settings = json.dumps(strategy.hyper_parameters(), sort_keys=True)
    parts = (model.fingerprint, examples.hash, repr(examples.task), settings, str(seed))
    return Checkpoint(folder, digest("fine_tuning", *parts))


class _Trial:
    """The examples as the loop wants them: batches of renamed token ids, and their loss."""

    def __init__(
        self, body: Encoder, head: LinearHead, examples: Examples, ids: Sequence[np.ndarray], pad_id: int
    ) -> None:
        assert isinstance(body, GradientTrained)
        self.body, self.head, self.ids, self.pad_id = body, head, ids, pad_id
        self.device = next(head.parameters()).device
        self.lengths = np.array([len(row) for row in ids])
        self.output = examples.task.output(examples.labels)
        self.targets = torch.from_numpy(examples.targets).to(self.device)
        weights = examples.task.weights(examples.targets, examples.labels)
        self.weights = torch.tensor(weights, dtype=torch.float32, device=self.device) if weights is not None else None

    def batches(self, rows: np.ndarray, batch_size: int, seed: int) -> list[np.ndarray]:
        order = shuffled_by_length(self.lengths[rows], batch_size, np.random.default_rng(seed))
        return [rows[places] for places in order]

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        batch: Batch = collate(self.ids, rows, self.pad_id, self.device)
        scores = self.head(self.body.text_states(batch))
        return loss_of(self.output, scores, self.targets[torch.from_numpy(rows).to(self.device)], self.weights)

    def mean_loss(self, rows: np.ndarray, precision: Precision) -> float:
        total = 0.0
        for places in by_length(self.lengths[rows]):
            with autocast(self.device, precision):
                total += float(self.loss(rows[places])) * len(places)
        return total / len(rows)
