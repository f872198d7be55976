"""Vectors to start from, out of a table by its name: a file, a fetched source, or a model's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transferlm import sources, storage
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models._opening import open_model, open_vectors
from transferlm.models.base import WordVectors
from transferlm.vectors.table import WordTable

__all__ = ["shared_vectors"]


def shared_vectors(source: str, words: Sequence[str], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of the words the table has too, and its vectors for them.

    Returns:
        Places among `words`, int64 (shared,), and float32 (shared, width).

    Raises:
        SettingError: The table has another width.
        DataError: It has none of the words, or the file is damaged.
        UnsupportedError: The source is a model of another kind.
        SourceError: Nothing is found there.
    """
    table = _table(source)
    if table.width != width:
        raise SettingError(f"{source} has vectors of width {table.width}: give --width {table.width}")
    theirs = table.rows(words)
    places = np.flatnonzero(theirs >= 0)
    if not places.size:
        raise DataError(f"{source} has no vector for any word of the text: is one in small letters only?")
    return places, np.asarray(table.vectors[theirs[places]])


def _table(source: str) -> WordTable:
    place = sources.locate(source)
    model = open_vectors(Path(place)) or open_model(storage.open_folder(place))
    if not isinstance(model, WordVectors):
        raise UnsupportedError(f"{source} is a {model.family} model, not word vectors")
    return model.table
