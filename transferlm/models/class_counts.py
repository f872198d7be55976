"""One count model a class, shrunk towards what all classes share: a generative classifier's encodings."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from transferlm import storage
from transferlm.counts.counted_text import CountedText
from transferlm.counts.counting import count
from transferlm.counts.lookup import Lookup
from transferlm.counts.mapped_arrays import map_arrays, part, prefixed, save_arrays
from transferlm.counts.table import HIGHEST_ORDER, CountTable
from transferlm.counts.trie import Trie
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models._numbers import numbers
from transferlm.models._opening import open_part
from transferlm.models._posterior import posterior
from transferlm.models.base import CountBased, Encoder, Encoding, Model, digest, made_from, require
from transferlm.text.lexicon import Lexicon
from transferlm.text.windows import windows

__all__ = ["ClassCounts"]

_GENERAL = "general"
_EVEN = 1e-3


@dataclass(eq=False)
class ClassCounts(Model, Encoder):
    """A count model of each class's texts; a text is encoded as how much more probable each class makes it.

    A hierarchy of Pitman-Yor processes (Teh 2006): the general model is the prior of the counts of all labelled texts,
    and these that of the counts of each class. A word that no class has shown more than another says nothing.
    """

    concentrations: str = "100,3,3"
    """What the prior weighs against the counts, in tokens: of words by themselves, after one word, after two."""
    discount: float = 0.8
    """What is taken from each distinct word's count and given to the prior, from 0 up to 1."""

    def __post_init__(self) -> None:
        if len(numbers(self.concentrations, "concentrations")) > HIGHEST_ORDER:
            raise SettingError(f"concentrations {self.concentrations!r}: give {HIGHEST_ORDER} at the most")
        if not 0 <= self.discount < 1:
            raise SettingError(f"discount {self.discount}: give a number from 0 up to, not including, 1")
        self._general: Any = None
        self._lexicon: Lexicon | None = None
        self._classes: tuple[CountTable, ...] = ()

    @classmethod
    def of(cls, general: Model, texts: Sequence[str], targets: np.ndarray, classes: int, **settings: Any) -> Self:
        """Count the labelled texts.

        Args:
            general: A model made from counts, whose words (or characters) are read. It may have seen no text yet: then
                all words are alike before any label is seen.
            texts: Labelled texts.
            targets: int64 (texts,), the class of each.
            classes: How many there are; each must have a text.
            settings: Hyper-parameters.

        Raises:
            DataError: A class has no text.
        """
        made = cls(**settings)
        require(general, (CountBased,), "counts of classes")
        made._general = general.copy()
        made._lexicon, symbols = Lexicon.build(texts, made._general.unit)
        order, ids = len(numbers(made.concentrations, "concentrations")), np.asarray(symbols.ids)
        for label in range(classes):
            rows = np.flatnonzero(targets == label)
            if not len(rows):
                raise DataError(f"class {label} has no text to count: give it one")
            parts = [ids[symbols.starts[row] : symbols.starts[row + 1]] for row in rows]
            table = count(np.concatenate(parts), np.cumsum([0, *map(len, parts)]), order)
            made._classes = (*made._classes, table)
        return made

    @property
    def encoding_width(self) -> int:
        """One number a class."""
        return len(self._classes)

    def encode(self, texts: Sequence[str]) -> Encoding:
        """Nats by which each class makes a text more probable than all together do: float32 (texts, classes)."""
        found = [self._encoded(window) for window in windows(texts)]
        features = np.concatenate([np.zeros((0, self.encoding_width)), *found]).astype(np.float32)
        return Encoding(features, np.ones(len(texts)))

    def left_out(self, texts: Sequence[str], targets: np.ndarray) -> np.ndarray:
        """The encodings that labelled texts would have if they had not been counted: float64 (texts, classes).

        Args:
            texts: Texts that were counted.
            targets: int64 (texts,), the class that each was counted in.
        """
        found, done = [np.zeros((0, self.encoding_width))], 0
        for window in windows(texts):
            found.append(self._encoded(window, targets[done : done + len(window)]))
            done += len(window)
        return np.concatenate(found)

    def _encoded(self, texts: Sequence[str], targets: np.ndarray | None = None) -> np.ndarray:
        lexicon = self._known()
        encoded = lexicon.encode(texts)
        ids, starts = encoded.ids, encoded.starts
        prior = self._prior(texts, len(ids))
        everyone = None if targets is None else np.ones(len(texts), bool)
        shared = self._posterior(prior, self._pooled, (ids, starts, everyone))
        columns = []
        for label, lookup in enumerate(self._lookups):
            own = self._posterior(shared, lookup, (ids, starts, None if targets is None else targets == label))
            columns.append(np.add.reduceat(own - shared, starts[:-1]) if len(texts) else np.zeros(0))
        return np.stack(columns, axis=1)

    def _posterior(
        self, prior: np.ndarray, lookup: Lookup, read: tuple[np.ndarray, np.ndarray, np.ndarray | None]
    ) -> np.ndarray:
        found, weights = lookup.evidence(*read), numbers(self.concentrations, "concentrations")
        return posterior(prior, found.counts, found.totals, found.types, weights, [self.discount] * len(weights))

    def _prior(self, texts: Sequence[str], positions: int) -> np.ndarray:
        """The general model's log-probability of every token; of the beginning of a text, 0.

        A thousandth of it is spread evenly, so that a token to which the model gives nothing is possible too.
        """
        even = np.full(positions, -math.log(self._known().size))
        if not self._general.trained:
            return even
        scored = (np.insert(scores.log_probs, 0, 0.0) for scores in self._general.token_scores(texts))
        general = np.concatenate([np.zeros(0), *scored])
        return np.logaddexp(math.log1p(-_EVEN) + general, math.log(_EVEN) + even)

    @cached_property
    def _lookups(self) -> list[Lookup]:
        return [Lookup(Trie.of(table)) for table in self._classes]

    @cached_property
    def _pooled(self) -> Lookup:
        """All classes together, merged in pairs, pairs of pairs and so on."""
        tables = list(self._classes)
        while len(tables) > 1:
            pairs = [one.merge(other) for one, other in zip(tables[::2], tables[1::2], strict=False)]
            tables = pairs + tables[len(tables) & ~1 :]
        return Lookup(Trie.of(tables[0]))

    def _known(self) -> Lexicon:
        if self._lexicon is None:
            raise DataError("class_counts has seen no labelled text: transfer a model to a task with class_conditional")
        return self._lexicon

    # ---------------------------------------------------------------- identity and storage

    def copy(self) -> Self:
        """An independent model: its arrays are never changed, so that both may hold the same ones."""
        twin = copy.copy(self)
        twin.lineage = copy.deepcopy(self.lineage)
        return twin

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the settings, the general model and the counts of each class."""
        settings, lexicon = json.dumps(self.hyper_parameters(), sort_keys=True), self._known()
        counts = [CountedText(lexicon, table).hash for table in self._classes]
        return digest("class_counts", settings, self._general.fingerprint, *counts)

    def write(self, folder: Path) -> None:
        """Words and counts, and the general model in a folder of its own."""
        arrays = prefixed("lexicon.", self._known().arrays())
        for label, table in enumerate(self._classes):
            arrays |= prefixed(f"class{label}.", table.arrays())
        save_arrays(folder / storage.WEIGHTS, arrays)
        self._general.save(folder / _GENERAL)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there."""
        model = made_from(cls, folder)
        path = folder.weights()
        arrays = map_arrays(path)
        general: Any = open_part(folder, _GENERAL, (CountBased,))
        classes = sum(name.startswith("class") and name.endswith(".counts") for name in arrays)
        try:
            model._lexicon = Lexicon.from_arrays(general.unit, part("lexicon.", arrays))
            model._classes = tuple(CountTable.from_arrays(part(f"class{label}.", arrays)) for label in range(classes))
        except ModelFolderError as error:
            raise ModelFolderError(f"{path}: {error}") from None
        order = len(numbers(model.concentrations, "concentrations"))
        if not classes or any(table.order != order for table in model._classes):
            raise ModelFolderError(f"{path} holds no counts of classes, or not of order {order}: copy it again")
        model._general = general
        return model
