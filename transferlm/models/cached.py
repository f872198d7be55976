"""A causal model with a cache: what was just read is likely to come again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from transferlm.counts.recent import HIGHEST_ORDER, Recent, faded
from transferlm.counts.symbols import UNKNOWN
from transferlm.errors import DataError, SettingError
from transferlm.models._caches import Cache
from transferlm.models._causal import Context, scored_windows
from transferlm.models._numbers import numbers
from transferlm.models._over_words import Composite, Rows, closed, over_words
from transferlm.models._posterior import posterior
from transferlm.models.base import Causal, Model, TokenScores, digest
from transferlm.progress import Progress, perplexity_note
from transferlm.text.corpus import Corpus
from transferlm.text.lexicon import Lexicon

__all__ = ["Cached"]

_LONGEST = 1e9


@dataclass(eq=False)
class Cached(Cache, Composite):
    """A causal model and a cache of the words just read (Kuhn & De Mori 1990), by themselves and in their contexts.

    Counts of what was read fade with every token. The model's own probabilities are the prior; the faded counts after
    no word, after the last word, after the last two ... are evidence on top of it, each weighed against its
    concentration: p_k = (c_k + a_k p_{k-1}) / (C_k + a_k). In a stream the cache reaches back over earlier texts, as
    the published tables have it; else it is empty where a text begins. Unknown words that a model spells out are
    remembered by their spelling.
    """

    half_lives: str = "84,133,214"
    """Tokens in which a count halves: after no word, after one, after two; 1 to 4 numbers. `benchmarks/counts.py` fits
    such to the Penn Treebank's validation part."""
    concentrations: str = "1180,51,15"
    """What the prior weighs against the counts, in tokens, an order each; fitted together with them."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"half_lives", "concentrations"})
    called: ClassVar[str] = "a cache of counts"
    how_made: ClassVar[str] = "a cache is nothing without a model: make one with Cached.of(model)"

    def __post_init__(self) -> None:
        lives, weights = self._settings()
        if max(lives) > _LONGEST:
            raise SettingError(f"half_lives {self.half_lives!r}: give {_LONGEST:,.0f} tokens at the most")
        if len(lives) != len(weights) or not 1 <= len(lives) <= HIGHEST_ORDER:
            raise SettingError(
                f"half_lives {self.half_lives!r} and concentrations {self.concentrations!r}: give 1 to {HIGHEST_ORDER}"
                " numbers above 0 each, as many of the one as of the other"
            )

    def _settings(self) -> tuple[list[float], list[float]]:
        return numbers(self.half_lives, "half_lives"), numbers(self.concentrations, "concentrations")

    # ---------------------------------------------------------------- scoring

    def token_scores(self, texts: Iterable[str], context: Context = "text") -> Iterator[TokenScores]:
        """Nats a token, the end of each text included; in memory that half-lives bound, and distinct unknown words.

        Raises:
            DataError: The model has seen no text yet.
            SettingError: `context` is neither `text` nor `stream`.
        """
        lives, weights = self._settings()
        recent, symbols = Recent(lives), _Symbols(self.model)
        for window, (found,) in scored_windows([self.model], texts, context):
            ids, starts = symbols.joined(window, found)
            counts, totals = recent.read(ids, starts, context == "stream")
            logs = _posterior(np.concatenate([scores.log_probs for scores in found]), counts, totals, weights)
            for scores, own in zip(found, np.split(logs, starts[1:-1]), strict=True):
                yield TokenScores(own, scores.offsets, scores.ids)

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        return self._with_cache(contexts, self.model.next_log_probs(contexts))

    def _with_cache(self, contexts: Sequence[str], rows: np.ndarray, lexicon: Lexicon | None = None) -> np.ndarray:
        """The model's distributions after contexts, over its own tokens or a lexicon's words, and the cache on top."""
        lives, weights = self._settings()
        symbols = _Symbols(self.model)
        for row, context, scores in zip(rows, contexts, self.model.token_scores(contexts), strict=True):
            ids = symbols.joined([context], [scores])[0][:-1]
            columns = scores.ids[:-1] if lexicon is None else lexicon.encode([context]).ids[1:-1]
            if self.vocabulary.closed and lexicon is not None:  # its unknown word stands for what the lexicon lacks too
                columns = np.where(scores.ids[:-1] == self.tokenizer.unknown_id, UNKNOWN, columns)
            for (places, left), weight in zip(faded(ids, lives), weights, strict=True):
                counts = np.bincount(columns[places], left, minlength=len(row))
                totals = np.full(len(row), left.sum())
                row[:] = _posterior(row, counts[:, None], totals[:, None], [weight])
        return rows

    @property
    def newest(self) -> Model:
        """The model."""
        model: Model = self.model
        return model

    def over_words(self, lexicon: Lexicon) -> Rows:
        """Its distributions over the words of a lexicon that has all of the model's."""
        rows = over_words(self.model, lexicon)
        return lambda contexts: self._with_cache(contexts, rows(contexts), lexicon)

    def closed(self) -> Self:
        """The same with the model's unknown words one token."""
        twin = self.copy()
        twin._model = closed(self.model)  # type: ignore[assignment]
        return twin

    def tune(self, texts: Corpus | Iterable[str], context: Context = "text") -> float:
        """Fit half-lives and concentrations, as many as there are, to texts the model was not trained on; in place.

        Args:
            texts: Held-out texts.
            context: As in `token_scores`.

        Returns:
            Mean nats a token of these texts afterwards.

        Raises:
            DataError: There is no text, or a token of it has probability 0.
        """
        corpus, symbols = Corpus.of(texts), _Symbols(self.model)
        parts, logs = [], []
        for window, (found,) in scored_windows([self.model], corpus, context):
            parts.append(symbols.joined(window, found))
            logs += [scores.log_probs for scores in found]
        joined = np.concatenate(logs)
        impossible = np.flatnonzero(np.isneginf(joined))
        if len(impossible):
            raise DataError(f"token {impossible[0] + 1:,} of {corpus.name} has no probability: no cache can be fitted")
        trial = _Trial(parts, joined, context == "stream")
        lives, weights, nats = trial.best(*self._settings())
        self.adjust(half_lives=_told(lives), concentrations=_told(weights))
        return nats

    # ---------------------------------------------------------------- identity and storage

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the settings and the model's fingerprint."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        return digest("cached", settings, self.model.fingerprint)


class _Symbols:
    """Tokens as symbols; where unknown words are spelled out, each spelling is a symbol of its own."""

    def __init__(self, model: Causal) -> None:
        self._unknown = None if model.vocabulary.closed else model.tokenizer.unknown_id
        self._first = model.vocabulary.size
        self._spelled: dict[str, int] = {}

    def joined(self, texts: Sequence[str], found: Sequence[TokenScores]) -> tuple[np.ndarray, np.ndarray]:
        """Symbols of all texts, uint32, one after the other, and where each text begins and the last ends."""
        starts = np.cumsum([0, *(len(scores.ids) for scores in found)])
        ids = np.concatenate([scores.ids for scores in found]).astype(np.uint32)
        if self._unknown is None:
            return ids, starts
        places = np.flatnonzero(ids == self._unknown)
        rows = np.searchsorted(starts, places, side="right") - 1
        for place, row in zip(places.tolist(), rows.tolist(), strict=True):
            begin, end = found[row].offsets[place - starts[row]].tolist()
            spelling = texts[row][begin:end]
            ids[place] = self._first + self._spelled.setdefault(spelling, len(self._spelled))
        return ids, starts


class _Trial:
    """Texts to fit on: what the cache remembers is told anew for every half-life, all else is there once."""

    def __init__(self, parts: Sequence[tuple[np.ndarray, np.ndarray]], logs: np.ndarray, stream: bool) -> None:
        self._ids = np.concatenate([ids for ids, _ in parts])
        ends = np.cumsum([0, *(len(ids) for ids, _ in parts)])
        starts = [starts[:-1] + end for (_, starts), end in zip(parts, ends[:-1], strict=True)]
        self._starts = np.append(np.concatenate(starts), ends[-1])
        self._logs, self._stream = logs, stream
        self._told: tuple[list[float], np.ndarray, np.ndarray] = [], np.zeros(0), np.zeros(0)

    def best(self, lives: Sequence[float], weights: Sequence[float]) -> tuple[list[float], list[float], float]:
        """Half-lives and concentrations under which the texts are most probable, from these on, and nats a token."""
        from scipy.optimize import minimize  # a quarter of a second to load, for this alone

        orders = len(lives)
        with Progress("fitting the cache", unit="trials") as progress:

            def nats(logarithms: np.ndarray) -> float:
                progress.advance()
                found = self._nats(np.exp(logarithms[:orders]), np.exp(logarithms[orders:]))
                progress.advance(0, note=perplexity_note(found))
                return found

            bounds = [(math.log(1), math.log(1e6))] * orders + [(math.log(1e-3), math.log(1e9))] * orders
            found = minimize(nats, np.log([*lives, *weights]), method="L-BFGS-B", bounds=bounds, options={"eps": 1e-4})
        best = np.exp(found.x).tolist()
        return best[:orders], best[orders:], float(found.fun)

    def _nats(self, lives: np.ndarray, weights: np.ndarray) -> float:
        if self._told[0] != lives.tolist():
            self._told = lives.tolist(), *Recent(lives.tolist()).read(self._ids, self._starts, self._stream)
        return -float(_posterior(self._logs, *self._told[1:], weights.tolist()).mean())


def _posterior(prior: np.ndarray, counts: np.ndarray, totals: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """What `posterior` gives without discounts."""
    return posterior(prior, counts, totals, np.zeros_like(counts), weights, [0.0] * len(weights))


def _told(values: Sequence[float]) -> str:
    """Three digits of each say all that a fit can tell.

    >>> _told([71.23, 0.012345, 123456.0])
    '71.2,0.0123,123000'
    """
    return ",".join(f"{float(f'{value:.3g}'):.10g}" for value in values)
