"""A table of word vectors by its name: a file, a fetched source, or a model's folder."""

from __future__ import annotations

from pathlib import Path

from transferlm import sources, storage
from transferlm.errors import UnsupportedError
from transferlm.models._opening import open_model, open_vectors
from transferlm.models.base import WordVectors
from transferlm.vectors.table import WordTable

__all__ = ["pretrained_table"]


def pretrained_table(source: str) -> WordTable:
    """The table.

    Raises:
        UnsupportedError: The source is a model of another kind.
        SourceError: Nothing is found there.
        DataError: The file is damaged.
    """
    place = sources.locate(source)
    model = open_vectors(Path(place)) or open_model(storage.open_folder(place))
    if not isinstance(model, WordVectors):
        raise UnsupportedError(f"{source} is a {model.family} model, not word vectors")
    return model.table
