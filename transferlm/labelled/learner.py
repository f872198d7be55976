"""A task model as the methods that train weights further see it: what it learns from are labelled examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import nn

from transferlm import catalog
from transferlm.errors import UnsupportedError
from transferlm.labelled.objective import LabelledObjective
from transferlm.labelled.reading import Reading
from transferlm.labelled.rows import Rows, Scale
from transferlm.models.base import GradientTrained, Kept, Model, SelfSupervised, digest
from transferlm.neural.heads import LinearHead
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples
from transferlm.text.corpus import Corpus

if TYPE_CHECKING:
    from transferlm.neural.batching import Batch
    from transferlm.neural.part_way import PartWay
    from transferlm.storage import Folder
    from transferlm.text.framing import Frame
    from transferlm.text.tokenizers.base import Tokens

__all__ = ["Learner", "check_learner"]

_BATCH, _DROPOUT, _SCALE = 16, 0.1, "scale"


class Learner(Model, SelfSupervised):
    """A task model's body and head as one model that is trained further on labelled examples.

    A corpus is read as lines of JSON, an example each (`Examples.records`): so whatever draws texts, keeps them in a
    memory or holds them out does the same with labelled ones. What is kept with it lies with the task model, apart from
    what its body keeps of updates with text.

    Args:
        task_model: Its body is trained in place.
        scale: How the numbers of a regression are standardised while they are learnt.

    Raises:
        UnsupportedError: Its body is not trained by gradients, or it encodes the two texts of a pair apart.
    """

    def __init__(self, task_model: TaskModel, scale: Scale | None = None) -> None:
        check_learner(task_model)
        body: Any = task_model.model
        self.body: GradientTrained = body
        self._made, self.scale = task_model, scale or Scale()
        self.head = _head(task_model, self.scale).to(next(body.module.parameters()).device)
        self.module = nn.ModuleDict({"body": body.module, "head": self.head})
        self.lineage, self.kept = task_model.lineage, task_model.kept

    @classmethod
    def of(cls, task_model: TaskModel, examples: Examples | None = None) -> Self:
        """The learner of a task model that is left as it is.

        Args:
            task_model: What is to learn.
            examples: Numbers are standardised by these, unless an earlier update settled how; None where one did.
        """
        if task_model.task.output(task_model.labels).link != "squared":
            return cls(task_model)
        kept = task_model.kept.get(_SCALE)
        if kept is not None:
            return cls(task_model, Scale.kept(kept.facts))
        scale = Scale() if examples is None else Scale.of(examples.targets)
        lasting = {_SCALE: Kept({}, {"mean": scale.mean, "deviation": scale.deviation})}
        return cls(replace(task_model, kept={**task_model.kept, **lasting}), scale)

    def task_model(self) -> TaskModel:
        """The task model as it is now, around the same body; a precision that was chosen for it before is dropped."""
        weights, bias = self.scale.outward(*self.head.arrays())
        learnt: dict[str, Any] = {"model": self.body, "weights": weights, "bias": bias}
        return replace(self._made, **learnt, lineage=self.lineage, kept=dict(self.kept), precision=None, rounding={})

    def objective(self, corpus: Corpus, seed: int = 0, batch_size: int | None = None) -> LabelledObjective:
        """The task's loss over the examples whose records the corpus holds.

        Raises:
            DataError: A line is no example of the task, or has a label that the model has not.
        """
        examples = Examples.of_records(corpus, self._made.task, self._made.labels, corpus.name)
        rows = Rows(self.body, examples, scale=self.scale)
        return LabelledObjective(self.module, Reading(self.body, self.head, rows), batch_size or _BATCH, seed)

    def copy(self) -> Self:
        """An independent one, whose body and head are its own."""
        body: Any = self.body
        return type(self)(replace(self.task_model(), model=body.copy()), self.scale)

    # ---------------------------------------------------------------- what a model is asked for

    @property
    def family(self) -> str:
        """The body's."""
        body: Any = self.body
        return str(body.family)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over body, head, task and what is kept."""
        body: Any = self.body
        kept = [part for name in sorted(self.kept) for part in (name, self.kept[name].hash)]
        head = [np.ascontiguousarray(array).tobytes() for array in self.head.arrays()]
        return digest("learner", body.fingerprint, *head, repr(self._made.task), *self._made.labels, *kept)

    def hyper_parameters(self) -> dict[str, Any]:
        """The body's."""
        body: Any = self.body
        return dict(body.hyper_parameters())

    def write(self, folder: Path) -> None:
        """The body alone: `task_model().save` writes all."""
        body: Any = self.body
        body.write(folder)

    @classmethod
    def read(cls, folder: Folder) -> Self:
        """Never written as such, and so never read: `TaskModel.read` opens a task model."""
        raise UnsupportedError(f"{folder.path}: open it with `load`")

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """As the body does."""
        return self.body.tokenize(texts)

    def frame(self, pair: bool = False) -> Frame:
        """The body's."""
        return self.body.frame(pair)

    def text_states(self, batch: Batch) -> torch.Tensor:
        """The body's."""
        return self.body.text_states(batch)

    @property
    def token_width(self) -> int:
        """The body's."""
        return self.body.token_width

    def token_states(self, batch: Batch) -> torch.Tensor:
        """The body's."""
        return self.body.token_states(batch)

    @property
    def embedding(self) -> nn.Embedding:
        """The body's."""
        return self.body.embedding

    @property
    def pad_id(self) -> int:
        """The body's."""
        return self.body.pad_id

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The body's."""
        return self.body.layer_groups()

    def part_way(self) -> PartWay:
        """The body's."""
        return self.body.part_way()


def check_learner(task_model: TaskModel) -> None:
    """Check that a task model can be trained further.

    Raises:
        UnsupportedError: Its body is not trained by gradients, or it encodes the two texts of a pair apart.
    """
    name, body = catalog.name_of(task_model.task), task_model.model
    if not isinstance(body, GradientTrained):
        raise UnsupportedError(
            f"updates with labelled examples move weights by gradients, and the body of this {name} model,"
            f" {body.family}, has none that can be moved so: transfer it anew to old and new examples together"
        )
    if task_model.apart:
        raise UnsupportedError(
            f"this {name} model encodes the two texts of a pair apart, which can't be updated: fine-tune one that"
            " reads them together"
        )


def _head(task_model: TaskModel, scale: Scale) -> LinearHead:
    weights, bias = scale.inward(task_model.weights, task_model.bias)
    head = LinearHead(len(weights), task_model.task.output(task_model.labels), _DROPOUT)
    with torch.no_grad():
        head.linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights.T)))
        head.linear.bias.copy_(torch.from_numpy(np.array(bias)))
    return head
