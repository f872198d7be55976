"""Opening a source: a folder, a file, a fetched name, a hub name, or the name of a family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferlm import catalog, sources, storage
from transferlm.errors import SettingError, TransferLMError, UnsupportedError
from transferlm.models._opening import open_model, open_vectors
from transferlm.models.base import (
    Causal,
    CountBased,
    FromScratch,
    GradientTrained,
    Masked,
    Model,
    TokenEncoder,
    Trainable,
    WordVectors,
    able,
)
from transferlm.task_model import TaskModel, body_of
from transferlm.task_models import TaskModels
from transferlm.text.tokenizers.base import Tokenizer

__all__ = [
    "ARPA",
    "empty",
    "load",
    "load_tasks",
    "reading_of",
    "sources_of",
    "task_model",
    "tasks_of",
    "untrained",
    "word_vectors",
]


ARPA = (".arpa", ".arpa.gz")


def load(source: str | Path, **hyper_parameters: Any) -> Model | TaskModel:
    """Open a model.

    Args:
        source: A model folder of ours, a Hugging Face folder or hub name (`organisation/model`), a fetched name
            (`minilm`), an ARPA file (`.arpa`), word vectors (`.bin`, `.vec`, `.txt`), each `.gz` too, or the name of a
            family that needs no weights (`tfidf`). Of a family and a fetched source of one name (`glove`) the source is
            meant.
        hyper_parameters: Settings that replace the saved ones where weights don't depend on them (`max_length=128`);
            for a file of word vectors `encoding` too.

    Of a folder of several tasks it is the body, to go on from; `load_tasks` opens the tasks.

    Raises:
        SourceError: Nothing is found there; a known name that is not fetched yet says how to fetch it.
        ModelFolderError: The folder is damaged, unsafe, or of a family that is unknown.
        DataError: The file is damaged, or plain text; the message names the line.
    """
    name = str(source)
    if name in catalog.entries("models") and name not in sources.SOURCES and not Path(name).exists():
        return empty(name, **hyper_parameters)
    if name.lower().endswith(ARPA) and Path(name).is_file():
        unit = hyper_parameters.pop("unit", None)
        imported: Model = catalog.find("models", "arpa").read_file(Path(name), unit)
        imported.adjust(**hyper_parameters)
        return imported
    place = sources.locate(source)
    vectors = open_vectors(place, hyper_parameters.get("encoding", "utf-8"))
    if vectors is not None:
        hyper_parameters.pop("encoding", None)
        vectors.adjust(**hyper_parameters)
        return vectors
    folder = storage.open_folder(place)
    model = open_model(folder)
    model.adjust(**hyper_parameters)
    return TaskModel.read(folder, model) if "task" in folder.manifest else model


def empty(family: str, tokenizer: Tokenizer | None = None, preset: str | None = None, **hyper_parameters: Any) -> Model:
    """A model of a family before any data.

    Args:
        family: Its name (`transferlm list models`).
        tokenizer: How text is cut into tokens, for families that take one.
        preset: Settings that belong together, by name (`awd_lstm` of `recurrent`).
        hyper_parameters: Its settings; the rest are the preset's, or the family's defaults.

    Raises:
        SettingError: A setting is unknown or out of its range, or the family has no such preset.
        UnsupportedError: The family takes no tokenizer.
    """
    for setting in hyper_parameters:
        catalog.entry("models", family).hyper_parameter(setting)
    cls: Any = catalog.find("models", family)
    if preset is not None and not issubclass(cls, Trainable):
        raise SettingError(f"{family} is not trained from scratch and has no presets: leave it out")
    made: Model = cls(**hyper_parameters) if preset is None else cls.preset(preset, **hyper_parameters)
    if tokenizer is not None:
        if isinstance(made, CountBased) or not isinstance(made, Causal | Masked):
            raise UnsupportedError(f"{family} takes no tokenizer: leave it out")
        made.tokenizer = tokenizer
    return made


def sources_of(given: Sequence[str | Path | Model], **hyper_parameters: Any) -> dict[str, Model]:
    """Sources by a short name each, opened where a name or path is given.

    Args:
        given: Names, paths or models.
        hyper_parameters: Settings for those opened here that have them (`max_length=128`).

    Raises:
        TransferLMError: Two sources would have the same name in tables.
    """
    named: dict[str, Model] = {}
    for source in given:
        name = source.family if isinstance(source, Model) else Path(str(source)).name
        if name in named:
            raise TransferLMError(
                f"two sources are called {name!r}: rename a folder so that tables can tell them apart"
            )
        model = source if isinstance(source, Model) else load(source)
        body = body_of(model)
        if body is not source:
            body.adjust(**{name: value for name, value in hyper_parameters.items() if name in body.adjustable})
        named[name] = body
    return named


def untrained(model: Model | TaskModel, seed: int = 0) -> Model:
    """The same architecture and tokenizer before any data: what "from scratch" starts from.

    Raises:
        UnsupportedError: The family is not trainable, so it has no such state.
    """
    fresh = able(body_of(model), FromScratch, "training from scratch").untrained(seed)
    assert isinstance(fresh, Model)
    return fresh


def task_model(folder: str | Path, task: str | None = None) -> TaskModel:
    """Open a folder that must hold a task model.

    Args:
        folder: Of one task, or of several.
        task: Which of several tasks, by name.

    Raises:
        UnsupportedError: It holds a language model without a task.
        SettingError: It holds several tasks and none is named, or another; or one task, and one is named.
    """
    names = tasks_of(folder)
    if names and task is None:
        raise SettingError(f"{folder} holds several tasks: name one with --task ({', '.join(names)})")
    if names:
        return load_tasks(folder)[str(task)]
    model = load(folder)
    if not isinstance(model, TaskModel):
        raise UnsupportedError(f"{folder} holds a {model.family} model that predicts no task yet: transfer it first")
    if task is not None:
        raise SettingError(f"{folder} holds one task, {catalog.name_of(model.task)}: leave {task!r} out")
    return model


def tasks_of(source: str | Path) -> list[str]:
    """The names of the tasks in a folder of several; none for every other source."""
    place = Path(source)
    if not place.is_dir() or not (place / storage.MANIFEST).is_file():
        return []
    return list(storage.open_folder(place).said("tasks"))


def load_tasks(folder: str | Path) -> TaskModels:
    """Open a folder of several tasks, which share one body.

    Raises:
        UnsupportedError: It holds one model.
        ModelFolderError: The folder is damaged.
    """
    opened = storage.open_folder(sources.locate(folder))
    if not opened.said("tasks"):
        raise UnsupportedError(f"{folder} does not hold several tasks: open it with `load`")
    return TaskModels.read(opened, open_model(opened))


def word_vectors(source: str | Path, **hyper_parameters: Any) -> WordVectors:
    """Open a source that must be word vectors, as `load` does; of a task model its body.

    Raises:
        UnsupportedError: It is a model of another kind; the message names the families that are.
    """
    return able(body_of(load(source, **hyper_parameters)), WordVectors, "nearest")


def reading_of(source: str | Path, max_length: int | None = None) -> tuple[Tokenizer, int]:
    """The tokenizer of a source and how many tokens of a text it reads.

    Raises:
        UnsupportedError: The source has no tokenizer of its own (tfidf).
    """
    model = load(source)
    body: Any = body_of(model)
    if not isinstance(body, GradientTrained | TokenEncoder):
        raise UnsupportedError(f"{source} reads texts whole: it has no tokens to count")
    if getattr(body, "tokenizer", None) is None or not body.tokenizer.trained:
        raise UnsupportedError(f"{source} has no tokenizer yet: give a model that has seen text")
    return body.tokenizer, max_length or body.max_length
