"""Word vectors that learn from text: vocabulary, growth, pretrained tables and storage around what trains them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from transferlm import storage
from transferlm.errors import DataError, SettingError
from transferlm.models._pretrained_table import Pretrained
from transferlm.models._table_backed import Shapes, TableBacked, fitting
from transferlm.models.base import GrowingVectors
from transferlm.progress import Progress
from transferlm.seeding import derive
from transferlm.text.corpus import Corpus
from transferlm.vectors.table import WordTable
from transferlm.vectors.vocabulary import Sentences, Vocabulary
from transferlm.vectors.words import check_chinese

__all__ = ["Text", "TrainedTable"]


@dataclass(frozen=True)
class Text:
    """What one training reads.

    Attributes:
        corpus: The texts.
        vocabulary: The words that have vectors, those known before first, with their counts over all that was read.
        lists: How many lists of words the corpus is.
        seed: Decides every random choice.
    """

    corpus: Corpus
    vocabulary: Vocabulary
    lists: int
    seed: int


class TrainedTable(TableBacked, GrowingVectors):
    """A family is a dataclass with the fields below, and says how an engine is made, filled, run and read.

    An engine is whatever trains: a gensim model, or GloVe's descent. Each training starts from one made for it, and the
    weights so far are laid in, so that all that follows from counts follows from all that was read.
    """

    width: int
    minimum_count: int
    epochs: int
    learning_rate: float
    pretrained: str | None
    pretrained_words: str

    nothing_yet: ClassVar[str] = "these word vectors have seen no text yet: pretrain them first"

    _state: Mapping[str, np.ndarray] = MappingProxyType({})
    """What there is beside the table to go on training from; `counts`, int64 (words,), is there in every family."""
    _begun: Sequence[storage.Lineage] = ()

    def __post_init__(self) -> None:
        for name in ("width", "minimum_count", "epochs"):
            self._at_least_one(name)
        if not 0 < self.learning_rate < math.inf:
            raise SettingError(f"learning_rate {self.learning_rate}: give a number above 0")
        check_chinese(self.chinese)
        if self.pretrained_words not in ("trained", "frozen", "overwritten"):
            raise SettingError(f"pretrained_words {self.pretrained_words!r}: choose trained, frozen or overwritten")

    def _at_least_one(self, name: str) -> None:
        if getattr(self, name) < 1:
            raise SettingError(f"{name} {getattr(self, name)}: give 1 or more")

    # ---------------------------------------------------------------- what a family says

    @abstractmethod
    def _engine(self, text: Text) -> Any:
        """What trains, all weights drawn."""

    @abstractmethod
    def _lay_in(self, engine: Any, plasticity: float) -> None:
        """Put the weights of the old words, which come first, into the engine; say how far they may move."""

    @abstractmethod
    def _hold(self, engine: Any, moving: np.ndarray) -> None:
        """Say how far each word's vector may move: float32 (words,), 1 freely, 0 not at all."""

    @abstractmethod
    def _set_vectors(self, engine: Any, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Give words of the engine these vectors."""

    @abstractmethod
    def _run(self, engine: Any, text: Text, epochs: int, rate: float) -> None:
        """Train."""

    @abstractmethod
    def _read(self, engine: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The words' vectors, float32 (words, width), and all that is kept beside table and counts."""

    @abstractmethod
    def _shapes(self, words: int, arrays: Mapping[str, np.ndarray]) -> Shapes:
        """Types and shapes of what is kept beside table and counts, where `arrays` are those of a folder."""

    # ---------------------------------------------------------------- learning

    @property
    def trained(self) -> bool:
        """Whether it has seen text."""
        return self._table is not None

    @property
    def begun_from(self) -> Sequence[storage.Lineage]:
        """The lineage of the pretrained table that was laid in, if one was."""
        return self._begun

    def untrained(self, seed: int = 0) -> Self:  # noqa: ARG002 - weights are drawn once the words are known
        """The same hyper-parameters before any text."""
        return type(self)(**self.hyper_parameters())

    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:  # noqa: ARG002 - said below
        """Count the words, then train.

        Args:
            corpus: Texts, read once to count the words and then as often as the family needs them.
            seed: Decides every random choice.
            checkpoints: Without effect: after an interruption training starts anew, to the same bits.

        Raises:
            DataError: No word is frequent enough.
        """
        fresh = self.untrained(seed)
        fresh._learn(corpus, derive(seed, self.family), self.epochs, self.learning_rate, 1.0)
        self.__dict__.update(fresh.__dict__)
        return self

    def grow(
        self,
        corpus: Iterable[str],
        seed: int = 0,
        *,
        epochs: int = 5,
        learning_rate: float | None = None,
        plasticity: float = 1.0,
    ) -> None:
        """Take in new words and go on training; a word must be read `minimum_count` times in the new text."""
        if not self.trained:
            raise DataError(self.nothing_yet)
        rate = self.learning_rate if learning_rate is None else learning_rate
        self._learn(corpus, derive(seed, self.family, "grow"), epochs, rate, plasticity)

    def _learn(self, corpus: Iterable[str], seed: int, epochs: int, rate: float, plasticity: float) -> None:
        corpus = Corpus.of(corpus)
        begins = None if self.trained or self.pretrained is None else Pretrained.of(self.pretrained, self.width)
        vocabulary, lists = self._vocabulary().with_text(self._sentences(corpus), self.minimum_count)
        text = Text(corpus, vocabulary, lists, seed)
        engine = self._engine(text)
        if begins is not None:
            self._run_from(begins, engine, text, epochs, rate)
        else:
            if self.trained:
                self._lay_in(engine, plasticity)
            self._run(engine, text, epochs, rate)
        vectors, state = self._read(engine)
        if not np.isfinite(vectors).all():
            raise DataError(f"training ran off to infinity: give a learning_rate below {rate:g}")
        self._table = WordTable.of(vocabulary.words, vectors)
        self._state = {"counts": vocabulary.counts, **state}

    def _run_from(self, pretrained: Pretrained, engine: Any, text: Text, epochs: int, rate: float) -> None:
        """Train with the pretrained vectors laid in before, after, or both."""
        rows, vectors = pretrained.shared(text.vocabulary.words)
        self._begun = (pretrained.lineage,)
        if self.pretrained_words != "overwritten":
            self._set_vectors(engine, rows, vectors)
        if self.pretrained_words == "frozen":
            moving = np.ones(len(text.vocabulary), np.float32)
            moving[rows] = 0
            self._hold(engine, moving)
        self._run(engine, text, epochs, rate)
        if self.pretrained_words != "trained":
            self._set_vectors(engine, rows, vectors)  # of frozen words too: n-grams that they share have moved

    def _vocabulary(self) -> Vocabulary:
        if self._table is None:
            return Vocabulary.empty()
        return Vocabulary(self._table.words, self._state["counts"])

    def _sentences(self, corpus: Corpus, progress: Progress | None = None) -> Sentences:
        return Sentences(corpus, self.words_of, progress)

    # ---------------------------------------------------------------- storage

    def _arrays(self) -> dict[str, np.ndarray]:
        return super()._arrays() | dict(self._state)

    def _adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        words = len(self.table)
        fitting(arrays, "vectors", np.float32, (words, self.width))
        shapes: Shapes = {"counts": (np.int64, (words,)), **self._shapes(words, arrays)}
        self._state = {name: fitting(arrays, name, *shape) for name, shape in shapes.items()}
