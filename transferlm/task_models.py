"""Several tasks around one body: what a strategy makes that learns them together, saved as one folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np

from transferlm import storage
from transferlm.errors import DataError, ModelFolderError, SettingError, alternatives
from transferlm.measure.task_scores import Scores
from transferlm.models.base import Model, card
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["TaskModels"]

HEADS = "heads.safetensors"


class TaskModels(Mapping[str, TaskModel]):
    """Name -> task model; all share one body, which a folder of them holds once beside the heads.

    Args:
        models: One or more, all around the same body.
        lineage: How they were made, together.

    Raises:
        SettingError: There are none, or bodies differ.
    """

    def __init__(self, models: Mapping[str, TaskModel], lineage: storage.Lineage) -> None:
        self._models, self.lineage = dict(models), lineage
        if not self._models:
            raise SettingError("there are no tasks: give one or more")
        self.model: Model = next(iter(self._models.values())).model
        if any(made.model is not self.model for made in self._models.values()):
            raise SettingError("task models around several bodies can't be one: train them together")

    def __getitem__(self, name: str) -> TaskModel:
        """The task model of that name; a name that is unknown is a SettingError with those there are."""
        if name not in self._models:
            raise SettingError(f"no task is called {name!r} here: {alternatives(name, list(self._models))}")
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def score(self, sets: Mapping[str, Examples]) -> dict[str, Scores]:
        """Every metric of each task on labelled examples of its own.

        Raises:
            DataError: There are none, or their labels are not the task's.
            SettingError: A name is unknown.
        """
        if not sets:
            raise DataError("no examples to score")
        return {name: self[name].score(examples) for name, examples in sets.items()}

    def save(self, folder: str | Path) -> None:
        """Write the body with all heads, tasks, labels, card and lineage: whole or not at all."""
        heads = {
            f"{name}.{part}": array
            for name, made in self.items()
            for part, array in (("weights", made.weights), ("bias", made.bias))
        }
        facts = {name: made.facts() for name, made in self.items()}
        described = "\n".join(f"- `{name}` predicts {made.described()}" for name, made in self.items())
        with storage.written_whole(folder) as scratch:
            self.model.write_whole(scratch)
            storage.save_tensors(heads, scratch / HEADS)
            storage.write_json(scratch / storage.MANIFEST, {**self.model.manifest(), "tasks": facts})
            storage.write_json(scratch / storage.LINEAGE, dataclasses.asdict(self.lineage))
            (scratch / storage.CARD).write_text(card(self.model.family, self.lineage, described), encoding="utf-8")

    @classmethod
    def read(cls, folder: storage.Folder, model: Model) -> Self:
        """The task models written there, around their already opened body.

        Raises:
            ModelFolderError: A head does not fit body and labels, or is missing, or a task is unknown.
        """
        told, heads = folder.said("tasks"), folder.tensors(HEADS)
        parts: dict[str, dict[str, np.ndarray]] = {name: {} for name in told}
        for key, array in heads.items():
            name, _, part = key.rpartition(".")
            if name not in parts:
                raise ModelFolderError(
                    f"{folder.path / HEADS} holds {key!r}, of which {storage.MANIFEST} knows nothing"
                )
            parts[name][part] = array
        models = {name: TaskModel.of(folder, facts, parts[name], model) for name, facts in told.items()}
        return cls(models, folder.lineage())
