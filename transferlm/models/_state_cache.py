"""The last hidden states of a text, each with the token that followed: what is asked for is near, what came is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from transferlm.neural.precision import best_device

__all__ = ["Found", "StateCache", "mixed", "next_shares"]

_QUERIES = 256
"""Tokens looked up together: with a cache of 2,000 states their products are 2 MB, which processors hold near."""


class Found(NamedTuple):
    """What a cache gives the tokens of a text.

    Attributes:
        shares: Probabilities, float64 of shape (flatnesses, tokens).
        empty: Where nothing was remembered yet, so that the model speaks alone: bool of shape (tokens,).
    """

    shares: np.ndarray
    empty: np.ndarray


class _Block(NamedTuple):
    """Tokens against the states that stand before them.

    Attributes:
        tokens: Which ones.
        products: Of states, less the largest of those in reach: float32 of shape (tokens, states).
        reached: 1 for states in reach of a token, else 0.
        same: 1 for those in reach that were followed by the very token.
    """

    tokens: slice
    products: torch.Tensor
    reached: torch.Tensor
    same: torch.Tensor

    def shares(self, flatness: float) -> torch.Tensor:
        """The probability of each token: shape (tokens,), 0 where nothing is in reach."""
        weights = (self.products * flatness).exp_().mul_(self.reached)
        return (weights * self.same).sum(dim=1) / weights.sum(dim=1).clamp_(min=torch.finfo(weights.dtype).tiny)


class StateCache:
    """Reads a stream, and gives each token what the states of the last ones say of it (Grave et al. 2017, eqs. 3, 4).

    A state that resembles the one at hand votes for the token that followed it then: the probability of a token is the
    share of exp(flatness h_t . h_i) that falls to states h_i which it followed.

    Args:
        size: States that are remembered.
    """

    def __init__(self, size: int) -> None:
        self.size, self._device = size, best_device()
        self._keys: torch.Tensor | None = None
        self._ids = np.empty(0, np.int64)

    def read(
        self, states: np.ndarray, ids: np.ndarray, flatnesses: Sequence[float], starts: np.ndarray | None = None
    ) -> Found:
        """Read tokens.

        Args:
            states: What they are predicted from, float32 of shape (tokens, width).
            ids: The tokens, shape (tokens,).
            flatnesses: How much resemblance counts; 0 not at all. What is found is told for each.
            starts: Ascending places where all before is forgotten; none in a stream.
        """
        queries = torch.from_numpy(states).to(self._device)
        keys = queries if self._keys is None else torch.cat([self._keys, queries])
        follows = np.concatenate([self._ids, ids])
        places = np.arange(len(self._ids), len(follows))
        lowest = np.maximum(places - self.size, 0)
        if starts is not None:
            begins = places[starts]
            lowest = np.maximum(lowest, begins[np.searchsorted(begins, places, side="right") - 1])
        shares = np.zeros((len(flatnesses), len(ids)))
        for block in self._blocks(queries, keys, follows, places, lowest):
            for row, flatness in enumerate(flatnesses):
                shares[row, block.tokens] = block.shares(flatness).double().cpu().numpy()
        self._keys, self._ids = keys[-self.size :].clone(), follows[-self.size :]
        return Found(shares, lowest == places)

    def _blocks(
        self, queries: torch.Tensor, keys: torch.Tensor, follows: np.ndarray, places: np.ndarray, lowest: np.ndarray
    ) -> Iterator[_Block]:
        for start in range(0, len(places), _QUERIES):
            tokens = slice(start, start + _QUERIES)
            first, last = int(lowest[start]), int(places[tokens][-1])
            if first == last:
                continue
            near = np.arange(first, last)
            reached = (near >= lowest[tokens, None]) & (near < places[tokens, None])
            same = reached & (follows[first:last] == follows[places[tokens]][:, None])
            inside, voting = (torch.from_numpy(each).to(self._device) for each in (reached, same))
            products = queries[tokens] @ keys[first:last].t()
            products.masked_fill_(~inside, -torch.inf)
            largest = products.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(products.dtype).min)
            products.sub_(largest).masked_fill_(~inside, 0.0)
            yield _Block(tokens, products, inside.to(products.dtype), voting.to(products.dtype))


def next_shares(states: np.ndarray, ids: np.ndarray, size: int, flatness: float, vocabulary: int) -> np.ndarray:
    """The distribution that the last state asks for: float64 of shape (vocabulary,), zeros where nothing was read.

    Args:
        states: Of a text, float32 of shape (tokens + 1, width); the last is what comes next.
        ids: The tokens that followed the others, shape (tokens,).
        size: As many of them are remembered, the last ones.
        flatness: As in `StateCache.read`.
        vocabulary: Number of tokens there are.
    """
    keys, follows = states[:-1][-size:], ids[-size:]
    if not len(follows):
        return np.zeros(vocabulary)
    products = flatness * (keys @ states[-1]).astype(np.float64)
    weights = np.exp(products - products.max())
    shares: np.ndarray = np.bincount(follows, weights, minlength=vocabulary) / weights.sum()
    return shares


def mixed(own: np.ndarray, shares: np.ndarray, empty: np.ndarray | bool, weight: float) -> np.ndarray:
    """Logs of model and cache together: (1 - weight) p_model + weight p_cache, the model alone where it is empty."""
    with np.errstate(divide="ignore"):
        both = np.logaddexp(own + np.log1p(-weight), np.log(weight) + np.log(shares))
    return np.where(empty, own, np.minimum(both, 0.0))
