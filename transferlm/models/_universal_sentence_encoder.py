"""The multilingual Universal Sentence Encoder in numpy: n-gram convolutions, a sum, four dense layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Architecture", "SentenceNetwork"]

Tensors = Mapping[str, np.ndarray]

BLOCK = 1024
"""Tokens computed at a time: bounds memory, and keeps BLAS busy; throughput is flat from 256 upward."""

_GAP = -1
"""Stands between two texts in a row of token ids, and means a state of zeros."""


@dataclass(frozen=True)
class Architecture:
    """The sizes that `config.json` states.

    Attributes:
        embeddings: Rows of the embedding table.
        width: Length of an embedding and of a text's vector.
        groups: Quantisation groups of the table; row i belongs to group i modulo `groups`.
        orders: Lengths of the n-grams, one branch of two convolutions each.
        ngram_width: Width of a branch.
        dense: Widths of the four layers after the sum.
        epsilon: Added to variances, and the least squared length before division by it.
    """

    embeddings: int
    width: int
    groups: int
    orders: tuple[int, ...]
    ngram_width: int
    dense: tuple[int, ...]
    epsilon: float

    def __post_init__(self) -> None:
        sizes = (self.embeddings, self.width, self.groups, self.ngram_width, *self.orders, *self.dense)
        if len(self.dense) != 4 or not self.orders or min(sizes) < 1:
            raise ValueError("four dense_sizes and one ngram_orders or more, all positive, are needed")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Architecture:
        """Read it from a parsed `config.json`.

        Raises:
            KeyError, TypeError, ValueError: A size is missing or none.
        """
        return cls(
            embeddings=int(config["vocab_size"]),
            width=int(config["hidden_size"]),
            groups=int(config["quantization_groups"]),
            orders=tuple(int(order) for order in config["ngram_orders"]),
            ngram_width=int(config["ngram_size"]),
            dense=tuple(int(size) for size in config["dense_sizes"]),
            epsilon=float(config["layer_norm_eps"]),
        )

    @property
    def reach(self) -> int:
        """Tokens to either side that a token's state depends on: two convolutions of the longest n-gram."""
        return 2 * (max(self.orders) // 2)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Tensor name -> its shape: what a model folder must hold."""
        branch, branches = self.ngram_width, len(self.orders) * self.ngram_width
        mixed = self.width + branches
        first, second, third, last = self.dense
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.codes": (self.embeddings, self.width),
            "embedding.scale": (self.groups,),
            "embedding.offset": (self.groups,),
            "ngram.projection.weight": (self.width, branches),
            "ngram.projection.bias": (branches,),
            "ngram.norm.weight": (branches,),
            "ngram.norm.bias": (branches,),
            "norm.weight": (mixed,),
            "norm.bias": (mixed,),
            "pooling.weight": (mixed, self.width),
            "pooling.bias": (self.width,),
            "dense.0.weight": (self.width, first),
            "dense.1.weight": (first, second),
            "dense.1.shortcut": (self.width, second),
            "dense.2.weight": (second, third),
            "dense.3.weight": (third, last),
            "dense.3.shortcut": (second, last),
        }
        for order in self.orders:
            for layer in (1, 2):
                shapes[f"ngram.{order}.convolution.{layer}.weight"] = (order, branch, branch)
                shapes[f"ngram.{order}.convolution.{layer}.bias"] = (branch,)
        return shapes


class SentenceNetwork:
    """Token ids in, one vector a text out: the convolutional encoder of Yang et al. 2019 (arXiv:1907.04307).

    A token's embedding is projected and normalised; each n-gram order has its own share of the result and
    adds to it two convolutions over the tokens, with ReLU. Embedding and shares, side by side and normalised,
    are summed over the text, divided by the square root of its length, and taken through four layers to a
    vector of length 1.

    Args:
        architecture: The sizes.
        tensors: Weights by the names of `Architecture.shapes`; the embedding table as uint8 codes.
    """

    def __init__(self, architecture: Architecture, tensors: Tensors) -> None:
        self.architecture, self.tensors = architecture, tensors

    def vectors(self, token_ids: Sequence[Sequence[int]]) -> np.ndarray:
        """One vector a text.

        Args:
            token_ids: Ids of each text's tokens, at least one a text.

        Returns:
            float32 of shape (texts, last dense width), each row of length 1.
        """
        sums = np.zeros((len(token_ids), self.architecture.width), dtype=np.float32)
        for ids, texts, kept in self._blocks(token_ids):
            states = self._token_states(ids)[kept]
            starts = np.flatnonzero(np.diff(texts, prepend=-1))
            pooled = np.add.reduceat(states, starts, axis=0) @ self.tensors["pooling.weight"]
            sums[texts[starts]] += pooled  # a text's part in this block; its other parts lie in other blocks
        lengths = np.array([len(ids) for ids in token_ids], dtype=np.float32)[:, None]
        return self._dense((sums + lengths * self.tensors["pooling.bias"]) / np.sqrt(lengths))

    def _blocks(self, token_ids: Sequence[Sequence[int]]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """All texts as one row of ids with gaps between, in overlapping blocks of it.

        Cutting the row by length and not by text bounds memory for a text of any length, and changes no sum:
        each block brings its neighbours' tokens as far as a convolution reaches, and only its own are kept.

        Yields:
            A block's ids with their neighbours; the text of each token kept; where in the block those lie.
        """
        reach = self.architecture.reach
        margin, between = [_GAP] * reach, [_GAP] * (reach // 2)
        row = np.array([*margin, *(i for ids in token_ids for i in (*ids, *between)), *margin], dtype=np.int32)
        text_of = np.repeat(np.arange(len(token_ids)), [len(ids) + len(between) for ids in token_ids])
        for start in range(0, len(text_of), BLOCK):
            own = slice(start, min(start + BLOCK, len(text_of)))
            ids = row[own.start : own.stop + 2 * reach]
            kept = np.flatnonzero(ids[reach : reach + own.stop - own.start] != _GAP)
            if kept.size:
                yield ids, text_of[own][kept], kept + reach

    def _token_states(self, ids: np.ndarray) -> np.ndarray:
        """Normalised embedding and n-gram features: float32 of shape (ids, width + orders * ngram width)."""
        size = self.architecture
        mixed = np.empty((len(ids), size.width + len(size.orders) * size.ngram_width), dtype=np.float32)
        group = ids % size.groups
        embedded = mixed[:, : size.width]
        embedded[:] = self.tensors["embedding.codes"][ids]
        embedded *= self.tensors["embedding.scale"][group, None]
        embedded += self.tensors["embedding.offset"][group, None]
        branches = mixed[:, size.width :]
        branches[:] = embedded @ self.tensors["ngram.projection.weight"]
        branches += self.tensors["ngram.projection.bias"]
        self._normalise(branches, "ngram.norm")
        inside = (ids != _GAP)[:, None]
        for order, states in zip(size.orders, np.split(branches, len(size.orders), axis=1), strict=True):
            for layer in (1, 2):
                self._convolve(states, f"ngram.{order}.convolution.{layer}", inside)
        self._normalise(mixed, "norm")
        return mixed

    def _convolve(self, states: np.ndarray, name: str, inside: np.ndarray) -> None:
        """Add a convolution of `states` to them, in place; a gap counts as zeros."""
        states *= inside
        update = convolve(states, self.tensors[f"{name}.weight"])
        update += self.tensors[f"{name}.bias"]
        states += np.maximum(update, 0, out=update)

    def _normalise(self, states: np.ndarray, name: str) -> None:
        """Layer normalisation (Ba et al. 2016) of each row, in place."""
        states -= states.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", states, states) / states.shape[1]
        states /= np.sqrt(variance + np.float32(self.architecture.epsilon))[:, None]
        states *= self.tensors[f"{name}.weight"]
        states += self.tensors[f"{name}.bias"]

    def _dense(self, pooled: np.ndarray) -> np.ndarray:
        """The four layers after the sum; the second and fourth have a shortcut past the layer before them."""
        weights = self.tensors
        first = np.maximum(pooled @ weights["dense.0.weight"], 0)
        second = np.maximum(first @ weights["dense.1.weight"] + pooled @ weights["dense.1.shortcut"], 0)
        third = np.maximum(second @ weights["dense.2.weight"], 0)
        last = np.tanh(third @ weights["dense.3.weight"] + second @ weights["dense.3.shortcut"])
        squared = np.einsum("ij,ij->i", last, last)[:, None]
        return np.asarray(last / np.sqrt(np.maximum(squared, np.float32(self.architecture.epsilon))))


def convolve(states: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A convolution over rows that keeps their number, with zeros around.

    One product of matrices an offset, over slices that are views, so that no window is ever copied.

    Args:
        states: Shape (rows, width).
        kernel: Shape (order, width, output width); `kernel[j]` weighs the row at `j - (order - 1) // 2`.

    Returns:
        Shape (rows, output width).
    """
    rows, order = len(states), len(kernel)
    before = (order - 1) // 2
    total = states @ kernel[before]
    for place, weights in enumerate(kernel):
        shift = place - before
        if shift and abs(shift) < rows:
            source, target = (slice(shift, rows), slice(0, rows - shift))
            if shift < 0:
                source, target = (slice(0, rows + shift), slice(-shift, rows))
            total[target] += states[source] @ weights
    return np.asarray(total)
