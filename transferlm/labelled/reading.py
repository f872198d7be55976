"""A body and a head that read labelled rows: the scores of a batch, and what is true of it."""

from __future__ import annotations

import numpy as np
import torch

from transferlm.labelled.rows import Rows
from transferlm.models.base import GradientTrained
from transferlm.neural.batching import Batch, collate, shuffled_by_length
from transferlm.neural.heads import IMPOSSIBLE, LinearHead

__all__ = ["Reading"]


class Reading:
    """A body and a head on labelled rows.

    Args:
        body: Its embedding table holds the rows that are used.
        head: Reads a text's vector or a token's.
        rows: The examples.
        renamed: Token id -> row of that table, where it does not hold all of them (`only_rows`).
    """

    def __init__(self, body: GradientTrained, head: LinearHead, rows: Rows, renamed: np.ndarray | None = None) -> None:
        self.body, self.head, self.rows = body, head, rows
        self.ids = rows.ids if renamed is None else [renamed[ids] for ids in rows.ids]
        self.pad_id = body.pad_id if renamed is None else int(renamed[body.pad_id])
        self.device = next(head.parameters()).device
        self.lengths = np.array([len(row) for row in self.ids], dtype=np.int64)
        self.weights = None if rows.weights is None else torch.tensor(rows.weights, dtype=torch.float32).to(self.device)
        self.per_text = None if rows.targets is None else torch.from_numpy(rows.targets).to(self.device)
        self.read = body.token_states if self.per_text is None else body.text_states

    def order(self, places: np.ndarray, batch_size: int, seed: int) -> list[np.ndarray]:
        """These rows in batches of like length, in an order that the seed decides: row numbers."""
        order = shuffled_by_length(self.lengths[places], batch_size, np.random.default_rng(seed))
        return [places[batch] for batch in order]

    def batch(self, places: np.ndarray) -> Batch:
        """These rows as the body reads them."""
        return collate(self.ids, places, self.pad_id, self.device, self.rows.types)

    def states(self, batch: Batch) -> torch.Tensor:
        """What the head reads of a batch."""
        return self.read(batch)

    def scored(self, places: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores and targets of these rows, as `neural.heads.loss_of` takes them."""
        scores = self.head(self.states(self.batch(places)))
        if self.per_text is not None:
            return scores, self.per_text[torch.from_numpy(places).to(self.device)]
        if self.rows.output.link == "span":
            possible = torch.from_numpy(self.rows.possible(places, scores.shape[1])).to(self.device)
            scores = scores.masked_fill(~possible.unsqueeze(-1), IMPOSSIBLE)
        return scores, torch.from_numpy(self.rows.token_targets(places, scores.shape[1])).to(self.device)
