"""A finished n-gram model, made small for shipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from transferlm import storage
from transferlm.counts.compact_trie import CompactTrie
from transferlm.counts.quantising import check_bits, coded
from transferlm.counts.recovered import recovered
from transferlm.counts.unpacked import unpacked
from transferlm.errors import ModelFolderError
from transferlm.models._arpa import write_arpa, written
from transferlm.models._automaton_scored import AutomatonScored
from transferlm.models._uncounted import Uncounted
from transferlm.models.base import CountBased, Exportable, Model, Trainable, require

__all__ = ["Compact"]

_DROPPED = "its raw counts were dropped when it was compressed: take the model that it was made from"


@dataclass(eq=False)
class Compact(Uncounted, Exportable):
    """A back-off model in a compact trie, its probabilities in codes of a few bits; `transferlm compress` makes it.

    It has no counts, so that it can be scored with, and no text can be added to it or taken away. What codes do to the
    sum of the probabilities after a context is taken from each of them again, in steps of less than 1e-5, so that they
    are as much of a distribution as they were. (KenLM's codes leave the sums as they come: Heafield 2011, section 4.)
    """

    unit: Literal["word", "character"] = "word"
    """What a token is: a run between white space, or every single character."""
    open_vocabulary: bool = False
    """Spell unknown words out by characters, so that every string has a probability; if not, they are one token."""
    bits: int | None = 8
    """Width of a code, 2 to 16: one for each log-probability and back-off weight; none keeps both as they were."""

    scorer: ClassVar[tuple[str, type[CompactTrie]]] = ("trie", CompactTrie)
    how_made: ClassVar[str] = "a compact model is made from another by `transferlm compress`"
    without: ClassVar[Mapping[type, str]] = {
        CountBased: _DROPPED,
        Trainable: _DROPPED,
        AutomatonScored: "it is compressed already: take the model that it was made from",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bits(self.bits)

    @classmethod
    def compressed(cls, model: Model, bits: int | None = 8) -> tuple[Self, list[str]]:
        """A model made small, and what a person should know of it.

        Raises:
            UnsupportedError: It isn't scored by an automaton.
            SettingError: `bits` is out of its range.
            DataError: It has no probabilities yet.
            ModelFolderError: Its folder is damaged.
        """
        require(model, (AutomatonScored,), "compress")
        assert isinstance(model, AutomatonScored)
        check_bits(bits)
        lexicon, automaton = model._known()
        whole, notes = recovered(automaton), []
        trie = CompactTrie.of(whole, coded(whole, bits), lexicon.size)
        if bits is not None and trie.saved <= 0:
            notes = [f"codes of {bits} bits would take {-trie.saved:,} bytes more than none: values stay as they are"]
            bits, trie = None, CompactTrie.of(whole, coded(whole, None), lexicon.size)
        made = cls(unit=model.unit, open_vocabulary=model.open_vocabulary, bits=bits)  # type: ignore[arg-type]
        made._content, made._literal = (lexicon, trie), model._literal_share
        return made, notes

    def export(self, path: Path) -> None:
        """Write an ARPA file (`.gz` too) of the values that its codes stand for."""
        lexicon, trie = self._known()
        write_arpa(path, unpacked(trie), written(lexicon))

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there; nothing but its outline is read before it is used."""
        model = super().read(folder)
        found = model._known()[1].bits
        if (found is None) != (model.bits is None) or (found or 0) > (model.bits or 0):
            raise ModelFolderError(f"{folder.path} says {model.bits} bits and holds {found}: copy it again")
        return model
