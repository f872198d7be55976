"""Batches of like length, padded to their own longest row, so that little work goes into padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from transferlm.seeding import derive

__all__ = ["Batch", "EpochBatch", "by_length", "collate", "epoch_batches", "shuffled_by_length", "window_batches"]

POOL = 50
"""Batches that are sorted together: long enough that rows of a batch differ by about a token, short enough that
batches stay random from epoch to epoch."""


@dataclass(frozen=True)
class Batch:
    """Token ids of several texts.

    Attributes:
        ids: int64 of shape (texts, tokens).
        mask: Boolean of the same shape, True where a token stands; None when no row is padded, which lets attention
            take its fastest path.
        rows: int64 of shape (texts,): row numbers in the data that was batched.
        types: Token types, int64 of the shape of `ids`; None where the model needs none.
    """

    ids: torch.Tensor
    mask: torch.Tensor | None
    rows: np.ndarray
    types: torch.Tensor | None = None

    def lengths(self) -> torch.Tensor:
        """Tokens of each text: int64 of shape (texts,)."""
        if self.mask is None:
            return torch.full((self.ids.shape[0],), self.ids.shape[1], device=self.ids.device)
        return self.mask.sum(dim=1)


def shuffled_by_length(lengths: np.ndarray, batch_size: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Row numbers of one epoch's batches: a new random order each time, rows of a batch of like length.

    Args:
        lengths: Tokens of each row, shape (rows,).
        batch_size: Rows a batch; the last one may be smaller.
        generator: The source of the order; its state decides it wholly.
    """
    order = generator.permutation(len(lengths))
    pool = POOL * batch_size
    batches = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    generator.shuffle(batches)
    return batches


@dataclass(frozen=True)
class EpochBatch:
    """Rows that form one training batch, and where it stands: what is drawn for it can be drawn again.

    Attributes:
        epoch: Counted from 0.
        place: Its number within the epoch.
        rows: int64 of shape (texts,).
    """

    epoch: int
    place: int
    rows: np.ndarray


def epoch_batches(lengths: np.ndarray, batch_size: int, epoch: int, seed: int) -> list[EpochBatch]:
    """One epoch's batches of like length, in an order that seed and epoch decide (see `shuffled_by_length`)."""
    generator = np.random.default_rng(derive(seed, "order", epoch))
    found = shuffled_by_length(lengths, batch_size, generator)
    return [EpochBatch(epoch, place, rows) for place, rows in enumerate(found)]


def window_batches(tokens: int, window: int, batch_size: int, epoch: int, seed: int) -> list[EpochBatch]:
    """One epoch's batches of windows over a stream, in an order that seed and epoch decide; nothing is padded.

    Args:
        tokens: Length of the stream.
        window: Tokens of a window, no more than the stream has.
        batch_size: Windows a batch; the last one may be smaller.
        epoch: Counted from 0.
        seed: Decides order and place: windows are laid so that the few tokens left over change too.

    Returns:
        Batches whose rows are the places where windows begin.
    """
    draw = np.random.default_rng(derive(seed, "windows", epoch))
    count, left = divmod(tokens, window)
    starts = int(draw.integers(left + 1)) + window * draw.permutation(count)
    firsts = range(0, count, batch_size)
    return [EpochBatch(epoch, place, starts[first : first + batch_size]) for place, first in enumerate(firsts)]


def by_length(lengths: np.ndarray, tokens: int = 8192, rows: int = 256, enough: int | None = None) -> list[np.ndarray]:
    """Row numbers in batches for prediction: longest first (so that memory peaks at once), bounded by padded tokens.

    Args:
        lengths: Tokens of each row, shape (rows,).
        tokens: Largest number of padded tokens in a batch; a longer row stands alone.
        rows: Largest number of rows in a batch.
        enough: Padded tokens after which a row only joins if it is less than an eighth shorter than the longest: more
            of them save no time where products are what takes it. None takes all that there is room for.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = max(1, min(rows, tokens // longest))
        if enough is not None:
            alike = int(np.searchsorted(-lengths[order], -longest * 7 / 8, side="right")) - start
            size = min(size, max(alike, -(-enough // longest)))
        batches.append(order[start : start + size])
        start += size
    return batches


def collate(
    ids: Sequence[np.ndarray],
    rows: np.ndarray,
    pad_id: int,
    device: torch.device,
    types: Sequence[np.ndarray | None] | None = None,
) -> Batch:
    """Lay the rows' token ids out as one padded batch on `device`.

    Args:
        ids: Token ids of every row of the data.
        rows: The rows that form this batch.
        pad_id: What short rows are filled with.
        device: Where the tensors go.
        types: Token types of every row of the data: None for a row, or for all, where the model needs none.
    """
    longest = max(len(ids[row]) for row in rows)
    padded = np.full((len(rows), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=bool)
    for place, row in enumerate(rows):
        padded[place, : len(ids[row])] = ids[row]
        mask[place, : len(ids[row])] = True
    whole = bool(mask.all())
    return Batch(
        torch.from_numpy(padded).to(device),
        None if whole else torch.from_numpy(mask).to(device),
        np.asarray(rows),
        _laid_types(types, rows, padded.shape, device),
    )


def _laid_types(
    types: Sequence[np.ndarray | None] | None, rows: np.ndarray, shape: tuple[int, ...], device: torch.device
) -> torch.Tensor | None:
    if types is None:
        return None
    found = [types[row] for row in rows]
    if all(row is None for row in found):
        return None
    laid = np.zeros(shape, dtype=np.int64)
    for place, row in enumerate(found):
        if row is not None:
            laid[place, : len(row)] = row
    return torch.from_numpy(laid).to(device)
