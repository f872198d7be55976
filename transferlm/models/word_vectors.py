"""Word vectors that others trained, from a file or a fetched source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from transferlm import storage
from transferlm.models._table_backed import TableBacked
from transferlm.models.base import Trainable
from transferlm.vectors.files import read_vectors
from transferlm.vectors.table import WordTable
from transferlm.vectors.words import check_chinese

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
    chinese: Literal["spaces", "characters", "words"] = "spaces"
    """Words of Chinese: parted by spaces like any others, or each character one, or cut by `rjieba` (an extra)."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"lowercase", "punctuation", "chinese"})
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
        return cls._found(read_vectors(path, encoding), lineage)

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
        return cls._found(WordTable.of(words, vectors), opened.lineage())

    @classmethod
    def of(cls, table: WordTable, **reading: Any) -> Self:
        """A model of this table.

        Args:
            table: Words and vectors.
            reading: How texts are cut into its words: `lowercase`, `punctuation`, `chinese`.
        """
        model = cls(**reading)
        model._table = table
        return model

    @classmethod
    def _found(cls, table: WordTable, lineage: storage.Lineage) -> Self:
        capital = any(word != word.lower() for word in table.words)
        model = cls.of(table, lowercase=not capital, punctuation=all(sign in table for sign in _SIGNS))
        model.lineage = lineage
        return model

    def __post_init__(self) -> None:
        check_chinese(self.chinese)

    def _adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        """There is nothing beside the table."""
