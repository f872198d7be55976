"""What all methods share that train a model's weights further on new text by the model's own loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from transferlm.models._training import Training
from transferlm.models.base import Model, Objective, SelfSupervised, digest
from transferlm.neural.freezing import only
from transferlm.neural.loop import Group, History, Settings
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update, at_least

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Course", "FurtherTraining"]

_TOLD = {
    "": "training further",
    "head": "training the masked-LM head",
    "rows": "training the rows of new tokens",
}
"""What the progress line says of each part of a training."""


@dataclass
class Course:
    """What a method trains on, and what holds the weights back meanwhile.

    Attributes:
        objective: The loss.
        pull: Adds a penalty's gradient to the weights' own, in the order of `objective.module.parameters()`.
        decisive: Hashes of what decides the training beside model, new text, settings and seed, for its checkpoint.
        notes: What a person should know of it.
        finish: Called once the weights have moved: does what is left to do, in place, and gives scores and notes.
    """

    objective: Objective
    pull: Callable[[Sequence[torch.Tensor]], None] | None = None
    decisive: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    finish: Callable[[], Lineage] = Lineage


@dataclass(frozen=True)
class FurtherTraining(Update):
    """The model's own loss on new text, next tokens or masked ones; a method says what it adds to it.

    Of a task model that is updated with labelled examples the loss is its task's, and body and head move.

    Masks are drawn anew in each epoch (Liu et al. 2019). Where a masked model came without its head, one is built on
    its embedding table and warmed up with the body frozen, so that a head that knows nothing does not spoil the body.
    """

    steps: int = 500
    """Most optimizer steps."""
    epochs: int = 10
    """Most passes over the text: training ends with whichever comes first."""
    learning_rate: float | None = None
    """Peak step size; none takes the model's own: a quarter of its pretraining's, or 5e-5 for masked Transformers and
    for labelled examples."""
    batch_size: int | None = None
    """Texts a step (lanes, for a stream); none takes what suits the model."""
    warmup: float = 0.06
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Shrinkage of weight matrices; biases, norms and embeddings are left alone."""
    clip: float = 1.0
    """Largest gradient norm."""
    head_steps: int = 200
    """Steps that train a new masked-LM head alone, where the model has none."""
    head_learning_rate: float = 1e-3
    """Peak step size of that warm-up."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bfloat16 where the hardware multiplies it natively, else fp32."""

    requires: ClassVar[tuple[type, ...]] = (SelfSupervised,)
    labelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, steps=self.steps, epochs=self.epochs, batch_size=self.batch_size, head_steps=self.head_steps)
        self._settings(1.0 if self.learning_rate is None else self.learning_rate, self.steps)
        self._settings(self.head_learning_rate, self.head_steps)

    def prepare(self, model: Model, new: Corpus, seed: int, checkpoints: Path | None) -> list[str]:
        """Build the missing head and train it alone."""
        assert isinstance(model, SelfSupervised)
        if not model.lacks_head:
            return []
        key = self._key(model, new, seed)
        head = model.add_head(seed)
        course = Course(model.objective(new, derive(seed, "head"), self.batch_size))
        with only(course.objective.module, head):
            self._trained(course, head, self.head_learning_rate, self.head_steps, seed, (checkpoints, "head", key))
        return [
            "the weights came without a masked-LM head: one was built on the embedding table and trained for"
            f" {self.head_steps} steps with the body frozen; it is saved with the model"
        ]

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:
        """Lower the loss of the method's course, every weight moving."""
        assert isinstance(model, SelfSupervised)
        key = self._key(model, new, seed)
        course = self.course(model, new, old, seed)
        objective = course.objective
        batches = len(objective.batches(0))
        steps = min(self.steps, self.epochs * batches)
        rate = self.default_rate(objective.learning_rate) if self.learning_rate is None else self.learning_rate
        parameters = self.moving(objective.module)
        state = (checkpoints, "", digest(key, *course.decisive) if course.decisive else key)
        with only(objective.module, parameters):
            history = self._trained(course, parameters, rate, steps, seed, state)
        scores = {"train_loss": history.losses[-1], "steps": history.steps, "epochs": history.steps / batches}
        ended = course.finish()
        return Lineage(scores={**scores, **ended.scores}, notes=[*course.notes, *ended.notes])

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:  # noqa: ARG002
        """What is trained on and what holds back; as it stands the model's own loss and nothing."""
        return Course(model.objective(new, derive(seed, "body"), self.batch_size))

    def moving(self, module: nn.Module) -> list[nn.Parameter]:
        """The weights that move; as it stands all of them."""
        return list(module.parameters())

    def default_rate(self, own: float) -> float:
        """The peak step size where none is given, from that which suits the objective; as it stands the same."""
        return own

    def _trained(
        self,
        course: Course,
        parameters: Sequence[nn.Parameter],
        rate: float,
        steps: int,
        seed: int,
        state: tuple[Path | None, str, str],
    ) -> History:
        folder, part, key = state
        training = Training(
            course.objective,
            self._settings(rate, steps),
            pull=course.pull,
            groups=[Group(parameters)],
            description=_TOLD[part],
        )
        return training.run(derive(seed, part), None if folder is None else folder / part, key)

    def _settings(self, rate: float, steps: int) -> Settings:
        return Settings.of(self, epochs=1, learning_rate=rate, steps=steps)
