"""Train only the embedding rows that the data uses: exact, and far cheaper than moving the whole table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

__all__ = ["only_rows"]


class _Lookup:
    """Looks rows up, and adds their gradients into one buffer for good instead of into a new table each step."""

    def __init__(self, embedding: nn.Embedding) -> None:
        self.weight, self.padding = embedding.weight, embedding.padding_idx
        self.buffer = torch.empty_like(embedding.weight)

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = _Rows.apply(self.weight, ids, self)  # type: ignore[no-untyped-call]
        return found

    def add(self, ids: torch.Tensor, gradient: torch.Tensor) -> None:
        if self.weight.grad is None:
            self.weight.grad = self.buffer.zero_()
        self.weight.grad.index_add_(0, ids.flatten(), gradient.flatten(0, -2).to(self.buffer.dtype))
        if self.padding is not None:
            self.weight.grad[self.padding] = 0


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, ids: torch.Tensor, lookup: _Lookup) -> torch.Tensor:
        ctx.lookup = lookup
        ctx.save_for_backward(ids)
        return functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None, None]:
        ctx.lookup.add(*ctx.saved_tensors, gradient)
        return None, None, None


@contextmanager
def only_rows(embedding: nn.Embedding, used: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Within the block the table holds just the used rows; yields old id -> new id, int64 of shape (rows,).

    Rows that no batch touches get no gradient, and AdamW without weight decay never moves a row whose averages are
    all zero: training the small table and writing its rows back gives the same table as training the large one. A
    fine-tuned BERT keeps half of its parameters there, and a few labelled texts use a few hundred of 30,522 rows.

    Args:
        embedding: The table; its weight is a new parameter within the block, so build the optimizer inside.
        used: Token ids of all texts that will pass through, as integer arrays.
    """
    whole = embedding.weight
    count = whole.shape[0]
    present = np.zeros(count, dtype=bool)
    for ids in used:
        present[ids] = True
    if embedding.padding_idx is not None:
        present[embedding.padding_idx] = True
    kept = np.flatnonzero(present)
    renamed = np.full(count, -1, dtype=np.int64)
    renamed[kept] = np.arange(len(kept))
    rows = torch.from_numpy(kept).to(whole.device)
    padding = embedding.padding_idx
    embedding.weight = nn.Parameter(whole.detach()[rows].clone(), requires_grad=whole.requires_grad)
    embedding.num_embeddings = len(kept)
    if padding is not None:
        embedding.padding_idx = int(renamed[padding])
    if embedding.weight.device.type == "cpu" and not (embedding.scale_grad_by_freq or embedding.max_norm):
        embedding.__dict__["forward"] = _Lookup(embedding)
    try:
        yield renamed
    finally:
        embedding.__dict__.pop("forward", None)
        with torch.no_grad():
            whole[rows] = embedding.weight
        embedding.weight, embedding.num_embeddings, embedding.padding_idx = whole, count, padding
