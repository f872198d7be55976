"""Word vectors that others trained, from a file or a fetched source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from transferlm import storage
from transferlm.models._table_backed import TableBacked
from transferlm.models.base import Trainable
from transferlm.vectors.files import read_vectors
from transferlm.vectors.table import WordTable

__all__ = ["FrozenVectors"]

_SIGNS = (".", ",")


@dataclass(eq=False)
class FrozenVectors(TableBacked):
    """A frozen table of word vectors from a `.bin`, `.vec` or `.txt` file (`.gz` too), or fetched (`glove`).

    The files hold no counts and no output layer, so that training can't go on; give them to a new `word2vec` as
    `pretrained` for that.
    """

    lowercase: bool = False
    """Read capital letters as small ones; from a file it is set where no word of the table has a capital."""
    punctuation: bool = False
    """Split punctuation off as words of its own; from a file it is set where `.` and `,` are words of the table."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"lowercase", "punctuation"})
    nothing_yet: ClassVar[str] = "word_vectors are nothing without a file: give that where a model is asked for"
    without: ClassVar[Mapping[type, str]] = {
        Trainable: "a file of vectors holds nothing that training could go on from"
    }

    @classmethod
    def read_file(cls, path: Path, encoding: str = "utf-8") -> Self:
        """The vectors in a file (see `vectors.files.read_vectors`).

        Raises:
            DataError: The file is damaged or no such file; the message names the place.
        """
        lineage = storage.Lineage("imported", data=[{"name": path.name, "hash": storage.file_hash(path)}])
        return cls._of(read_vectors(path, encoding), lineage)

    @classmethod
    def read_fetched(cls, folder: Path) -> Self:
        """The vectors in a folder that `fetch` made: `words.txt`, a word a line, and `vectors.safetensors`.

        Raises:
            ModelFolderError: A file is missing or damaged.
            DataError: Words and vectors do not fit one another.
        """
        opened = storage.Folder(folder, {})
        words = opened.file("words.txt").read_bytes().decode().removesuffix("\n").split("\n")
        vectors = opened.tensors("vectors.safetensors").get("vectors", np.empty((0, 0)))
        return cls._of(WordTable.of(words, vectors), opened.lineage())

    @classmethod
    def _of(cls, table: WordTable, lineage: storage.Lineage) -> Self:
        capital = any(word != word.lower() for word in table.words)
        model = cls(lowercase=not capital, punctuation=all(sign in table for sign in _SIGNS))
        model._table, model.lineage = table, lineage
        return model

    def _adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        """There is nothing beside the table."""
