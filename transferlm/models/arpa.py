"""An n-gram model that another tool estimated, from an ARPA file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np

from transferlm import storage
from transferlm.counts.automaton import Automaton
from transferlm.counts.mapped_arrays import map_arrays, part, prefixed, save_arrays
from transferlm.counts.pieces import THREADS
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models._arpa import read_arpa
from transferlm.models._automaton_scored import AutomatonScored
from transferlm.models.base import digest, made_from
from transferlm.text.lexicon import UNITS, Lexicon

__all__ = ["Arpa"]

_NAMED = re.compile(r"<U\+[0-9A-F]{4,6}>")


@dataclass(eq=False)
class Arpa(AutomatonScored):
    """A back-off model as KenLM, SRILM or IRSTLM write it, whatever its smoothing.

    Its counts are not in the file, so that it can be scored with and mixed, but no text can be added to it.
    """

    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character."""
    open_vocabulary: bool = False
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"open_vocabulary"})

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise SettingError(f"unit {self.unit!r}: choose {' or '.join(UNITS)}")
        self._content: tuple[Lexicon, Automaton] | None = None

    @classmethod
    def read_file(cls, path: Path, unit: Literal["word", "character"] | None = None) -> Self:
        """The model in an ARPA file (`.gz` too).

        Args:
            path: The file.
            unit: What its words are; none takes characters where all words are single ones and some are not ASCII.

        Raises:
            DataError: The file is damaged; the message names the line.
            UnsupportedError: It was exported from a model by character and names white space, which is not read back.
        """
        encoded, back_off = read_arpa(path)
        words = [word.decode("utf-8", "surrogatepass") for word in encoded]
        named = next((word for word in words if _NAMED.fullmatch(word)), None)
        if named is not None:
            raise UnsupportedError(
                f"{path} was made from a model by character and holds {named}, the name of a character that no ARPA"
                " file can hold: open the model's own folder instead"
            )
        single = all(len(word) == 1 for word in words) and not all(word.isascii() for word in words)
        unit = unit or ("character" if single else "word")
        model = cls(unit)
        lexicon = Lexicon.of(words, unit)
        model._content = lexicon, Automaton.of(back_off, THREADS, lexicon.size)
        model.lineage = storage.Lineage("imported", data=[{"name": path.name, "hash": _hash_of(path)}])
        return model

    def _known(self) -> tuple[Lexicon, Automaton]:
        if self._content is None:
            raise DataError("an arpa model is nothing without its file: give that where a model is asked for")
        return self._content

    @property
    def fingerprint(self) -> str:
        """SHA-256 over settings, words and probabilities."""
        lexicon, automaton = self._known()
        arrays = automaton.arrays()
        parts = [np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(arrays)]
        return digest("arpa", self.unit, str(self.open_vocabulary), lexicon.hash, *parts)

    def write(self, folder: Path) -> None:
        """Words and automaton, as arrays that are mapped when they are opened."""
        lexicon, automaton = self._known()
        arrays = prefixed("lexicon.", lexicon.arrays()) | prefixed("automaton.", automaton.arrays())
        save_arrays(folder / storage.WEIGHTS, arrays)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there; nothing but its outline is read before it is used."""
        model = made_from(cls, folder)
        path = folder.weights()
        arrays = map_arrays(path)
        try:
            lexicon = Lexicon.from_arrays(model.unit, part("lexicon.", arrays))
            model._content = lexicon, Automaton.from_arrays(part("automaton.", arrays))
        except ModelFolderError as error:
            raise ModelFolderError(f"{path}: {error}") from None
        return model


def _hash_of(path: Path) -> str:
    whole = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()
