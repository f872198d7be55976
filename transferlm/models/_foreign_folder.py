"""What a folder of others is checked for before `transformers` builds anything from it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from transferlm import storage
from transferlm.errors import ModelFolderError

__all__ = ["SHARDS", "refuse_code", "refuse_giants", "refuse_leftover_layers", "weight_files"]

SHARDS = "model.safetensors.index.json"
_MANY = 1000
"""Layers that are built without a question: a shared layer counts often and has one set of tensors."""
_SHARED = 4
"""Times that parameters may be more than the weights hold: they are, where layers or tables share theirs."""


def refuse_code(said: Any, place: Path) -> None:
    """Refuse a configuration that names code to run: classes of its own, or kernels that the library would fetch.

    Args:
        said: What `config.json` holds, or a part of it.
        place: The folder.

    Raises:
        ModelFolderError: It does.
    """
    if isinstance(said, list):
        said = dict(enumerate(said))
    if not isinstance(said, dict):
        return
    for name, value in said.items():
        kernel = str(name).endswith("_implementation") and any(mark in str(value) for mark in "/:|@")
        if name == "auto_map" or kernel:
            raise ModelFolderError(f"{place}: config.json asks to run code of its own, which is never done ({name})")
        refuse_code(value, place)


def refuse_giants(folder: storage.Folder, auto: Any, config: Any, **settings: Any) -> None:
    """Refuse sizes that the folder's weights can't fill, before memory is asked for.

    Raises:
        ModelFolderError: The configuration describes far more layers or parameters than there are weights.
    """
    import torch

    shapes = list(_shapes(folder))
    held = sum(math.prod(shape) for shape in shapes)
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if layers > max(_MANY, len(shapes)):
        raise ModelFolderError(
            f"{folder.path}: config.json tells of {layers:,} layers, the weights of {len(shapes)} tensors"
        )
    with torch.device("meta"):
        described = auto.from_config(config, trust_remote_code=False, **settings)
    told = sum(parameter.numel() for parameter in described.parameters())
    if told > _SHARED * max(held, 1):
        raise ModelFolderError(f"{folder.path}: config.json describes {told:,} parameters, the weights hold {held:,}")


def refuse_leftover_layers(unused: Iterable[str], config: Any, place: Path) -> None:
    """Refuse weights of layers that the configuration knows nothing of; heads and buffers may be left over.

    Raises:
        ModelFolderError: A layer is left over.
    """
    layers = getattr(config.get_text_config(), "num_hidden_layers", None)
    for name in sorted(unused):
        numbers = [int(number) for number in re.findall(r"\.(\d+)\.", name)]
        if layers is not None and numbers and numbers[0] >= layers:
            raise ModelFolderError(f"{place}: config.json tells of {layers} layers, the weights hold {name} too")


def weight_files(folder: storage.Folder) -> list[Path]:
    """The files that hold the folder's weights: one, or the shards that their index names.

    Raises:
        ModelFolderError: One is missing, or the index is damaged.
    """
    if not folder.has(SHARDS):
        return [folder.weights()]
    index = folder.json(SHARDS)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        raise ModelFolderError(f"{folder.path / SHARDS} tells no weight_map: copy the folder again")
    return [folder.file(name) for name in sorted(set(map(str, shards.values())))]


def _shapes(folder: storage.Folder) -> Iterator[list[int]]:
    """The shape of every tensor, from the heads of the files alone."""
    from safetensors import safe_open

    for path in weight_files(folder):
        with safe_open(path, framework="numpy") as weights:
            for key in weights.keys():  # noqa: SIM118 - no mapping
                yield weights.get_slice(key).get_shape()
