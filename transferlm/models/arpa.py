"""An n-gram model that another tool estimated, from an ARPA file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal, Self

from transferlm import storage
from transferlm.counts.automaton import Automaton
from transferlm.counts.pieces import THREADS
from transferlm.errors import UnsupportedError
from transferlm.models._arpa import read_arpa
from transferlm.models._automaton_scored import AutomatonScored
from transferlm.models._uncounted import Uncounted
from transferlm.models.base import CountBased
from transferlm.text.lexicon import Lexicon

__all__ = ["Arpa"]

_NAMED = re.compile(r"<U\+[0-9A-F]{4,6}>")


@dataclass(eq=False)
class Arpa(Uncounted, AutomatonScored):
    """A back-off model as KenLM, SRILM or IRSTLM write it, whatever its smoothing.

    Its counts are not in the file, so that it can be scored with and mixed, but no text can be added to it.
    """

    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character."""
    open_vocabulary: bool = False
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""

    scorer: ClassVar[tuple[str, type[Automaton]]] = ("automaton", Automaton)
    how_made: ClassVar[str] = "an arpa model is nothing without its file: give that where a model is asked for"
    without: ClassVar[Mapping[type, str]] = {CountBased: "an ARPA file holds no counts"}

    @classmethod
    def read_file(cls, path: Path, unit: Literal["word", "character"] | None = None) -> Self:
        """The model in an ARPA file (`.gz` too).

        Args:
            path: The file.
            unit: What its words are; none takes characters where all words are single ones and some are not ASCII.

        Raises:
            DataError: The file is damaged; the message names the line.
            UnsupportedError: It was exported from a model by character (its words are single ones or names of
                characters) and names white space, which is not read back.
        """
        encoded, back_off = read_arpa(path)
        words = [word.decode("utf-8", "surrogatepass") for word in encoded]
        named = [word for word in words if _NAMED.fullmatch(word)]
        if named and len(named) == sum(len(word) > 1 for word in words):
            raise UnsupportedError(
                f"{path} was made from a model by character and holds {named[0]}, the name of a character that no ARPA"
                " file can hold: open the model's own folder instead"
            )
        single = all(len(word) == 1 for word in words) and not all(word.isascii() for word in words)
        unit = unit or ("character" if single else "word")
        model = cls(unit)
        lexicon = Lexicon.of(words, unit)
        model._content = lexicon, Automaton.of(back_off, THREADS, lexicon.size)
        model.lineage = storage.Lineage("imported", data=[{"name": path.name, "hash": _hash_of(path)}])
        return model


def _hash_of(path: Path) -> str:
    whole = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()
