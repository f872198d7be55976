"""Train every layer of the model together with a new head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from transferlm.models.base import Encoder, GradientTrained, Model
from transferlm.strategies._training import check_training, trained
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

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
    learns: ClassVar[frozenset[str]] = frozenset(
        {"softmax a text", "sigmoid a text", "squared a text", "softmax a token", "span a token"}
    )
    frozen: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_training(self)

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:
        """Train a copy of the model; its embedding table moves only in the rows that the examples use."""
        return trained(self, model, model.copy(), examples, seed, checkpoints=checkpoints, description="fine-tuning")
