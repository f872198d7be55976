"""What every model scores with whose probabilities are those of a back-off model over a list of words."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal, Self

import numpy as np

from transferlm import storage
from transferlm.counts.automaton import Automaton
from transferlm.counts.mapped_arrays import save_arrays
from transferlm.counts.pieces import THREADS
from transferlm.counts.scorer import Scorer
from transferlm.errors import ModelFolderError
from transferlm.models._causal import refuse_context
from transferlm.models._spelling import Spelling
from transferlm.models._symbol_sampling import SymbolContinuation
from transferlm.models.base import Causal, Model, TokenScores, Vocabulary, digest
from transferlm.text.lexicon import UNKNOWN, UNKNOWN_WORD, Lexicon
from transferlm.text.windows import windows

__all__ = ["THREADS", "AutomatonScored", "BackOffScored", "check_words"]


class BackOffScored(Model, Causal):
    """A causal model over words (or characters) whose arrays are never changed once they are there."""

    unit: str
    open_vocabulary: bool

    @abstractmethod
    def _known(self) -> tuple[Lexicon, Scorer]:
        """The words, and what scores them.

        Raises:
            DataError: There is nothing yet.
        """

    @abstractmethod
    def _arrays(self) -> dict[str, np.ndarray]:
        """All that is written, by the names that it is read by."""

    @property
    def weight_bytes(self) -> int:
        """How much its weights take in a folder, but for an outline of about a thousand."""
        return sum(array.nbytes for array in self._arrays().values())

    def write(self, folder: Path) -> None:
        """Words and numbers, as arrays that are mapped when they are opened."""
        save_arrays(folder / storage.WEIGHTS, self._arrays())

    @property
    def tokenizer(self) -> Lexicon:
        """The words, which is how texts become tokens."""
        return self._known()[0]

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that were counted; every other one is unknown, and spelled out or not."""
        lexicon = self._known()[0]
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
        refuse_context(context)
        return self._scored(windows(texts), *self._known())

    def _scored(self, texts: Iterable[list[str]], lexicon: Lexicon, scorer: Scorer) -> Iterator[TokenScores]:
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
        self._known()
        parts, sums = windows(texts, count=1 << 14, characters=1 << 19), [np.zeros(0)]
        with ThreadPoolExecutor(THREADS) as pool:
            while some := list(islice(parts, 4 * THREADS)):
                sums += pool.map(self._sums, some)
        return np.concatenate(sums)

    def _sums(self, texts: Sequence[str]) -> np.ndarray:
        """Log-probability of each text; the work is done in compiled code that leaves other threads free."""
        lexicon, scorer = self._known()
        found = lexicon.encode(texts)
        logs = scorer.score(found.ids, found.starts)
        self._spell(texts, found.ids, logs)
        summed: np.ndarray = np.add.reduceat(logs, found.starts[:-1])
        return summed

    def _spell(self, texts: Sequence[str], ids: np.ndarray, logs: np.ndarray) -> None:
        """Share the probability of UNKNOWN out: what is `<unk>`'s own, and the rest to each word by its spelling.

        So that all strings together have no more than 1, where a corpus has `<unk>` as a word of its own too.
        """
        unknown = np.flatnonzero(ids == UNKNOWN)
        if not self.open_vocabulary or not len(unknown):
            return
        words, literal = self._known()[0].unknown_words(texts), self._literal_share
        spelled = [row for row, word in enumerate(words) if word != UNKNOWN_WORD or not literal]
        logs[unknown] += math.log(literal) if literal else 0.0
        if spelled:
            rest = math.log1p(-literal) - (math.log(literal) if literal else 0.0)
            logs[unknown[spelled]] += rest + self._spelling.log_probs([words[row] for row in spelled])

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self._known()[0])

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary).

        Each row is made to sum to 1, and `token_scores` is not: they differ by what 32 bits round, less than 1e-5, and
        by as much as the sums of an ARPA file that is no distribution differ from 1.
        """
        lexicon, scorer = self._known()
        found = lexicon.encode(contexts)
        borders = found.starts.tolist()
        rows = [found.ids[begin : end - 1] for begin, end in pairwise(borders)]
        logs = scorer.next_log_probs(rows)
        return logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)

    def _continuation(self, prompt: str, generator: np.random.Generator) -> SymbolContinuation:
        """A text whose last words are its state.

        UNKNOWN is drawn as `<unk>` as often as it was a word of the corpus, else as a word that is not known, spelled
        out; it is barred where it can't be either: in a closed vocabulary without `<unk>`, and by character, where it
        would be any code point.
        """
        lexicon, scorer = self._known()
        literal, spelled = self._literal_share, self.open_vocabulary and self.unit == "word" and len(lexicon) > 0
        if not literal and not spelled:
            return SymbolContinuation(lexicon, scorer, prompt)

        def unknown() -> str:
            return self._spelling.draw(generator) if spelled and generator.random() >= literal else UNKNOWN_WORD

        return SymbolContinuation(lexicon, scorer, prompt, unknown)

    @property
    def _literal_share(self) -> float:
        """How much of UNKNOWN's probability is that of `<unk>` as a word of the corpus; the rest is that of new words.

        Where counts don't tell, a half where longer n-grams say that it was one (with order 1 none does), else nothing.
        """
        return 0.5 if self._known()[1].goes_on_after_unknown else 0.0

    def copy(self) -> Self:
        """An independent model: its arrays are never changed, so that both may hold the same ones."""
        twin = copy.copy(self)
        twin.lineage = copy.deepcopy(self.lineage)
        return twin

    def _forget_spelling(self) -> None:
        self.__dict__.pop("_spelling", None)


class AutomatonScored(BackOffScored):
    """A model whose scorer is an automaton, which holds its n-grams as they were estimated."""

    @abstractmethod
    def _known(self) -> tuple[Lexicon, Automaton]:
        """The words, and the automaton that scores them."""


def check_words(path: Path, lexicon: Lexicon, scorer: Scorer) -> None:
    """See that words and scorer of one file belong together.

    Raises:
        ModelFolderError: They do not.
    """
    if lexicon.size != scorer.vocabulary:
        told = f"words for {lexicon.size:,} symbols and probabilities of {scorer.vocabulary:,}"
        raise ModelFolderError(f"{path} holds {told}, so of two models: copy it again")
