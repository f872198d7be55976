"""What every count-based family shares: counting, estimating, scoring, and the folder that is opened by mapping it."""

from __future__ import annotations

import copy
import json
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from transferlm import storage
from transferlm.counts.automaton import Automaton
from transferlm.counts.back_off import BackOff
from transferlm.counts.counted_text import CountedText
from transferlm.counts.mapped_arrays import map_arrays, save_arrays
from transferlm.counts.table import HIGHEST_ORDER
from transferlm.counts.trie import Trie
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models._discounting import Estimate
from transferlm.models._spelling import Spelling
from transferlm.models.base import CountBased, Model, TokenScores, Vocabulary, digest, made_from
from transferlm.text.corpus import Corpus
from transferlm.text.lexicon import UNITS, UNKNOWN, UNKNOWN_WORD, Lexicon
from transferlm.text.windows import windows

__all__ = ["BackOffModel", "memory_bytes"]

THREADS = max(1, min(2, os.cpu_count() or 1))
_WITHOUT_EFFECT = ("memory",)
"""Settings that change how a model is made and nothing about it."""


class BackOffModel(Model, CountBased):
    """A count-based model that scores as a back-off model, however its probabilities are estimated.

    A family is a dataclass with `order`, `unit`, `open_vocabulary` and `memory` among its fields, and says in
    `_estimate` how counts become probabilities. The raw counts are kept, so that text can be added and taken away
    exactly.
    """

    order: int
    unit: str
    open_vocabulary: bool
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
        back_off = BackOff.of(estimate.trie, estimate.log_probs, estimate.back_offs, estimate.unknown)
        self._automaton = Automaton.of(back_off, THREADS, counts.lexicon.size)
        self._counted = counts
        self.__dict__.pop("_spelling", None)
        self._facts = {**estimate.facts, "notes": list(estimate.notes)}

    def estimated(self, counts: CountedText | None = None) -> Estimate:
        """Probabilities and back-off weights of every n-gram, from these counts or from its own."""
        return self._estimate(Trie.of((counts or self.counts).table, THREADS))

    def notes(self) -> list[str]:
        """What a person should know of how the probabilities were estimated."""
        return list(self._facts["notes"]) if self.trained else []

    def facts(self) -> dict[str, Any]:
        """What was estimated: discounts, n-grams an order and the like, as plain data."""
        return dict(self._facts) if self.trained else {}

    # ---------------------------------------------------------------- scoring

    @property
    def tokenizer(self) -> Lexicon:
        """The words, which is how texts become tokens."""
        return self.counts.lexicon

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that were counted; every other one is unknown, and spelled out or not."""
        lexicon = self.counts.lexicon
        told = "unknown ones spelled out" if self.open_vocabulary else "closed"
        key = digest(lexicon.hash, told)
        return Vocabulary(f"{self.unit}, {len(lexicon):,} types, {told}", lexicon.size, not self.open_vocabulary, key)

    def token_scores(self, texts: Iterable[str], context: Literal["text", "stream"] = "text") -> Iterator[TokenScores]:
        """Nats a token, the end of each text included. N-grams do not reach over the end of a text, so that a stream of
        texts is scored as each of them alone, as the published tables of Penn Treebank do.

        Raises:
            DataError: Nothing was counted yet.
            SettingError: `context` is neither `text` nor `stream`.
        """
        if context not in ("text", "stream"):
            raise SettingError(f"context {context!r}: choose text or stream")
        return self._scored(windows(texts), self.counts.lexicon, self._scorer())

    def _scored(self, texts: Iterable[list[str]], lexicon: Lexicon, scorer: Automaton) -> Iterator[TokenScores]:
        for window in texts:
            found = lexicon.encode(window, offsets=True)
            logs, ids = scorer.score(found.ids, found.starts), found.ids.astype(np.int32)
            self._spell(window, found.ids, logs)
            assert found.offsets is not None
            borders = found.starts.tolist()
            for row, (begin, end) in enumerate(pairwise(borders)):
                own = slice(begin + 1, end)
                yield TokenScores(logs[own], found.offsets[begin - row : end - row - 1], ids[own])

    def log_probs(self, texts: Iterable[str]) -> np.ndarray:
        """Log-probability of each whole text with its end, in nats: shape (texts,)."""
        self._scorer()
        parts, sums = windows(texts, count=1 << 14, characters=1 << 19), [np.zeros(0)]
        with ThreadPoolExecutor(THREADS) as pool:
            while some := list(islice(parts, 4 * THREADS)):
                sums += pool.map(self._sums, some)
        return np.concatenate(sums)

    def _sums(self, texts: Sequence[str]) -> np.ndarray:
        """Log-probability of each text; the work is done in compiled code that leaves other threads free."""
        found = self.counts.lexicon.encode(texts)
        logs = self._scorer().score(found.ids, found.starts)
        self._spell(texts, found.ids, logs)
        summed: np.ndarray = np.add.reduceat(logs, found.starts[:-1])
        return summed

    def _spell(self, texts: Sequence[str], ids: np.ndarray, logs: np.ndarray) -> None:
        """Multiply the probability of an unknown word by that of its spelling; `<unk>` itself is a word like others."""
        unknown = np.flatnonzero(ids == UNKNOWN)
        if not self.open_vocabulary or not len(unknown):
            return
        words = self.counts.lexicon.unknown_words(texts)
        spelled = [row for row, word in enumerate(words) if word != UNKNOWN_WORD]
        logs[unknown[spelled]] += self._spelling.log_probs([words[row] for row in spelled])

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self.counts.lexicon)

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        found = self.counts.lexicon.encode(contexts)
        borders = found.starts.tolist()
        rows = [found.ids[begin : end - 1] for begin, end in pairwise(borders)]
        logs = self._scorer().next_log_probs(rows)
        return logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)  # they are stored in 32 bits

    def _scorer(self) -> Automaton:
        if self._automaton is None:
            raise DataError(f"this {self.family} model has counted no text yet: pretrain it first")
        return self._automaton

    # ---------------------------------------------------------------- identity and storage

    def copy(self) -> Self:
        """An independent model: its arrays are never changed, so that both may hold the same ones."""
        twin = copy.copy(self)
        twin.lineage = copy.deepcopy(self.lineage)
        return twin

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

    def write(self, folder: Path) -> None:
        """Words, raw counts and the automaton, as arrays that are mapped when they are opened."""
        scorer = {f"automaton.{name}": array for name, array in self._scorer().arrays().items()}
        save_arrays(folder / storage.WEIGHTS, self.counts.arrays() | scorer)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there; nothing but its outline is read before it is used."""
        model = made_from(cls, folder)
        path = folder.weights()
        arrays = map_arrays(path)
        facts = folder.said("model").get("estimated")
        if not isinstance(facts, dict) or not isinstance(facts.get("notes"), list):
            raise ModelFolderError(f"{folder.path / storage.MANIFEST} does not tell what was estimated: copy it again")
        try:
            model._counted = CountedText.from_arrays(model.unit, arrays)
            own = {n.removeprefix("automaton."): a for n, a in arrays.items() if n.startswith("automaton.")}
            model._automaton = Automaton.from_arrays(own)
        except ModelFolderError as error:
            raise ModelFolderError(f"{path}: {error}") from None
        if model._counted.table.order != model.order or model._automaton.order != model.order:
            raise ModelFolderError(f"{path} holds n-grams of another order than {model.order}: copy it again")
        model._facts = facts
        return model


def memory_bytes(said: str) -> int:
    """Bytes meant by "512M" or "2G" (powers of 1,024).

    >>> memory_bytes("2G") == 2 * 1024**3
    True
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG])i?B?", said.strip(), re.IGNORECASE)
    size = int(float(found[1]) * (1 << (20 if found[2].upper() == "M" else 30))) if found else 0
    if size < 1 << 24:
        raise SettingError(f"memory {said!r}: give a size such as 512M or 2G, 16M or more")
    return size
