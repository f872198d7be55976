"""What a method leaves with a model for the next one: old texts, a posterior over its weights."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from transferlm.counts.mapped_arrays import map_arrays, save_arrays
from transferlm.errors import ModelFolderError
from transferlm.storage import MANIFEST, Folder

__all__ = ["KEPT", "Kept", "read_kept", "write_kept"]

KEPT = "kept"
"""Where the manifest tells the facts of what is kept, name by name."""

_NAME = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True)
class Kept:
    """Arrays that lie beside a model's weights; they are mapped, and read when they are used.

    Attributes:
        arrays: By name, of 8-bit, 32-bit or 64-bit numbers.
        facts: What they are, as JSON has it.
    """

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, in memory as in the folder."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def hash(self) -> str:
        """SHA-256 over facts and arrays."""
        whole = hashlib.sha256(json.dumps(dict(self.facts), sort_keys=True).encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            whole.update(f"{name} {array.dtype} {array.shape}".encode())
            whole.update(array.reshape(-1).view(np.uint8).data)
        return whole.hexdigest()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing of it is ever changed in place


def write_kept(kept: Mapping[str, Kept], folder: Path, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Write each thing's arrays into a model folder; gives the facts, by name, that go into its manifest.

    Args:
        kept: What to write.
        folder: Where.
        prefix: What its files are told apart by from those of others in the folder.
    """
    for name, thing in kept.items():
        save_arrays(_file(folder, prefix + name), thing.arrays)
    return {name: dict(thing.facts) for name, thing in kept.items()}


def read_kept(folder: Folder, told: Mapping[str, Any] | None = None, prefix: str = "") -> dict[str, Kept]:
    """What a model folder keeps beside its weights.

    Args:
        folder: Where.
        told: The facts by name; none takes those that the manifest tells of the model.
        prefix: As in `write_kept`.

    Raises:
        ModelFolderError: A file is missing or damaged, or the manifest tells of it otherwise than it was written.
    """
    found = {}
    told = folder.said(KEPT) if told is None else told
    if not isinstance(told, Mapping):
        raise ModelFolderError(f"{folder.path / MANIFEST}: {KEPT!r} is no object: the folder is damaged")
    for name, facts in told.items():
        if not _NAME.fullmatch(name) or not isinstance(facts, dict):
            raise ModelFolderError(f"{folder.path / MANIFEST}: {name!r} under {KEPT!r} is not as it was written")
        found[name] = Kept(map_arrays(folder.file(_file(folder.path, prefix + name).name)), facts)
    return found


def _file(folder: Path, name: str) -> Path:
    return folder / f"{KEPT}-{name.replace('_', '-')}.safetensors"
