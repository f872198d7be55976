"""Cross entropy over a sample of a large vocabulary: training that doesn't pay for words it says nothing about."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from transferlm.neural.vocabulary_loss import Memory, add_product, to_softmax
from transferlm.seeding import derive

__all__ = ["SampledLoss", "inclusion"]

_BLOCK = 1 << 21
"""Logits of a block, as in `neural/vocabulary_loss.py`."""


def inclusion(counts: np.ndarray, samples: int, power: float = 0.75) -> np.ndarray:
    """Each token's probability of being in a sample, in proportion to a power of its smoothed count, and at most 1.

    >>> inclusion(np.array([99, 3, 1, 0]), 3, power=1.0).round(3).tolist()
    [1.0, 1.0, 0.667, 0.333]

    Args:
        counts: Occurrences of each token, shape (vocabulary,); one is added to each.
        samples: Expected size of a sample; as large as the vocabulary or larger, all tokens are certain.
        power: 1 samples as often as tokens occur, 0 all alike.

    Returns:
        float64 of shape (vocabulary,), its sum `samples`.
    """
    weights = (counts + 1.0) ** power
    if samples >= len(weights):
        return np.ones(len(weights))
    order = np.argsort(-weights, kind="stable")
    ranked = weights[order]
    rest = np.cumsum(ranked[::-1])[::-1]
    # The heaviest are certain as long as their share of what is left would be more than one place.
    places = samples - np.arange(samples)
    certain = int(np.argmin(np.append(ranked[:samples] * places > rest[:samples], False)))
    found = np.ones(len(weights))
    found[order[certain:]] = (samples - certain) * ranked[certain:] / rest[certain]
    return found


class SampledLoss:
    """Mean cross entropy with the sum over the vocabulary estimated from a sample that a whole step shares.

    A token's own score is exact; to it are added those of the sampled tokens other than itself, each over its
    probability of being sampled (Horvitz & Thompson 1952), so that the estimated sum is right on average, and exact
    where every token is certain. This is the sampled softmax of Bengio & Senécal (2008) and Jean et al. (2015, section
    3.1), whose scores less log expected counts are the same thing, with tokens that are never drawn twice.

    Gradients of the table are sparse: rows of the sample and of the targets. A sample depends on the seed and its number
    alone, so that several processes draw the same one and an interrupted run goes on with the right one.

    Args:
        counts: Occurrences of each token in the corpus, shape (vocabulary,).
        samples: Expected tokens of a sample.
        seed: Decides all samples.
        power: Of the counts (see `inclusion`).
    """

    def __init__(self, counts: np.ndarray, samples: int, seed: int, power: float = 0.75) -> None:
        chances = inclusion(counts, samples, power)
        self._chances = chances.astype(np.float32)
        self._offsets = torch.from_numpy(-np.log(self._chances.clip(1e-30))).float()
        self.seed, self.drawn = seed, 0
        self._memory = Memory()

    def sample(self, number: int) -> torch.Tensor:
        """The tokens of one sample, rising: int64 of shape (tokens,)."""
        draws = np.random.default_rng(derive(self.seed, "sample", number)).random(len(self._chances), dtype=np.float32)
        return torch.from_numpy(np.flatnonzero(draws < self._chances))

    def __call__(
        self, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
    ) -> torch.Tensor:
        """Mean nats a token, estimated from the next sample.

        Args:
            states: Shape (tokens, width).
            weight: The layer's, shape (vocabulary, width).
            bias: Shape (vocabulary,), or None.
            targets: int64 of shape (tokens,).
        """
        ids = self.sample(self.drawn)
        self.drawn += 1
        offsets = self._offsets[ids].to(states.device)
        kind = states.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        loss: torch.Tensor = _OverSample.apply(states, weight, bias, targets, ids.to(states.device), offsets, self._memory, dtype)  # type: ignore[no-untyped-call]
        return loss


class _OverSample(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        ids: torch.Tensor,
        offsets: torch.Tensor,
        memory: Memory,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        table, inputs = weight[ids].to(dtype), states.to(dtype)
        own_rows = weight[targets].to(dtype)
        own = (inputs.float() * own_rows.float()).sum(1)
        if bias is not None:
            offsets, own = offsets + bias[ids], own + bias[targets]
        offsets = offsets.to(dtype)
        places = torch.searchsorted(ids, targets).clamp_(max=len(ids) - 1)
        hit = ids[places] == targets
        wanted = any(ctx.needs_input_grad)
        for_states = torch.empty_like(inputs)
        for_table = weight.new_zeros(table.shape, dtype=torch.float32)
        for_bias = for_table.new_zeros(len(ids))
        rest = torch.empty_like(own)
        rows = max(256, _BLOCK // len(ids))
        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            some = inputs[part]
            block = memory.room("logits", weight, (rows, len(ids)), dtype)[: len(some)]
            torch.addmm(offsets, some, table.t(), out=block)
            block[torch.arange(len(some))[hit[part]], places[part][hit[part]]] = -torch.inf
            rest[part] = to_softmax(block)
            if wanted:
                share = torch.sigmoid(rest[part] - own[part])
                block.mul_(share[:, None])
                torch.mm(block, table, out=for_states[part])
                for_states[part] -= share[:, None].to(dtype) * own_rows[part]
                add_product(for_table, block, some, memory)
                for_bias += block.sum(0, dtype=torch.float32)
        nats = torch.nn.functional.softplus(rest - own)
        share = torch.sigmoid(rest - own)
        ctx.save_for_backward(for_states, for_table, for_bias, share, inputs, ids, targets)
        ctx.shape, ctx.kinds, ctx.has = weight.shape, (states.dtype, weight.dtype), bias is not None
        return nats.mean()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        for_states, for_table, for_bias, share, inputs, ids, targets = ctx.saved_tensors
        scale = upstream / len(targets)
        rows = torch.cat([ids, targets])
        values = torch.cat([for_table, -share[:, None] * inputs.float()]) * scale
        weight = torch.sparse_coo_tensor(rows[None], values.to(ctx.kinds[1]), ctx.shape, check_invariants=False)
        bias = None
        if ctx.has:
            bias = for_bias.new_zeros(ctx.shape[0]).index_add_(0, rows, torch.cat([for_bias, -share]) * scale)
        return (for_states * scale).to(ctx.kinds[0]), weight, bias, None, None, None, None, None
