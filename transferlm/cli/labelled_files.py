"""Files of labelled examples for a task model that stands there already: its own task reads them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from transferlm import catalog, storage
from transferlm.cli.plugs import settings_of
from transferlm.progress import say
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["LabelledFiles", "labelled_files", "task_in"]


class LabelledFiles(NamedTuple):
    """A task model with new examples for it, and old ones where they are given."""

    model: TaskModel
    new: Examples
    old: Examples | None


def labelled_files(folder: str, max_length: int | None, new: Sequence[str], old: Sequence[str]) -> LabelledFiles:
    """Open a task model and read examples by its task, under the labels that it has.

    Columns that are named on the command line, and `--encoding`, take the place of those that the task remembers.

    Raises:
        UnsupportedError: The folder holds no task model, or several.
        DataError: A file can't be read, or has a label that the model has not.
    """
    from transferlm import lifecycle
    from transferlm.lifecycle.updating import several_refused

    if _given("column"):
        raise click.UsageError("--column is for text: with --labelled the task's own columns are flags (--text-column)")
    names = lifecycle.tasks_of(folder)
    if names:
        raise several_refused(folder, names)
    model = lifecycle.task_model(folder)
    model.model.adjust(**({"max_length": max_length} if max_length else {}))
    settings: dict[str, Any] = settings_of("labelled", catalog.name_of(model.task))
    if _given("encoding"):
        settings = {**settings, "encoding": click.get_current_context().params["encoding"]}
    task: Any = dataclasses.replace(model.task, **settings)  # type: ignore[type-var]
    sets = [[task.read(path, labels=model.labels) for path in paths] for paths in (new, old)]
    for examples in (one for part in sets for one in part):
        for note in examples.notes:
            say(f"{examples.name}: {note}")
    return LabelledFiles(model, Examples.joined(sets[0]), Examples.joined(sets[1]) if sets[1] else None)


def task_in(word: str) -> str | None:
    """The name of the task of the model in a folder; None for all other words."""
    try:
        manifest = json.loads((Path(word) / storage.MANIFEST).read_text(encoding="utf-8"))
        name = manifest["task"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if name in catalog.entries("tasks") else None


def _given(parameter: str) -> bool:
    """Whether a flag stands on the command line."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is click.core.ParameterSource.COMMANDLINE
