"""The hyper-parameters of every strategy that trains a body and a head by gradients on labelled examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transferlm.errors import SettingError
from transferlm.neural.settings import Settings

__all__ = ["TrainingSettings"]


@dataclass(frozen=True)
class TrainingSettings:
    """How to train on labelled examples; a strategy may restate a field with another default.

    Few labels get more epochs than many: small sets need steps, not passes (Mosbach et al. 2021), so `minimum_steps`
    lengthens training where `epochs` would give fewer.
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

    def __post_init__(self) -> None:
        for name in ("held_out", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give a share from 0 up to, not including, 1")
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give 1 or more")
        self.settings(1)

    def settings(self, rows: int) -> Settings:
        """How the loop trains on so many rows: more epochs where `minimum_steps` asks for them."""
        steps = -(-rows // (self.batch_size * self.accumulate))
        return Settings.of(self, epochs=max(self.epochs, -(-self.minimum_steps // steps)))
