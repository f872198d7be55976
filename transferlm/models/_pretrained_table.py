"""Vectors to start from, out of a table by its name: a file, a fetched source, or a model's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from transferlm import sources, storage
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models._opening import open_model, open_vectors
from transferlm.models.base import WordVectors
from transferlm.vectors.table import WordTable

__all__ = ["Pretrained"]


@dataclass(frozen=True)
class Pretrained:
    """A table that others trained.

    Attributes:
        name: What it was asked for by.
        table: Its words and vectors.
        lineage: Where they come from: that of the file or model, and the hash of words and vectors themselves.
    """

    name: str
    table: WordTable
    lineage: storage.Lineage

    @classmethod
    def of(cls, source: str, width: int, setting: str = "width") -> Pretrained:
        """The table by the name of a file, a fetched source or a model's folder.

        Args:
            source: That name.
            width: What it has to be.
            setting: The hyper-parameter that decides it, for the error.

        Raises:
            SettingError: The table has another width.
            DataError: The file is damaged.
            UnsupportedError: The source is a model of another kind.
            SourceError: Nothing is found there.
        """
        place = sources.locate(source)
        model = open_vectors(Path(place)) or open_model(storage.open_folder(place))
        if not isinstance(model, WordVectors):
            raise UnsupportedError(f"{source} is a {model.family} model, not word vectors")
        table = model.table
        if table.width != width:
            raise SettingError(
                f"{source} has vectors of width {table.width}: give --{setting.replace('_', '-')} {table.width}"
            )
        told = {"name": f"{Path(source).name}, its words and vectors", "hash": table.hash}
        return cls(source, table, replace(model.origin, data=[*model.origin.data, told]))

    def shared(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which of the words it has too, and its vectors for them.

        Returns:
            Places among `words`, int64 (shared,), and float32 (shared, width).

        Raises:
            DataError: It has none of the words.
        """
        theirs = self.table.rows(words)
        places = np.flatnonzero(theirs >= 0)
        if not places.size:
            raise DataError(f"{self.name} has no vector for any word of the text: is one in small letters only?")
        return places, np.asarray(self.table.vectors[theirs[places]])
