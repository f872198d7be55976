"""An encoder that encodes each text of a comparison once, for all the trials that share its frozen states."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from transferlm import storage
from transferlm.models._inputs import encoded
from transferlm.models.base import Encoder, Encoding, Model

__all__ = ["Remembered"]


class Remembered(Model, Encoder):
    """Stands for an encoder within one comparison; answers from memory.

    All texts are encoded at once in the order given, so that a text's vector does not depend on which cells were
    finished by an earlier run: batches would otherwise differ, and with them the last bits.

    Args:
        model: The encoder.
        texts: Every text that will be asked for; repeated ones are encoded once. Of a pair each text by itself.
        whole: Whether texts beyond the encoder's maximum length are read in windows.
    """

    def __init__(self, model: Model, texts: Sequence[str], whole: bool = False) -> None:
        assert isinstance(model, Encoder)
        self.model, self._encoder = model, model
        unique = list(dict.fromkeys(texts))
        started = time.perf_counter()
        self._encoding = encoded(model, unique, whole)
        self._seconds_a_text = (time.perf_counter() - started) / max(1, len(unique))
        self._places = {text: place for place, text in enumerate(unique)}
        self.lineage = model.lineage
        self.seconds_saved = 0.0
        """Seconds that the answers given so far would have taken without memory; a cell's time includes them."""

    @property
    def family(self) -> str:
        """The encoder's own family."""
        return self.model.family

    @property
    def encoding_width(self) -> int:
        """The encoder's own width."""
        return self._encoder.encoding_width

    @property
    def fingerprint(self) -> str:
        """The encoder's own."""
        return self.model.fingerprint

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The remembered vectors of these texts."""
        rows = np.array([self._places[text] for text in texts], dtype=np.int64)
        self.seconds_saved += self._seconds_a_text * len(rows)
        known = self._encoding.known
        return Encoding(
            self._encoding.features[rows], self._encoding.read[rows], None if known is None else known[rows]
        )

    def write(self, folder: Path) -> None:
        """Write the encoder itself."""
        self.model.write(folder)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """Never needed: the encoder reads itself."""
        raise TypeError(f"{folder.path}: open the encoder's own family")
