"""Teach the encoder to tell the classes apart by pairs of labelled texts, then learn a linear model on top."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from transferlm import catalog
from transferlm.errors import DataError, SettingError
from transferlm.labelled.rows import Rows
from transferlm.models.base import Encoder, GradientTrained, Model, digest
from transferlm.neural.batching import collate
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.embedding import only_rows
from transferlm.neural.loop import Group, Settings, fit
from transferlm.neural.pairs import PAIR_LOSSES
from transferlm.seeding import derive
from transferlm.strategies._class_batches import ClassBatches
from transferlm.strategies._head import with_linear_head
from transferlm.strategies._labels import refuse_empty_labels
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["Contrastive"]


@dataclass(frozen=True)
class Contrastive(Strategy):
    """For few labels: texts of one class are drawn together and those of others apart, then a linear model is fitted.

    What SetFit does (Tunstall et al. 2022), with all pairs of a batch instead of one pair after the other: b texts are
    encoded once and give b (b - 1) / 2 pairs. The head is logistic regression on the new encodings.
    """

    objective: Literal["supervised_contrastive", "cosine"] = "supervised_contrastive"
    """What pairs teach: each text to prefer those of its class (Khosla et al. 2020, eq. 2), or cosines of 1 within a
    class and 0 across (SetFit's)."""
    temperature: float = 0.1
    """Divides the cosines of `supervised_contrastive`: the smaller, the more the nearest texts count."""
    learning_rate: float = 5e-5
    """Peak step size."""
    epochs: int = 8
    """Times that each text is shown, more where `minimum_steps` asks for them."""
    minimum_steps: int = 30
    """Optimizer steps that training takes at least."""
    batch_size: int = 32
    """Texts a step, as many of each class."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Shrinkage of weight matrices; biases, norms and embeddings are left alone."""
    clip: float = 1.0
    """Largest gradient norm."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bfloat16 where the hardware multiplies it natively, else fp32."""
    regularisation: float = 1.0
    """Inverse strength C of the head's L2 penalty: texts that were trained on can't choose it, since their encodings
    are parted already."""

    requires: ClassVar[tuple[type, ...]] = (Encoder, GradientTrained)
    frozen: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("minimum_steps", 0), ("batch_size", 4)):
            if getattr(self, name) < least:
                raise SettingError(f"{name} {getattr(self, name)}: give {least} or more")
        for name in ("temperature", "regularisation"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} {getattr(self, name)}: give a number above 0")
        if self.objective not in PAIR_LOSSES:
            raise SettingError(f"objective {self.objective!r}: choose {', '.join(PAIR_LOSSES)}")
        Settings.of(self)

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:
        """Train a copy of the model on pairs, then fit the head.

        Raises:
            DataError: A label of the task has no example, or none has two.
        """
        refuse_empty_labels(examples)
        if np.bincount(examples.targets).max() < 2:
            raise DataError(f"{examples.name}: no label has two examples, so there is no pair of texts that are alike")
        body = model.copy()
        assert isinstance(body, GradientTrained)
        losses = self._train(body, model, examples, seed, checkpoints)
        made = with_linear_head(
            body, examples, seed, regularisation=self.regularisation, folds=2, iterations=_ITERATIONS
        )
        made.lineage.scores |= losses
        return made

    def _train(
        self, body: GradientTrained, source: Model, examples: Examples, seed: int, checkpoints: Path | None
    ) -> dict[str, float]:
        """Move the body's weights; what the pairs cost it at the end, and how many there were."""
        rows = Rows(body, examples)
        assert rows.targets is not None
        batches = ClassBatches(rows.targets, self.batch_size, seed)
        epochs = max(self.epochs, -(-self.minimum_steps // batches.count))
        pad, device = np.array([body.pad_id]), next(body.module.parameters()).device
        targets = torch.from_numpy(rows.targets).to(device)
        torch.manual_seed(derive(seed, "dropout"))
        with only_rows(body.embedding, [pad, *rows.ids]) as renamed:
            ids, pad_id = [renamed[row] for row in rows.ids], int(renamed[body.pad_id])

            def loss(places: np.ndarray) -> torch.Tensor:
                states = body.text_states(collate(ids, places, pad_id, device, rows.types))
                own = targets[torch.from_numpy(places).to(device)]
                with torch.autocast(device.type, enabled=False):
                    return PAIR_LOSSES[self.objective](states.float(), own, self.temperature)

            history = fit(
                body.module,
                batches,
                loss,
                Settings.of(self, epochs=epochs),
                groups=[Group([p for group in body.layer_groups() for p in group])],
                checkpoint=self._checkpoint(source, examples, seed, checkpoints),
                description="contrastive",
            )
        pairs = history.steps * batches.size * (batches.size - 1) // 2
        return {"train_loss": history.losses[-1], "steps": history.steps, "pairs": pairs}

    def _checkpoint(self, model: Model, examples: Examples, seed: int, folder: Path | None) -> Checkpoint | None:
        if folder is None:
            return None
        settings = json.dumps(catalog.values_of(self), sort_keys=True)
        parts = (model.fingerprint, examples.hash, repr(examples.task), settings, str(seed))
        return Checkpoint(folder, digest("contrastive", *parts))


_ITERATIONS = 1000
