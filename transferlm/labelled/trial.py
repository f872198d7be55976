"""Rows as the training loop wants them: batches of token ids, their loss, and how much of the model stands still."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from transferlm.labelled.frozen_states import FrozenStates
from transferlm.labelled.reading import Reading
from transferlm.labelled.rows import Rows
from transferlm.models.base import GradientTrained
from transferlm.neural.batching import Batch, by_length
from transferlm.neural.heads import LinearHead, loss_of
from transferlm.neural.precision import Precision, autocast

__all__ = ["RowBatch", "Trial"]


class RowBatch(NamedTuple):
    """Rows of one step.

    Attributes:
        places: Row numbers.
        frozen: Groups of layers, from the embeddings up, that stand still.
    """

    places: np.ndarray
    frozen: int = 0


class Trial(Reading):
    """A body and a head on labelled rows, of which some layers may stand still.

    Args:
        body: Its embedding table holds the rows that are used (`only_rows`).
        head: Reads a text's vector or a token's.
        rows: The examples.
        renamed: Token id -> row of that table.
        precision: As in training.
    """

    def __init__(
        self,
        body: GradientTrained,
        head: LinearHead,
        rows: Rows,
        renamed: np.ndarray,
        precision: Precision,
    ) -> None:
        super().__init__(body, head, rows, renamed)
        self.precision = precision
        self.layers = body.layer_groups()
        self.frozen_states = FrozenStates(body, self.batch, self.read, self.lengths, precision)
        self.moving: set[int] = set()
        self.frozen = 0

    def batches(self, places: np.ndarray, batch_size: int, seed: int, frozen: int = 0) -> list[RowBatch]:
        """An epoch's batches in an order that the seed decides."""
        return [RowBatch(batch, frozen) for batch in self.order(places, batch_size, seed)]

    def states(self, batch: Batch) -> torch.Tensor:
        """What the head reads, with gradients of the layers that move."""
        return self.frozen_states.states(self.frozen, batch) if self.frozen else self.read(batch)

    def move(self, parameters: Iterable[nn.Parameter]) -> None:
        """Say what is trained: no frozen layer's weight is among it while it is frozen."""
        self.moving = {id(p) for p in parameters}
        self._freeze(0)

    def loss(self, batch: RowBatch) -> torch.Tensor:
        """Mean loss of a step, the layers frozen that it says."""
        if batch.frozen != self.frozen:
            self._freeze(batch.frozen)
        return self._loss(batch.places)

    def mean_loss(self, places: np.ndarray) -> float:
        """The mean over rows, or over labelled tokens where there is one score vector a token."""
        total, counts = 0.0, self.rows.counts
        for batch in by_length(self.lengths[places]):
            chosen = places[batch]
            with autocast(self.device, self.precision):
                total += float(self._loss(chosen)) * int(counts[chosen].sum())
        return total / max(1, int(counts[places].sum()))

    def _freeze(self, groups: int) -> None:
        self.frozen = groups
        for number, group in enumerate(self.layers):
            for parameter in group:
                parameter.requires_grad_(number >= groups and id(parameter) in self.moving)

    def _loss(self, places: np.ndarray) -> torch.Tensor:
        return loss_of(self.rows.output, *self.scored(places), self.weights)
