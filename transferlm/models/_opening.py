"""Opening whatever a name or folder stands for, and the models inside a model's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferlm import catalog, storage
from transferlm.errors import ModelFolderError, alternatives
from transferlm.models.base import Model, read_kept
from transferlm.vectors.files import is_vector_file
from transferlm.vectors.table import WordTable

__all__ = ["family_of", "open_model", "open_part", "open_vectors", "vectors_of"]

_DEEPEST = 32
"""Folders of models inside one another: more than anyone would make on purpose."""


def family_of(folder: storage.Folder) -> str:
    """The family that opens this folder: named by our manifest, or found by Hugging Face's `model_type`.

    Raises:
        ModelFolderError: No family opens it.
    """
    if folder.manifest:
        told = folder.said("model").get("family")
        if told not in catalog.entries("models"):
            known = alternatives(str(told), catalog.entries("models"))
            raise ModelFolderError(f"{folder.path} names the family {told!r}, which is unknown: {known}")
        return str(told)
    config = folder.json("config.json")
    kind = config.get("model_type", "") if isinstance(config, dict) else ""
    opened: dict[str, str] = {}
    for name in catalog.entries("models"):
        for known in getattr(catalog.find("models", name), "huggingface_types", ()):
            opened[known] = name
    if str(kind) not in opened:
        raise ModelFolderError(
            f"{folder.path}: no family opens model_type {kind!r}; known are {', '.join(sorted(opened))}"
        )
    return opened[str(kind)]


def open_model(folder: storage.Folder) -> Model:
    """The model in a folder, with its story and what is kept with it.

    Raises:
        ModelFolderError: The folder is damaged, or of a family that is unknown.
    """
    model: Model = catalog.find("models", family_of(folder)).read(folder)
    model.lineage, model.kept = folder.lineage(), read_kept(folder)
    return model


def open_part(folder: storage.Folder, name: str, capabilities: Sequence[type]) -> Model:
    """The model in a folder inside a model's folder.

    Raises:
        ModelFolderError: It is missing, a link, nested too deeply, damaged, or lacks a capability.
    """
    place = folder.path / name
    if place.is_symlink():
        raise ModelFolderError(f"{place} is a link, and a part of a model must be a folder of its own: copy it again")
    if folder.depth >= _DEEPEST:
        raise ModelFolderError(f"{place}: models inside one another, {_DEEPEST} deep and more, are not opened")
    model = open_model(storage.open_folder(place, folder.depth + 1))
    if not all(isinstance(model, capability) for capability in capabilities):
        raise ModelFolderError(
            f"{place} holds a {model.family} model, which can't be a part of this one: copy it again"
        )
    return model


def open_vectors(place: Path, encoding: str = "utf-8") -> Model | None:
    """The word vectors in a file, or in a folder that `fetch` made; None where the place is neither.

    A file is taken for word vectors by its name (`.bin`, `.vec`, `.txt`, or that and `.gz`) and then has to be some.

    Raises:
        DataError: The file is damaged, or plain text, or in another encoding; the message names the line.
        ModelFolderError: The folder is damaged.
    """
    file = place.is_file() and is_vector_file(place.name)
    if not file and not (place / "vectors.safetensors").is_file():
        return None
    family = catalog.find("models", "word_vectors")
    opened: Model = family.read_file(place, encoding) if file else family.read_fetched(place)
    return opened


def vectors_of(table: WordTable, **reading: Any) -> Model:
    """A model of frozen word vectors.

    Args:
        table: Words and vectors.
        reading: How texts are cut into its words: `lowercase`, `punctuation`, `chinese`.
    """
    made: Model = catalog.find("models", "word_vectors").of(table, **reading)
    return made
