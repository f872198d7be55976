"""What every count-based family shares: counting, estimating, scoring, and the folder that is opened by mapping it."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from transferlm import storage
from transferlm.counts.automaton import Automaton
from transferlm.counts.counted_text import CountedText
from transferlm.counts.mapped_arrays import map_arrays, part, prefixed
from transferlm.counts.pieces import THREADS
from transferlm.counts.symbols import FIRST_WORD, UNKNOWN
from transferlm.counts.table import HIGHEST_ORDER
from transferlm.counts.trie import Trie
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models._arpa import write_arpa, written
from transferlm.models._automaton_scored import AutomatonScored, check_words
from transferlm.models._discounting import Estimate
from transferlm.models.base import CountBased, digest, made_from
from transferlm.text.corpus import Corpus
from transferlm.text.lexicon import UNITS, Lexicon

__all__ = ["BackOffModel", "memory_bytes"]

_WITHOUT_EFFECT = ("memory",)
"""Settings that change how a model is made and nothing about it."""


class BackOffModel(AutomatonScored, CountBased):
    """A count-based model that scores as a back-off model, however its probabilities are estimated.

    A family is a dataclass with `order`, `unit`, `open_vocabulary` and `memory` among its fields, and says in
    `_estimate` how counts become probabilities. The raw counts are kept, so that text can be added and taken away
    exactly.
    """

    order: int
    memory: str
    adjustable: ClassVar[frozenset[str]] = frozenset({"memory", "open_vocabulary"})

    _counted: CountedText | None = None
    _automaton: Automaton | None = None
    _facts: dict[str, Any]

    def __post_init__(self) -> None:
        if not 1 <= self.order <= HIGHEST_ORDER:
            raise SettingError(f"order {self.order}: give 1 to {HIGHEST_ORDER}")
        if self.unit not in UNITS:
            raise SettingError(f"unit {self.unit!r}: choose {' or '.join(UNITS)}")
        memory_bytes(self.memory)

    @abstractmethod
    def _estimate(self, trie: Trie) -> Estimate:
        """Probabilities and back-off weights from raw counts."""

    # ---------------------------------------------------------------- learning

    @property
    def trained(self) -> bool:
        """Whether text was counted."""
        return self._counted is not None

    def untrained(self, seed: int = 0) -> Self:  # noqa: ARG002 - nothing is drawn
        """The same hyper-parameters before any text."""
        return type(self)(**self.hyper_parameters())

    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:  # noqa: ARG002
        """Count the texts and estimate from the counts.

        Args:
            corpus: Texts, read once.
            seed: Without effect: nothing is drawn.
            checkpoints: Folder for counts that outgrow `memory` while it runs; counting starts anew after an
                interruption, which costs seconds.

        Raises:
            DataError: There is no text.
        """
        self.adopt(self.counted(corpus, checkpoints))
        return self

    @property
    def counts(self) -> CountedText:
        """The raw counts."""
        if self._counted is None:
            raise DataError(f"this {self.family} model has counted no text yet: pretrain it first")
        return self._counted

    def counted(self, corpus: Iterable[str], scratch: Path | None = None) -> CountedText:
        """Raw counts of other texts, in this model's unit and order."""
        texts = Corpus.of(corpus)
        return CountedText.of(texts, self.unit, self.order, memory_bytes(self.memory), scratch)

    def adopt(self, counts: CountedText) -> None:
        """Take these counts for one's own and estimate anew."""
        estimate = self.estimated(counts)
        facts = {**estimate.facts, "notes": list(estimate.notes), "literal_share": _share_of_literal(counts)}
        made = [estimate.back_off()]
        del estimate
        self._automaton = Automaton.of(made.pop(), THREADS, counts.lexicon.size)  # which lets go of it half-way
        self._counted, self._facts = counts, facts
        self._forget_spelling()

    def estimated(self, counts: CountedText | None = None) -> Estimate:
        """Probabilities and back-off weights of every n-gram, from these counts or from its own."""
        return self._estimate(Trie.of((counts or self.counts).table, THREADS))

    def notes(self) -> list[str]:
        """What a person should know of how the probabilities were estimated."""
        return list(self._facts["notes"]) if self.trained else []

    def facts(self) -> dict[str, Any]:
        """What was estimated: discounts, n-grams an order and the like, as plain data."""
        return dict(self._facts) if self.trained else {}

    def _known(self) -> tuple[Lexicon, Automaton]:
        if self._automaton is None:
            raise DataError(f"this {self.family} model has counted no text yet: pretrain it first")
        return self.counts.lexicon, self._automaton

    @property
    def _literal_share(self) -> float:
        """As the counts have it (`_share_of_literal`)."""
        return float(self._facts["literal_share"])

    def export(self, path: Path) -> None:
        """Write an ARPA file (`.gz` too), which other n-gram tools read; by character white space is named."""
        write_arpa(path, self.estimated().back_off(), written(self.counts.lexicon))

    # ---------------------------------------------------------------- identity and storage

    @property
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters, words and raw counts, from which all else follows."""
        settings = {k: v for k, v in self.hyper_parameters().items() if k not in _WITHOUT_EFFECT}
        counts = self._counted.hash if self._counted is not None else ""
        return digest(self.family, json.dumps(settings, sort_keys=True), counts)

    def manifest(self) -> dict[str, Any]:
        """What `transferlm.json` says; what was estimated stands there too."""
        told = super().manifest()
        told["model"]["estimated"] = self.facts()
        return told

    def _arrays(self) -> dict[str, np.ndarray]:
        if not self.trained:
            return {}
        return self.counts.arrays() | prefixed("automaton.", self._known()[1].arrays())

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there; nothing but its outline is read before it is used."""
        model = made_from(cls, folder)
        path = folder.weights()
        arrays = map_arrays(path)
        if folder.said("model").get("trained") is False:
            return model
        facts = folder.said("model").get("estimated")
        if not isinstance(facts, dict) or not isinstance(facts.get("notes"), list) or not _is_share(facts):
            raise ModelFolderError(f"{folder.path / storage.MANIFEST} does not tell what was estimated: copy it again")
        try:
            model._counted = CountedText.from_arrays(model.unit, arrays)
            model._automaton = Automaton.from_arrays(part("automaton.", arrays))
        except ModelFolderError as error:
            raise ModelFolderError(f"{path}: {error}") from None
        if model._counted.table.order != model.order or model._automaton.order != model.order:
            raise ModelFolderError(f"{path} holds n-grams of another order than {model.order}: copy it again")
        check_words(path, model._counted.lexicon, model._automaton)
        model._facts = facts
        return model


def _is_share(facts: dict[str, Any]) -> bool:
    share = facts.get("literal_share")
    return isinstance(share, float) and 0 <= share < 1


def _share_of_literal(counts: CountedText) -> float:
    """How often the unknown is `<unk>`, written so in the corpus, and not a new word: c / (c + n_1).

    The chance of a new word is that of words seen once (Good 1953), one at least.
    """
    first, times = counts.table.grams[:, 0], counts.table.counts
    literal = float(times[np.searchsorted(first, UNKNOWN) : np.searchsorted(first, UNKNOWN, side="right")].sum())
    if not literal:
        return 0.0
    words = np.bincount(first, times)[FIRST_WORD:]
    once = int(np.count_nonzero((words > 0) & (words <= 1)))
    return literal / (literal + max(1, once))


def memory_bytes(said: str) -> int:
    """Bytes meant by "512M" or "2G" (powers of 1,024).

    >>> memory_bytes("2G") == 2 * 1024**3
    True
    """
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*([MG])i?B?", said.strip(), re.IGNORECASE)
    size = int(float(found[1]) * (1 << (20 if found[2].upper() == "M" else 30))) if found else 0
    if size < 1 << 24:
        raise SettingError(f"memory {said!r}: give a size such as 512M or 2G, 16M or more")
    return size
