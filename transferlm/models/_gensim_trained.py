"""Word vectors that gensim's compiled loops train: our vocabulary, storage and growth around them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.models._pretrained_table import shared_vectors
from transferlm.models._table_backed import TableBacked, fitting
from transferlm.models.base import GrowingVectors
from transferlm.progress import Progress
from transferlm.seeding import derive
from transferlm.text.corpus import Corpus
from transferlm.vectors.vocabulary import Sentences, Vocabulary

__all__ = ["GensimTrained"]

_SLOWEST = 1e-4
"""The learning rate falls to this in a straight line, as in word2vec's own program."""


class GensimTrained(TableBacked, GrowingVectors):
    """A family is a dataclass with the fields below, and says how its weights are laid into a gensim model and read.

    Each training starts from a gensim model made for it: vocabulary, counts, subsampling thresholds and the table of
    negative samples follow anew from all that was read, then the weights so far are laid in. Not used are gensim's
    files, which are pickles, and its own update of a vocabulary, whose thresholds follow from the new text alone
    (gensim #2951).
    """

    width: int
    architecture: str
    window: int
    negative: int
    subsampling: float
    minimum_count: int
    epochs: int
    learning_rate: float
    threads: int
    pretrained: str | None
    pretrained_words: str

    nothing_yet: ClassVar[str] = "these word vectors have seen no text yet: pretrain them first"

    _counts: np.ndarray | None = None
    _context: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("width", "window", "negative", "minimum_count", "epochs", "threads"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give 1 or more")
        if self.architecture not in ("skip_gram", "cbow"):
            raise SettingError(f"architecture {self.architecture!r}: choose skip_gram or cbow")
        if not 0 <= self.subsampling < 1:
            raise SettingError(f"subsampling {self.subsampling}: give 0 (none) to 1; 1e-3 is usual")
        if not self.learning_rate > 0:
            raise SettingError(f"learning_rate {self.learning_rate}: give a number above 0")
        if self.pretrained_words not in ("trained", "frozen", "overwritten"):
            raise SettingError(f"pretrained_words {self.pretrained_words!r}: choose trained, frozen or overwritten")

    @abstractmethod
    def _made(self, **settings: Any) -> Any:
        """A gensim model of the family with these settings and its own."""

    @abstractmethod
    def _lay_in(self, engine: Any, plasticity: float) -> None:
        """Put the weights of the old words, which come first, into the gensim model; say how far they may move."""

    @abstractmethod
    def _hold(self, engine: Any, moving: np.ndarray) -> None:
        """Say how far each word may move: float32 (words,), 1 freely, 0 not at all."""

    @abstractmethod
    def _set_vectors(self, engine: Any, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Give words of the gensim model these vectors."""

    @abstractmethod
    def _take(self, engine: Any, words: Sequence[str]) -> None:
        """Take the gensim model's weights for one's own."""

    # ---------------------------------------------------------------- learning

    @property
    def trained(self) -> bool:
        """Whether it has seen text."""
        return self._table is not None

    def untrained(self, seed: int = 0) -> Self:  # noqa: ARG002 - weights are drawn once the words are known
        """The same hyper-parameters before any text."""
        return type(self)(**self.hyper_parameters())

    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:  # noqa: ARG002
        """Count the words, then train.

        Args:
            corpus: Texts, read once to count and once an epoch.
            seed: Decides every random choice; with more than one thread two runs differ nevertheless.
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
        """Take in new words and go on training on new text; a word must be read `minimum_count` times in it."""
        if not self.trained:
            raise DataError(self.nothing_yet)
        rate = self.learning_rate if learning_rate is None else learning_rate
        self._learn(corpus, derive(seed, self.family, "grow"), epochs, rate, plasticity)

    def _learn(self, corpus: Iterable[str], seed: int, epochs: int, rate: float, plasticity: float) -> None:
        corpus = Corpus.of(corpus)
        vocabulary, lists = self._vocabulary().with_text(self._sentences(corpus), self.minimum_count)
        engine = self._made(
            vector_size=self.width,
            sg=int(self.architecture == "skip_gram"),
            window=self.window,
            hs=0,
            negative=self.negative,
            sample=self.subsampling,
            workers=self.threads,
            seed=seed,
            min_count=1,
            sorted_vocab=0,  # gensim's sort leaves the order of equally frequent words to the processor
        )
        counts = dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True))
        engine.build_vocab_from_freq(counts)
        if self.trained:
            self._lay_in(engine, plasticity)
            self._train(engine, corpus, lists, epochs, rate)
        else:
            self._train_from_pretrained(engine, corpus, lists, epochs, rate)
        self._counts, self._context = vocabulary.counts, engine.syn1neg
        self._take(engine, vocabulary.words)

    def _train_from_pretrained(self, engine: Any, corpus: Corpus, lists: int, epochs: int, rate: float) -> None:
        """Train with the pretrained table's vectors laid in before, after, or both."""
        if self.pretrained is None:
            self._train(engine, corpus, lists, epochs, rate)
            return
        words = engine.wv.index_to_key
        rows, vectors = shared_vectors(self.pretrained, words, self.width)
        if self.pretrained_words != "overwritten":
            self._set_vectors(engine, rows, vectors)
        if self.pretrained_words == "frozen":
            moving = np.ones(len(words), np.float32)
            moving[rows] = 0
            self._hold(engine, moving)
        self._train(engine, corpus, lists, epochs, rate)
        if self.pretrained_words != "trained":
            self._set_vectors(engine, rows, vectors)  # of frozen words too: n-grams that they share have moved

    def _train(self, engine: Any, corpus: Corpus, lists: int, epochs: int, rate: float) -> None:
        texts = epochs * corpus.survey().texts
        with Progress("training word vectors", texts, "texts") as progress:
            sentences = _Guarded(self._sentences(corpus, progress))
            engine.train(
                sentences,
                total_examples=lists,
                epochs=epochs,
                start_alpha=rate,
                end_alpha=min(rate, _SLOWEST),
            )
        if sentences.error is not None:
            raise sentences.error

    def _vocabulary(self) -> Vocabulary:
        if self._table is None or self._counts is None:
            return Vocabulary.empty()
        return Vocabulary(self._table.words, self._counts)

    def _sentences(self, corpus: Corpus, progress: Progress | None = None) -> Sentences:
        return Sentences(corpus, self.lowercase, self.punctuation, progress)

    # ---------------------------------------------------------------- storage

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = super()._arrays()
        assert self._counts is not None
        assert self._context is not None
        return arrays | {"counts": self._counts, "context": self._context}

    def _adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        words = len(self.table)
        fitting(arrays, "vectors", np.float32, (words, self.width))
        self._counts = fitting(arrays, "counts", np.int64, (words,))
        self._context = fitting(arrays, "context", np.float32, (words, self.width))


class _Guarded:
    """Lists of words that end where reading them fails: in gensim's reading thread an error would halt all for good.

    Attributes:
        error: What went wrong.
    """

    def __init__(self, sentences: Sentences) -> None:
        self._sentences = sentences
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[list[str]]:
        try:
            yield from self._sentences
        except Exception as error:  # noqa: BLE001 - it is raised again once gensim has ended
            self.error = error
