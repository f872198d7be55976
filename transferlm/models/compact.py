"""A finished n-gram model, made small for shipping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np

from transferlm import storage
from transferlm.counts.compact_trie import CompactTrie
from transferlm.counts.quantising import check_bits, coded
from transferlm.counts.recovered import recovered
from transferlm.counts.sums import spread_of_sums
from transferlm.counts.symbols import BEGIN
from transferlm.counts.unpacked import unpacked
from transferlm.errors import ModelFolderError
from transferlm.models._arpa import visible, write_arpa
from transferlm.models._automaton_scored import AutomatonScored
from transferlm.models._uncounted import Uncounted
from transferlm.models.base import CountBased, Exportable, Model, Trainable, require
from transferlm.text.windows import windows

__all__ = ["Compact"]

_CONTEXTS = 300
"""Enough for a tenth of the perplexity that codes cost, whatever their width."""

_DROPPED = "its raw counts were dropped when it was compressed: take the model that it was made from"


@dataclass(eq=False)
class Compact(Uncounted, Exportable):
    """A back-off model in a compact trie, its probabilities in codes of a few bits; `transferlm compress` makes it.

    It has no counts, so that it can be scored with, and no text can be added to it or taken away. In codes, the
    probabilities after a context sum to 1 nearly and not exactly: `next_log_probs` makes them do so, `token_scores` and
    perplexity are as the codes say (as KenLM's are; Heafield 2011, section 4). How near they come stands in its story.
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
        made = cls(unit=model.unit, open_vocabulary=model.open_vocabulary, bits=bits)  # type: ignore[arg-type]
        lexicon, automaton = model._known()
        whole = recovered(automaton)
        values = coded(whole, bits)
        made._content = lexicon, CompactTrie.of(whole, values, lexicon.size)
        if bits is None:
            return made, []
        low, high = spread_of_sums(values.decoded(whole))
        told = f"in codes of {bits} bits, the probabilities after a context sum to {low:.4f} to {high:.4f}"
        return made, [f"{told} (98 of 100 contexts, counted as often as they come)"]

    def export(self, path: Path) -> None:
        """Write an ARPA file (`.gz` too) of the values that its codes stand for."""
        lexicon, trie = self._known()
        write_arpa(path, unpacked(trie), lambda symbol: visible(lexicon.word(symbol)))

    def log_sums(self, texts: Iterable[str]) -> np.ndarray:
        """How far the sums of next tokens' probabilities are from 1 where it matters: in these texts.

        Their mean, added to the nats a token of the same texts, gives those of the model made to have sums of 1.

        Returns:
            float64 (contexts,): natural logs of the sums after up to 300 contexts, evenly drawn from the first texts.
        """
        lexicon, trie = self._known()
        found = lexicon.encode(next(windows(texts), []))
        ends = np.flatnonzero(found.ids != BEGIN)
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, min(len(ends), _CONTEXTS)).astype(int))]
        begins = found.starts[np.searchsorted(found.starts, ends, side="right") - 1]
        contexts = [found.ids[max(begin, end - trie.order) : end] for begin, end in zip(begins, ends, strict=True)]
        return np.array([np.logaddexp.reduce(trie.next_log_probs([context])[0]) for context in contexts])

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there; nothing but its outline is read before it is used."""
        model = super().read(folder)
        found = model._known()[1].bits
        if found != model.bits:
            raise ModelFolderError(f"{folder.path} says {model.bits} bits and holds {found}: copy it again")
        return model
