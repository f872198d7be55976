"""Several tasks for one model, named in a TOML file: which task, which data, and the task's own settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from transferlm import catalog
from transferlm.errors import DataError, SettingError, TransferLMError
from transferlm.tasks.base import Examples

__all__ = ["TaskSet", "read_sets"]


class TaskSet(NamedTuple):
    """Labelled examples of one task, and others to score it on, if any."""

    train: Examples
    test: Examples | None


def read_sets(path: str | Path) -> dict[str, TaskSet]:
    """Read the tasks that a TOML file names, each a table:

        [names]
        task = "ner"
        data = "news.conll"
        test = "test.conll"
        tag_column = 3

    Paths are relative to the file. `test` may be left out, and so may the task's settings, of which `tag_column` is
    one.

    Raises:
        DataError: The file is no TOML, or data can't be read.
        SettingError: A table lacks its task or data, or says something unknown.
    """
    place = Path(path)
    try:
        document = tomllib.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"can't be read ({error.strerror})", path=place) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"no valid TOML ({error})", path=place) from None
    if not document:
        raise DataError("it names no task: write a table for each, such as [names]", path=place)
    return {name: _set(name, told, place) for name, told in document.items()}


def _set(name: str, told: Any, place: Path) -> TaskSet:
    if not isinstance(told, dict) or not all(isinstance(told.get(key), str) for key in ("task", "data")):
        raise SettingError(f"{place}: write [{name}] with its task and its data, both in quotes")
    if not isinstance(told.get("test", ""), str):
        raise SettingError(f"{place}, [{name}]: test is {told['test']!r}: write the path of a file in quotes")
    files = {key: place.parent / told[key] for key in ("data", "test") if key in told}
    try:
        task = catalog.find("tasks", told["task"])(**_settings(told))
    except TransferLMError as error:
        raise SettingError(f"{place}, [{name}]: {error}") from None
    train = task.read(files["data"])
    return TaskSet(train, train.task.read(files["test"], labels=train.labels) if "test" in files else None)


def _settings(told: dict[str, Any]) -> dict[str, Any]:
    """The task's settings in a table, each read as a word of the command line."""
    fields = catalog.entry("tasks", told["task"])
    return {
        key: fields.hyper_parameter(key).parse(_word(value))
        for key, value in told.items()
        if key not in ("task", "data", "test")
    }


def _word(value: Any) -> str:
    """A value as it would be typed: a table of weights as `spam=3,ham=1`."""
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return str(value)
