"""Cross entropy over a sample of a large vocabulary: training that doesn't pay for words it says nothing about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from transferlm.neural.vocabulary_loss import Memory, add_product, rows_of_block, to_softmax
from transferlm.seeding import derive

__all__ = ["SampledLoss", "inclusion"]

_NEVER = -1e30
"""Score of a sampled token that is the target itself: no infinity, as it may be the only one."""


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

    Where training begins, each token's score should be near `log_frequencies`: a rare token with a score like the
    others' outweighs them all, over its small probability, whenever it is sampled, too seldom to be moved away.

    Gradients of the table are sparse: rows of the sample and of the targets. A sample depends on the seed and its
    number alone, so that several processes draw the same one and an interrupted run goes on with the right one.

    Args:
        counts: Occurrences of each token in the corpus, shape (vocabulary,).
        samples: Expected tokens of a sample.
        seed: Decides all samples.
        power: Of the counts (see `inclusion`).
    """

    def __init__(self, counts: np.ndarray, samples: int, seed: int, power: float = 0.75) -> None:
        chances = inclusion(counts, samples, power)
        self.chances = chances.astype(np.float32)
        self._offsets = torch.from_numpy(-np.log(self.chances.clip(1e-30))).float()
        self.log_frequencies = torch.from_numpy(np.log((counts + 1) / (counts + 1).sum())).float()
        self.seed, self.drawn = seed, 0
        self._memory = Memory()

    def sample(self, number: int) -> torch.Tensor:
        """The tokens of one sample, rising: int64 of shape (tokens,). Never empty: the likeliest stands in for none."""
        draws = np.random.default_rng(derive(self.seed, "sample", number)).random(len(self.chances), dtype=np.float32)
        found = np.flatnonzero(draws < self.chances)
        return torch.from_numpy(found if len(found) else np.argmax(self.chances, keepdims=True))

    def carried(self) -> dict[str, torch.Tensor]:
        """How many samples were drawn, for a checkpoint."""
        return {"drawn": torch.tensor(self.drawn)}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        self.drawn = int(state["drawn"])

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
        ids, kind = self.sample(self.drawn), states.device.type
        self.drawn += 1
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        offsets = self._offsets[ids].to(states.device)
        sample = _Sample(ids.to(states.device), offsets, self._memory, dtype)
        loss: torch.Tensor = _OverSample.apply(states, weight, bias, targets, sample)  # type: ignore[no-untyped-call]
        return loss


@dataclass
class _Sample:
    """What a step shares: the sampled tokens, what is added to their scores, room to compute in, and the precision."""

    ids: torch.Tensor
    offsets: torch.Tensor
    memory: Memory
    dtype: torch.dtype


class _OverSample(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        sample: _Sample,
    ) -> torch.Tensor:
        inputs, own_rows = states.to(sample.dtype), weight[targets].to(sample.dtype)
        own, offsets = (inputs.float() * own_rows.float()).sum(1), sample.offsets
        if bias is not None:
            own, offsets = own + bias[targets], offsets + bias[sample.ids]
        wanted = any(ctx.needs_input_grad)
        table = weight[sample.ids].to(sample.dtype)
        rest, gradients = _rest(inputs, table, offsets.to(sample.dtype), own, targets, sample, wanted)
        if wanted:
            others = torch.sigmoid(rest - own)
            gradients[0] -= others[:, None].to(sample.dtype) * own_rows
            ctx.save_for_backward(*gradients, others, inputs, sample.ids, targets)
        ctx.shape, ctx.kinds = (
            weight.shape,
            [None if given is None else given.dtype for given in (states, weight, bias)],
        )
        return functional.softplus(rest - own).mean()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        for_states, for_table, for_bias, others, inputs, ids, targets = ctx.saved_tensors
        scale, rows = upstream / len(targets), torch.cat([ids, targets])
        values = torch.cat([for_table, -others[:, None] * inputs.float()]) * scale
        kind, table_kind, bias_kind = ctx.kinds
        weight = torch.sparse_coo_tensor(rows[None], values.to(table_kind), ctx.shape, check_invariants=False)
        bias = None
        if bias_kind is not None:
            bias = for_bias.new_zeros(ctx.shape[0]).index_add_(0, rows, torch.cat([for_bias, -others]) * scale)
            bias = bias.to(bias_kind)
        return (for_states * scale).to(kind), weight, bias, None, None


def _rest(
    inputs: torch.Tensor,
    table: torch.Tensor,
    offsets: torch.Tensor,
    own: torch.Tensor,
    targets: torch.Tensor,
    sample: _Sample,
    wanted: bool,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """For each state the log of the sum over all tokens but its target, and what that adds to the gradients.

    Those are of the states, of the sample's rows and of their bias, for the sum of the losses.
    """
    gradients = [torch.zeros_like(inputs), inputs.new_zeros(table.shape, dtype=torch.float32)]
    gradients.append(gradients[1].new_zeros(len(table)))
    places = torch.searchsorted(sample.ids, targets).clamp_(max=len(table) - 1)
    hits = (sample.ids[places] == targets).nonzero()[:, 0]
    rest, rows = torch.empty_like(own), rows_of_block(table, len(table))
    for start in range(0, len(inputs), rows):
        part = slice(start, start + rows)
        block = sample.memory.room("logits", table, (rows, len(table)), inputs.dtype)[: len(inputs[part])]
        torch.addmm(offsets, inputs[part], table.t(), out=block)
        inside = hits[(hits >= start) & (hits < start + rows)]
        block[inside - start, places[inside]] = _NEVER
        rest[part] = to_softmax(block)
        if wanted:
            block.mul_(torch.sigmoid(rest[part] - own[part])[:, None])
            torch.mm(block, table, out=gradients[0][part])
            add_product(gradients[1], block, inputs[part], sample.memory)
            gradients[2] += block.sum(0, dtype=torch.float32)
    return rest, gradients
