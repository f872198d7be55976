"""What a language model's loss is made from: states, the layer that scores tokens from them, and the tokens wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from transferlm.neural.vocabulary_loss import rows_of_block

__all__ = ["Readout"]


class Readout(NamedTuple):
    """A batch as the output layer sees it.

    Attributes:
        states: Shape (tokens, width), with gradients where they are asked for.
        score: States of some tokens as logits, shape (tokens, vocabulary).
        targets: int64 of shape (tokens,).
        vocabulary: Number of tokens that are scored.
    """

    states: torch.Tensor
    score: Callable[[torch.Tensor], torch.Tensor]
    targets: torch.Tensor
    vocabulary: int

    def blocks(self) -> Iterator[slice]:
        """Places a few at a time, so that the logits of all of them never lie in memory together."""
        rows = rows_of_block(self.states, self.vocabulary)
        return (slice(start, start + rows) for start in range(0, len(self.states), rows))

    def nats(self, targets: torch.Tensor | None = None) -> torch.Tensor:
        """Nats of the wanted tokens, summed; those of `targets`, int64 of shape (tokens,), where they are given.

        With gradients the logits of a block are made again on the way back, where there are several.
        """
        wanted, blocks = self.targets if targets is None else targets, list(self.blocks())
        if not blocks:
            return self.states.sum()  # of no token: 0, and it goes the way back as all others do
        if len(blocks) == 1 or not torch.is_grad_enabled():
            parts = [self._nats(part, wanted) for part in blocks]
        else:
            parts = [checkpoint(self._nats, part, wanted, use_reentrant=False) for part in blocks]
        return torch.stack(parts).sum()

    def _nats(self, part: slice, wanted: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(self.score(self.states[part]).float(), wanted[part], reduction="sum")

    @torch.no_grad()
    def drawn(self, generator: torch.Generator) -> torch.Tensor:
        """A token for each place, drawn from the model's own distribution: int64 of shape (tokens,)."""
        parts = []
        for part in self.blocks():
            logits = self.score(self.states[part]).float()
            noise = torch.empty_like(logits).exponential_(generator=generator)
            parts.append((logits - noise.log()).argmax(dim=1))  # the largest of logits with Gumbel noise is a draw
        return torch.cat(parts)
