"""Word vectors that gensim's compiled loops train."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from transferlm.errors import SettingError
from transferlm.models._table_backed import factors
from transferlm.models._trained_table import Text, TrainedTable
from transferlm.progress import Progress
from transferlm.vectors.vocabulary import Sentences

__all__ = ["GensimTrained"]

_SLOWEST = 1e-4
"""The learning rate falls to this in a straight line, as in word2vec's own program."""


class GensimTrained(TrainedTable):
    """A family is a dataclass with the fields below, and says which gensim model it is and where its weights lie.

    Vocabulary, counts, subsampling thresholds and the table of negative samples are made anew for each training from
    all that was read. Not used are gensim's files, which are pickles, and its own update of a vocabulary, whose
    thresholds follow from the new text alone (gensim #2951).
    """

    architecture: str
    window: int
    negative: int
    subsampling: float
    threads: int

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("window", "negative", "threads"):
            self._at_least_one(name)
        if self.architecture not in ("skip_gram", "cbow"):
            raise SettingError(f"architecture {self.architecture!r}: choose skip_gram or cbow")
        if not 0 <= self.subsampling < 1:
            raise SettingError(f"subsampling {self.subsampling}: give 0 (none) to 1; 1e-3 is usual")

    @abstractmethod
    def _made(self, **settings: Any) -> Any:
        """A gensim model of the family with these settings and its own."""

    @abstractmethod
    def _lay_in_words(self, engine: Any, old: int) -> None:
        """Put the vectors of the old words into the gensim model."""

    def _engine(self, text: Text) -> Any:
        engine = self._made(
            vector_size=self.width,
            sg=int(self.architecture == "skip_gram"),
            window=self.window,
            hs=0,
            negative=self.negative,
            sample=self.subsampling,
            workers=self.threads,
            seed=text.seed,
            min_count=1,
            sorted_vocab=0,  # gensim's sort leaves the order of equally frequent words to the processor
        )
        engine.build_vocab_from_freq(dict(zip(text.vocabulary.words, text.vocabulary.counts.tolist(), strict=True)))
        return engine

    def _lay_in(self, engine: Any, plasticity: float) -> None:
        old = len(self.table)
        engine.syn1neg[:old] = self._state["context"]
        self._lay_in_words(engine, old)
        self._hold(engine, factors(len(engine.wv), old, plasticity))

    def _run(self, engine: Any, text: Text, epochs: int, rate: float) -> None:
        texts = epochs * text.corpus.survey().texts
        with Progress("training word vectors", texts, "texts") as progress:
            sentences = _Guarded(self._sentences(text.corpus, progress))
            engine.train(
                sentences,
                total_examples=text.lists,
                epochs=epochs,
                start_alpha=rate,
                end_alpha=min(rate, _SLOWEST),
            )
        if sentences.error is not None:
            raise sentences.error


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
