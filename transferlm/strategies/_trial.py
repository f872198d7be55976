"""Rows as the training loop wants them: batches of token ids, their loss, and how much of the model stands still."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from transferlm.models.base import GradientTrained
from transferlm.neural.batching import Batch, by_length, collate, shuffled_by_length
from transferlm.neural.heads import LinearHead, loss_of
from transferlm.neural.precision import Precision, autocast
from transferlm.strategies._frozen import FrozenStates
from transferlm.strategies._rows import Rows

__all__ = ["RowBatch", "Trial"]


class RowBatch(NamedTuple):
    """Rows of one step.

    Attributes:
        places: Row numbers.
        frozen: Groups of layers, from the embeddings up, that stand still.
    """

    places: np.ndarray
    frozen: int = 0


class Trial:
    """A body and a head on labelled rows.

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
        self.body, self.head, self.rows, self.precision = body, head, rows, precision
        self.ids, self.pad_id = [renamed[ids] for ids in rows.ids], int(renamed[body.pad_id])
        self.device = next(head.parameters()).device
        self.lengths = np.array([len(row) for row in self.ids], dtype=np.int64)
        self.weights = None if rows.weights is None else torch.tensor(rows.weights, dtype=torch.float32).to(self.device)
        self.per_text = None if rows.targets is None else torch.from_numpy(rows.targets).to(self.device)
        self.layers = body.layer_groups()
        self.read = body.token_states if self.per_text is None else body.text_states
        self.states = FrozenStates(body, self._batch, self.read, self.lengths, precision)
        self.moving: set[int] = set()
        self.frozen = 0

    def batches(self, places: np.ndarray, batch_size: int, seed: int, frozen: int = 0) -> list[RowBatch]:
        """An epoch's batches in an order that the seed decides."""
        order = shuffled_by_length(self.lengths[places], batch_size, np.random.default_rng(seed))
        return [RowBatch(places[batch], frozen) for batch in order]

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

    def _batch(self, places: np.ndarray) -> Batch:
        return collate(self.ids, places, self.pad_id, self.device, self.rows.types)

    def _loss(self, places: np.ndarray) -> torch.Tensor:
        batch = self._batch(places)
        scores = self.head(self.states.states(self.frozen, batch) if self.frozen else self.read(batch))
        output = self.rows.output
        if self.per_text is not None:
            return loss_of(output, scores, self.per_text[torch.from_numpy(places).to(self.device)], self.weights)
        if output.link == "span":
            possible = torch.from_numpy(self.rows.possible(places, scores.shape[1])).to(self.device)
            scores = scores.masked_fill(~possible.unsqueeze(-1), -torch.inf)
        targets = torch.from_numpy(self.rows.token_targets(places, scores.shape[1])).to(self.device)
        return loss_of(output, scores, targets, self.weights)
