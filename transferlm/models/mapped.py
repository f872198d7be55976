"""An encoder whose vectors have been moved by a linear map that was learnt for a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse

from transferlm import storage
from transferlm.errors import DataError, ModelFolderError
from transferlm.models._wrapped import Around
from transferlm.models.base import Encoder, Encoding, GradientTrained, MapsVectors, Model, Trainable, digest, require

__all__ = ["Mapped"]


@dataclass(eq=False)
class Mapped(Around, MapsVectors):
    """An encoder with a residual linear map behind it: x + T x, with T symmetric and of low rank.

    T = U diag(t) U', where U holds orthonormal directions and t >= 0 says by how much each is stretched; every other
    direction stays as it was, so that an empty U is the encoder itself. A text of word vectors is the mean of its
    words', so that every word is mapped alike. `linear_map` makes it; sparse vectors (`tfidf`) become dense.
    """

    inside_needs: ClassVar[tuple[type, ...]] = (Encoder,)
    how_made: ClassVar[str] = "a mapped encoder is nothing without one: make it with the strategy linear_map"
    without: ClassVar[Mapping[type, str]] = {
        Trainable: "the map is learnt from labelled examples, by linear_map",
        GradientTrained: "its map stays as it is: train the encoder that it was learnt for",
    }

    def __post_init__(self) -> None:
        self._directions = np.zeros((0, 0), np.float32)
        self._stretch = np.zeros(0, np.float32)

    @classmethod
    def of(cls, model: Model, directions: np.ndarray, stretch: np.ndarray) -> Self:
        """The encoder with this map behind it; it is kept as it is.

        Args:
            model: An encoder.
            directions: U, orthonormal columns, of shape (encoding width, rank).
            stretch: t, of shape (rank,).

        Raises:
            UnsupportedError: The model is no encoder.
            DataError: Directions or stretch have another shape.
        """
        require(model, cls.inside_needs, "a linear map")
        made = cls()
        made._model = model
        made._directions = np.asarray(directions, np.float32)
        made._stretch = np.asarray(stretch, np.float32)
        if made._misfit():
            raise DataError(made._misfit())
        return made

    @property
    def encoding_width(self) -> int:
        """Length of the vector: that of the encoder inside."""
        return int(self.model.encoding_width)

    @property
    def directions(self) -> np.ndarray:
        """U: float32 of shape (encoding width, rank)."""
        return self._directions

    @property
    def stretch(self) -> np.ndarray:
        """t: float32 of shape (rank,); 0 leaves a direction as it was."""
        return self._stretch

    def mapped(self, encoding: Encoding) -> Encoding:
        """Vectors x as x + U (t * U'x)."""
        given: Any = encoding.features
        moved = np.asarray(given @ self._directions) * self._stretch @ self._directions.T
        return replace(encoding, features=(given.toarray() if issparse(given) else given) + moved)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the encoder's own and the map."""
        settings = json.dumps([*self._directions.shape, len(self._stretch)])
        inside = "" if self._model is None else self._model.fingerprint
        return digest(self.family, inside, settings, self._directions.tobytes(), self._stretch.tobytes())

    def write(self, folder: Path) -> None:
        """The encoder in a folder of its own, the map as safe tensors."""
        super().write(folder)
        storage.save_tensors({"directions": self._directions, "stretch": self._stretch}, folder / storage.WEIGHTS)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there."""
        made = super().read(folder)
        tensors = folder.tensors()
        if set(tensors) != {"directions", "stretch"}:
            raise ModelFolderError(f"{folder.weights()} holds {sorted(tensors)}, not directions and stretch")
        made._directions, made._stretch = tensors["directions"], tensors["stretch"]
        if made._misfit():
            raise ModelFolderError(f"{folder.weights()}: {made._misfit()}: copy the model again")
        return made

    def _misfit(self) -> str:
        """What is wrong with the map; empty where it fits the encoder."""
        wanted = (self.encoding_width, self._stretch.size)
        fits = self._stretch.ndim == 1 and self._directions.shape == wanted
        finite = np.isfinite(self._directions).all() and np.isfinite(self._stretch).all()
        if fits and finite:
            return ""
        told = "numbers that are not finite" if fits else f"directions of shape {self._directions.shape}"
        return f"the map has {told}, where {wanted} finite ones are needed"
