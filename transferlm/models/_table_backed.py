"""What every family of word vectors shares: arrays replaced, never changed, and a folder opened by mapping it."""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from transferlm import storage
from transferlm.counts.mapped_arrays import map_arrays, save_arrays
from transferlm.errors import DataError, ModelFolderError
from transferlm.models.base import Model, WordVectors, digest, made_from
from transferlm.vectors.table import WordTable

__all__ = ["Shapes", "TableBacked", "factors", "fitting"]

Shapes = dict[str, tuple[type[np.generic], tuple[int, ...]]]
"""Name of an array -> its type and shape."""


class TableBacked(Model, WordVectors):
    """Word vectors in a table, beside whatever else a family needs to go on training."""

    nothing_yet: ClassVar[str]
    """What to say where there is no table."""

    _table: WordTable | None = None

    @property
    def table(self) -> WordTable:
        """The words and their vectors."""
        if self._table is None:
            raise DataError(self.nothing_yet)
        return self._table

    def copy(self) -> Self:
        """An independent model; the arrays, which nothing changes, are shared."""
        twin = copy.copy(self)
        twin.lineage = copy.deepcopy(self.lineage)
        return twin

    @property
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters and all arrays."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        arrays = {} if self._table is None else self._arrays()
        parts = [np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data for name in sorted(arrays)]
        return digest(self.family, settings, *sorted(arrays), *parts)

    def _arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep."""
        return self.table.arrays()

    @abstractmethod
    def _adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take arrays that a folder holds beside the table, which stands already.

        Raises:
            ModelFolderError: One is missing, or of the wrong type or shape.
        """

    def write(self, folder: Path) -> None:
        """All arrays as safe tensors.

        Raises:
            DataError: There are none yet.
        """
        save_arrays(folder / storage.WEIGHTS, self._arrays())

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there; vectors are read as they are used."""
        model = made_from(cls, folder)
        path = folder.weights()
        arrays = map_arrays(path)
        try:
            model._table = WordTable.from_arrays(arrays)
            model._adopt(arrays)
        except ModelFolderError as error:
            raise ModelFolderError(f"{path}: {error}") from None
        return model


def fitting(arrays: Mapping[str, np.ndarray], name: str, kind: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    """An array of a folder, if it has that type and shape.

    Raises:
        ModelFolderError: It hasn't, or is missing.
    """
    found = arrays.get(name)
    if found is None or found.dtype != kind or found.shape != shape:
        told = "is missing" if found is None else f"is {found.dtype} {found.shape}"
        raise ModelFolderError(f"{name} {told}, where {np.dtype(kind)} {shape} should stand: copy the model again")
    return found


def factors(words: int, old: int, plasticity: float) -> np.ndarray:
    """How far each row may move: `plasticity` for the old ones, which come first, 1 for the rest."""
    rows = np.ones(words, np.float32)
    rows[:old] = plasticity
    return rows
