"""A neural model with a cache of its own hidden states: where it was in a like state, it expects what followed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from transferlm.errors import SettingError
from transferlm.models._cached_sampling import CachedContinuation
from transferlm.models._caches import Cache
from transferlm.models._causal import Context
from transferlm.models._sampling import Continuation, HiddenContinuation, Reread
from transferlm.models._state_cache import StateCache, mixed, next_shares
from transferlm.models._state_cache_fit import Heard, best_setting
from transferlm.models.base import HiddenStates, TokenScores, digest
from transferlm.progress import Progress
from transferlm.text.corpus import Corpus

__all__ = ["NeuralCache"]

_TOGETHER = 1024
"""Tokens that are looked up in the cache together: short texts one at a time would take twice as long."""


@dataclass(eq=False)
class NeuralCache(Cache):
    """A neural model with a continuous cache (Grave, Joulin & Usunier 2017) of its hidden states and what followed.

    p(w) = (1 - weight) p_model(w) + weight p_cache(w), where p_cache(w) is the share of exp(flatness h . h_i), over the
    last `size` states h_i, that falls to those which w followed; h is the state at hand. In a stream the cache reaches
    back over earlier texts, as the published tables have it; else it is empty where a text begins, and where it is
    empty the model speaks alone. Nothing is trained.
    """

    size: int = 500
    """States that are remembered. 500 suit the Treebank's short articles, where 2,000 are worse and dearer; the long
    ones of WikiText want 2,000 (Grave et al., table 2)."""
    flatness: float = 0.3
    """How much the resemblance of states counts: 0 not at all, so that the cache is one of words. 0.3 is what Grave et
    al. found for LSTMs; the longer states of Transformers want less, a tenth of it on the Treebank: `tune` fits it."""
    weight: float = 0.1
    """Share of the probability that the cache gives: 0 up to, not including, 1."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"size", "flatness", "weight"})
    inside_needs: ClassVar[tuple[type, ...]] = (HiddenStates,)
    called: ClassVar[str] = "a cache of states"
    how_made: ClassVar[str] = "a cache of states is nothing without a model: make one with NeuralCache.of(model)"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SettingError(f"size {self.size}: give 1 state or more")
        if not 0 <= self.flatness < math.inf:
            raise SettingError(f"flatness {self.flatness}: give 0 or more")
        if not 0 <= self.weight < 1:
            raise SettingError(f"weight {self.weight}: give a share from 0 up to, not including, 1")

    def token_scores(self, texts: Iterable[str], context: Context = "text") -> Iterator[TokenScores]:
        """Nats a token, the end of each text included.

        Raises:
            DataError: The model has seen no text yet.
            SettingError: `context` is neither `text` nor `stream`.
        """
        cache = StateCache(self.size)
        for group in _groups(self.model.predicting_states(texts, context)):
            heard = _joined(group, context)
            found = cache.read(heard.states, heard.ids, [self.flatness], heard.starts)
            logs = mixed(heard.log_probs, found.shares[0], found.empty, self.weight)
            ends = np.cumsum([len(scores.ids) for scores, _ in group])[:-1]
            for (scores, _), own in zip(group, np.split(logs, ends), strict=True):
                yield TokenScores(own, scores.offsets, scores.ids)

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        rows: np.ndarray = self.model.next_log_probs(contexts)
        for row, (scores, states) in zip(rows, self.model.predicting_states(contexts), strict=True):
            shares = next_shares(states, scores.ids[:-1], self.size, self.flatness, len(row))
            row[:] = mixed(row, shares, len(states) == 1, self.weight)
        return rows

    def tune(self, texts: Corpus | Iterable[str], context: Context = "text", tokens: int = 50_000) -> float:
        """Fit flatness and weight to texts the model was not trained on, in place; the size stays.

        Args:
            texts: Held-out texts.
            context: As in `token_scores`.
            tokens: How many of them are read, up to the end of a text: their states are held in memory, and two numbers
                need no more.

        Returns:
            Mean nats a token of these texts afterwards.

        Raises:
            DataError: There is no text.
        """
        read, group = 0, []
        with Progress("reading", unit="tokens") as progress:
            for scores, states in self.model.predicting_states(Corpus.of(texts), context):
                group.append((scores, states))
                read += len(scores.ids)
                progress.advance(len(scores.ids))
                if read >= tokens:
                    break
        flatness, weight, nats = best_setting(_joined(group, context), self.size)
        self.adjust(flatness=flatness, weight=weight)
        return nats

    def _continuation(self, prompt: str, generator: np.random.Generator) -> Continuation:
        inner = self.model._continuation(prompt, generator)
        if not isinstance(inner, HiddenContinuation):
            return Reread(self, prompt)
        read = self.tokenizer.encode_bare([prompt])[0].ids
        return CachedContinuation(inner, read, self.size, self.flatness, self.weight)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the settings and the model's fingerprint."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        return digest("neural_cache", settings, self.model.fingerprint)


def _groups(
    told: Iterable[tuple[TokenScores, np.ndarray]],
) -> Iterator[list[tuple[TokenScores, np.ndarray]]]:
    """Texts in lists of so many tokens or more."""
    group, tokens = [], 0
    for scores, states in told:
        group.append((scores, states))
        tokens += len(scores.ids)
        if tokens >= _TOGETHER:
            yield group
            group, tokens = [], 0
    if group:
        yield group


def _joined(group: Sequence[tuple[TokenScores, np.ndarray]], context: Context) -> Heard:
    ids = [scores.ids for scores, _ in group]
    starts = np.cumsum([0, *(len(own) for own in ids)])[:-1] if context == "text" else None
    logs = np.concatenate([scores.log_probs for scores, _ in group])
    return Heard(logs, np.concatenate([states for _, states in group]), np.concatenate(ids), starts)
