"""Train only the embedding rows that the data uses: exact, and far cheaper than moving the whole table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

__all__ = ["only_rows"]


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
    try:
        yield renamed
    finally:
        with torch.no_grad():
            whole[rows] = embedding.weight
        embedding.weight, embedding.num_embeddings, embedding.padding_idx = whole, count, padding
