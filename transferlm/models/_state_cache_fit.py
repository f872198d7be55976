"""How flat a cache of hidden states should be and what it should weigh, for texts that are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transferlm.models._state_cache import StateCache, mixed
from transferlm.progress import Progress, perplexity_note

__all__ = ["Heard", "Setting", "best_setting"]

_COARSE = np.append(0.0, 2.0 ** np.arange(-4, 9))
"""Flatnesses that are tried, in units of what makes a state's product with itself 1; 0 is a cache of words."""
_FINE = 2.0 ** (np.arange(-3, 4) / 4)
"""Those around the best of them."""
_TOKENS = 4096
_HALVINGS = 40
_HIGHEST = 0.999
"""A cache alone gives what it does not hold no probability at all."""


class Heard(NamedTuple):
    """Texts as a model read them.

    Attributes:
        log_probs: The model's own, float64 of shape (tokens,).
        states: float32 of shape (tokens, width).
        ids: The tokens.
        starts: Where each text begins; None where they are one stream.
    """

    log_probs: np.ndarray
    states: np.ndarray
    ids: np.ndarray
    starts: np.ndarray | None


class Setting(NamedTuple):
    """A cache's flatness and weight, and the mean nats a token with them."""

    flatness: float
    weight: float
    nats: float


def best_setting(heard: Heard, size: int) -> Setting:
    """Flatness and weight under which the texts are most probable, three digits of each.

    The states are read once, and looked over twice: for flatnesses that double from one to the next, then for some
    around the best. For each the best weight is exact, as the mean log-probability is concave in it.

    Args:
        heard: Texts that the model was not trained on, with their states.
        size: States that the cache remembers.
    """
    square = float(np.einsum("td,td->t", heard.states, heard.states, dtype=np.float64).mean())
    with Progress("fitting the cache", 2 * len(heard.ids), "tokens") as progress:
        coarse = _best(heard, size, _COARSE / max(square, 1e-12), progress)
        return _best(heard, size, coarse.flatness * _FINE, progress) if coarse.flatness else coarse


def _best(heard: Heard, size: int, flatnesses: np.ndarray, progress: Progress) -> Setting:
    tried = [_rounded(flatness) for flatness in flatnesses.tolist()]
    shares, empty = _shares(heard, size, tried, progress)
    found = []
    for flatness, row in zip(tried, shares, strict=True):
        weight = _rounded(_best_weight(heard.log_probs[~empty], row[~empty]))
        found.append(Setting(flatness, weight, -float(mixed(heard.log_probs, row, empty, weight).mean())))
    best = min(found, key=lambda setting: setting.nats)
    progress.advance(0, note=perplexity_note(best.nats))
    return best


def _shares(heard: Heard, size: int, flatnesses: Sequence[float], progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    cache, shares, empty = StateCache(size), [], []
    for part in _parts(heard):
        begun = None if heard.starts is None else heard.starts[slice(*np.searchsorted(heard.starts, part))] - part[0]
        found = cache.read(heard.states[slice(*part)], heard.ids[slice(*part)], flatnesses, begun)
        shares.append(found.shares)
        empty.append(found.empty)
        progress.advance(part[1] - part[0])
    return np.concatenate(shares, axis=1), np.concatenate(empty)


def _parts(heard: Heard) -> list[tuple[int, int]]:
    """Stretches of some thousand tokens; where texts stand alone none is torn."""
    count = len(heard.ids)
    cuts = np.arange(0, count, _TOKENS)
    if heard.starts is not None:
        cuts = np.unique(heard.starts[np.searchsorted(heard.starts, cuts, side="right") - 1])
    return list(zip(cuts.tolist(), [*cuts[1:].tolist(), count], strict=True))


def _best_weight(own: np.ndarray, shares: np.ndarray) -> float:
    """The weight at which the slope of the mean of log((1 - w) p_model + w p_cache) is 0, by halving."""
    with np.errstate(over="ignore"):
        gains = np.minimum(shares / np.maximum(np.exp(own), 1e-300), 1e300) - 1
    low, high = 0.0, _HIGHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rises = float((gains / (1 + middle * gains)).sum()) > 0
        low, high = (middle, high) if rises else (low, middle)
    return low


def _rounded(value: float) -> float:
    """Three digits say all that a fit can tell."""
    return float(f"{value:.3g}")
