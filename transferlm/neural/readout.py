"""What a loss is made from: states, the layer that scores tokens (or labels) from them, and those that are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from transferlm.neural.vocabulary_loss import rows_of_block

__all__ = ["NumbersReadout", "Readout"]


class Readout(NamedTuple):
    """A batch as the output layer sees it.

    Attributes:
        states: Shape (tokens, width), with gradients where they are asked for.
        score: States of some tokens as logits, shape (tokens, vocabulary).
        targets: int64 of shape (tokens,).
        vocabulary: Number of tokens that are scored.
        weights: One weight for each of them in the loss, float32, or None where all weigh the same.
    """

    states: torch.Tensor
    score: Callable[[torch.Tensor], torch.Tensor]
    targets: torch.Tensor
    vocabulary: int
    weights: torch.Tensor | None = None

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

    def mean(self) -> torch.Tensor:
        """Mean nats of the wanted tokens; where they have weights, over these (as `torch.nn.CrossEntropyLoss` has it).

        Of no token it is 0.
        """
        if self.weights is None:
            return self.nats() / max(1, len(self.targets))
        own = self.weights[self.targets]
        nats = functional.cross_entropy(self.score(self.states).float(), self.targets, reduction="none")
        mean: torch.Tensor = (nats * own).sum() / own.sum().clamp_min(torch.finfo(own.dtype).tiny)
        return mean

    def divergence(self, teacher: Readout, part: slice, temperature: float) -> torch.Tensor:
        """KL(teacher || own) of the distributions at some places, both softened, summed; no gradient to the teacher."""
        with torch.no_grad():
            wanted = functional.log_softmax(teacher.score(teacher.states[part]).float() / temperature, dim=1)
        given = functional.log_softmax(self.score(self.states[part]).float() / temperature, dim=1)
        return functional.kl_div(given, wanted, reduction="sum", log_target=True)

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


class NumbersReadout(Readout):
    """A batch of numbers to predict: `states` are the predictions and `targets` what is true, both (numbers, 1).

    The loss is the squared error: up to a constant the nats of a normal distribution of variance 1/2 around each
    prediction.
    """

    def _nats(self, part: slice, wanted: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(self.states[part].float(), wanted[part], reduction="sum")

    @torch.no_grad()
    def drawn(self, generator: torch.Generator) -> torch.Tensor:
        """A number for each place, drawn from its distribution: float32 of shape (numbers, 1)."""
        noise = torch.empty_like(self.states, dtype=torch.float32).normal_(generator=generator)
        numbers: torch.Tensor = self.states.float() + noise * 0.5**0.5
        return numbers

    def divergence(self, teacher: Readout, part: slice, temperature: float) -> torch.Tensor:
        """The squared distance, which is the divergence of the two normal distributions, over temperature^2.

        Numbers have nothing improbable to soften: the factor takes back that by which `distilled` multiplies.
        """
        return functional.mse_loss(self.states[part], teacher.states[part].detach(), reduction="sum") / temperature**2
