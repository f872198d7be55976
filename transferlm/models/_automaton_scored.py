"""What every model scores with whose probabilities are a back-off automaton over a list of words."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice, pairwise
from typing import Literal, Self

import numpy as np

from transferlm.counts.automaton import Automaton
from transferlm.counts.pieces import THREADS
from transferlm.errors import SettingError
from transferlm.models._spelling import Spelling
from transferlm.models.base import Causal, Model, TokenScores, Vocabulary, digest
from transferlm.text.lexicon import UNKNOWN, UNKNOWN_WORD, Lexicon
from transferlm.text.windows import windows

__all__ = ["THREADS", "AutomatonScored"]


class AutomatonScored(Model, Causal):
    """A causal model over words (or characters) whose arrays are never changed once they are there."""

    unit: str
    open_vocabulary: bool

    @abstractmethod
    def _known(self) -> tuple[Lexicon, Automaton]:
        """The words, and what scores them.

        Raises:
            DataError: There is nothing yet.
        """

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
        if context not in ("text", "stream"):
            raise SettingError(f"context {context!r}: choose text or stream")
        return self._scored(windows(texts), *self._known())

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
        """Multiply the probability of an unknown word by that of its spelling; `<unk>` itself is a word like others."""
        unknown = np.flatnonzero(ids == UNKNOWN)
        if not self.open_vocabulary or not len(unknown):
            return
        words = self._known()[0].unknown_words(texts)
        spelled = [row for row, word in enumerate(words) if word != UNKNOWN_WORD]
        logs[unknown[spelled]] += self._spelling.log_probs([words[row] for row in spelled])

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self._known()[0])

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        lexicon, scorer = self._known()
        found = lexicon.encode(contexts)
        borders = found.starts.tolist()
        rows = [found.ids[begin : end - 1] for begin, end in pairwise(borders)]
        logs = scorer.next_log_probs(rows)
        return logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)  # they are stored in 32 bits

    def copy(self) -> Self:
        """An independent model: its arrays are never changed, so that both may hold the same ones."""
        twin = copy.copy(self)
        twin.lineage = copy.deepcopy(self.lineage)
        return twin

    def _forget_spelling(self) -> None:
        self.__dict__.pop("_spelling", None)
