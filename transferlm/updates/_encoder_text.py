"""New text as the updates of encoders want it: rows of token ids, cut where `encode` would cut them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from transferlm.models.base import GradientTrained, digest
from transferlm.neural.batching import Batch, EpochBatch, collate, epoch_batches
from transferlm.sources import cache_folder
from transferlm.text.corpus import Corpus
from transferlm.text.token_rows import TokenRows, token_rows

__all__ = ["EncoderText"]

_CHUNK = 1_000_000


class EncoderText:
    """A corpus as an encoder reads it.

    Attributes:
        rows: Token ids of every text.
        device: Where batches go.
    """

    def __init__(self, model: GradientTrained, corpus: Corpus) -> None:
        model.tokenize(["a"])  # a model that has no tokenizer yet says so before the text is read
        self.model, self.max_length = model, model.max_length
        self.device = next(model.module.parameters()).device
        key = digest("texts", corpus.hash, model.tokenizer.hash, type(model).__name__, str(model.max_length))
        self.rows: TokenRows = token_rows(
            corpus, lambda texts: [t.ids for t in model.tokenize(texts)], key, cache_folder() / "tokens"
        )

    def used(self) -> Iterator[np.ndarray]:
        """All token ids, part by part, for `only_rows`; the padding's too, which need not stand in any text."""
        ids = self.rows.ids
        yield np.array([self.model.pad_id])
        yield from (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))

    def order(self, batch_size: int, seed: int) -> Callable[[int], list[EpochBatch]]:
        """Epoch -> its batches."""
        return lambda epoch: epoch_batches(self.rows.lengths, batch_size, epoch, seed)

    def steps(self, most: int, epochs: int, batch_size: int) -> int:
        """Steps to take: `most`, fewer where `epochs` passes are over before."""
        return min(most, epochs * -(-len(self.rows) // batch_size))

    def tokens(self, batch: EpochBatch) -> int:
        """Tokens of a batch, for progress."""
        return int(self.rows.lengths[batch.rows].sum())

    def laid_out(self, ids: Sequence[np.ndarray], renamed: np.ndarray) -> Batch:
        """Rows of token ids as one batch under their new numbers (see `only_rows`)."""
        numbered = [renamed[row] for row in ids]
        return collate(numbered, np.arange(len(ids)), int(renamed[self.model.pad_id]), self.device)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The weights that a text's vector depends on."""
        return [p for group in self.model.layer_groups() for p in group]

    def notes(self) -> list[str]:
        """What a person should know of how the text was read."""
        full = int(np.count_nonzero(self.rows.lengths >= self.max_length))
        if not full:
            return []
        return [
            f"{full:,} of {len(self.rows):,} texts fill the maximum length of {self.max_length} tokens:"
            " what stands beyond it was not read"
        ]
