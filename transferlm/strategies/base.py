"""How a model and labelled examples become a task model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from transferlm import catalog
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.base import Model, require
from transferlm.storage import Lineage
from transferlm.task_model import TaskModel
from transferlm.task_models import TaskModels
from transferlm.tasks.base import Examples, Task

__all__ = ["Strategy"]


class Strategy(ABC):
    """A way to transfer: a dataclass of hyper-parameters that says which capabilities it needs."""

    requires: ClassVar[tuple[type, ...]] = ()
    """Capabilities a model must have."""
    learns: ClassVar[frozenset[str]] = frozenset({"softmax a text"})
    """Outputs of tasks that it can learn, as `str(Output)` names them."""
    frozen: ClassVar[bool] = False
    """Whether the model's encodings stay as they were, so that trials may share them."""

    needs_examples: ClassVar[bool] = True
    """Whether it learns from labelled examples; else their labels' names are enough."""
    several: ClassVar[bool] = False
    """Whether it can learn several tasks at once."""

    def hyper_parameters(self) -> dict[str, Any]:
        """Field name -> value."""
        return catalog.values_of(self)

    def transfer(self, model: Model, examples: Examples, seed: int = 0, checkpoints: Path | None = None) -> TaskModel:
        """A task model from `model` and labelled examples; `model` itself is left as it was.

        Args:
            model: The source.
            examples: Labelled texts of one task; none (`Examples.without_texts`) for a strategy that needs none.
            seed: Decides every random choice.
            checkpoints: Folder for the state of long training, so that an interrupted one goes on; none keeps none.

        Raises:
            UnsupportedError: `model` lacks a capability, or the task asks for scores that the strategy can't learn; the
                message names families that have it, or strategies that can.
            DataError: The examples can't be learnt from.
        """
        name = catalog.name_of(self)
        require(model, self.requires, name)
        self.check_task(examples.task, examples.labels)
        if self.needs_examples and not len(examples):
            free = [n for n in catalog.entries("strategies") if not catalog.find("strategies", n).needs_examples]
            raise DataError(
                f"{name} learns from labelled examples, and there are none; what needs none: {', '.join(free)}"
            )
        made = self.learn(model, examples, seed, checkpoints)
        made.lineage = self._lineage(model, {"": examples}, seed, made.lineage)
        if made.model is not model:
            made.model.lineage = made.lineage  # the body has learnt from the examples: a later task's story names them
        return made

    def transfer_several(
        self, model: Model, sets: Mapping[str, Examples], seed: int = 0, checkpoints: Path | None = None
    ) -> TaskModels:
        """Task models for several tasks, around one body; `model` itself is left as it was.

        Args:
            model: The source.
            sets: Name -> labelled examples of one task.
            seed: Decides every random choice.
            checkpoints: As in `transfer`.

        Raises:
            UnsupportedError: The strategy learns one task at a time, or `transfer` would refuse one of them.
            DataError: Examples can't be learnt from.
            SettingError: There are no sets, or one has no name.
        """
        name = catalog.name_of(self)
        if not self.several:
            others = [each for each in catalog.entries("strategies") if catalog.find("strategies", each).several]
            raise UnsupportedError(f"{name} learns one task at a time; what learns several: {', '.join(others)}")
        if not sets or not all(each.strip() for each in sets):
            raise SettingError("several tasks need a name each: give one or more")
        require(model, self.requires, name)
        for examples in sets.values():
            self.check_task(examples.task, examples.labels)
        made = self.learn_several(model, sets, seed, checkpoints)
        made.lineage = self._lineage(model, sets, seed, made.lineage)
        for one in made.values():
            one.lineage = made.lineage
        return made

    def learn_several(
        self, model: Model, sets: Mapping[str, Examples], seed: int, checkpoints: Path | None = None
    ) -> TaskModels:
        """The method itself, for strategies that learn several tasks at once."""
        raise NotImplementedError

    def check_task(self, task: Task, labels: Sequence[str] = ()) -> None:
        """Check that the strategy can learn what a task asks for.

        Raises:
            UnsupportedError: It can't; the message names the strategies that can.
        """
        output = str(task.output(labels))
        if output in self.learns:
            return
        others = [name for name in catalog.entries("strategies") if output in catalog.find("strategies", name).learns]
        name, wanted = catalog.name_of(self), catalog.name_of(task)
        raise UnsupportedError(
            f"{name} can't learn {wanted}, which needs {output}; what can: {', '.join(others) or 'no strategy yet'}"
        )

    @abstractmethod
    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:
        """The method itself, for a model that has what it requires."""

    def _lineage(self, model: Model, sets: Mapping[str, Examples], seed: int, learnt: Lineage) -> Lineage:
        method = {"name": catalog.name_of(self), "hyper_parameters": self.hyper_parameters()}
        return model.origin.child(
            "transfer",
            method=method,
            data=[
                *({**examples.described(), **({"task": name} if name else {})} for name, examples in sets.items()),
                *learnt.data,
            ],
            seed=seed,
            scores=learnt.scores,
            notes=[note for examples in sets.values() for note in examples.notes] + learnt.notes,
        )
