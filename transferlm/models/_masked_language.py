"""Masked language modelling: a corpus with tokens hidden in it, and the loss of filling them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from transferlm.errors import DataError
from transferlm.models._hiding import Hideable, hide
from transferlm.models._masked_head import MaskedHead
from transferlm.models._masked_text import MaskedText, parted
from transferlm.neural.batching import Batch, EpochBatch, collate
from transferlm.neural.processes import Share
from transferlm.neural.readout import Readout
from transferlm.seeding import derive
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["MaskedBody", "MaskedReader", "hideable"]


def hideable(tokenizer: Tokenizer) -> Hideable:
    """What of a vocabulary can be hidden and drawn: all but what stands for no text.

    Raises:
        UnsupportedError: There is no mask token.
    """
    mask = tokenizer.with_marks().mask_id
    assert mask is not None
    ordinary = np.ones(len(tokenizer), dtype=bool)
    ordinary[list(tokenizer.reserved_ids)] = False
    return Hideable(mask, ordinary)


class MaskedBody(Protocol):
    """What gives the states that a head fills in tokens from."""

    module: Any
    tokenizer: Any

    @property
    def embedding(self) -> nn.Embedding:
        """The table that is the head's output, too."""

    def token_states(self, batch: Batch) -> torch.Tensor:
        """States of every token."""


class MaskedReader:
    """A corpus with tokens hidden anew in every epoch (Liu et al. 2019, section 4.1), and the loss of filling them in.

    The order depends on seed and epoch, and what is hidden in a row on seed, epoch and row alone: an interrupted run
    goes on to the same bits, and the batches decide nothing.

    Args:
        body: Gives token states.
        head: Turns them into scores.
        text: The corpus.
        batch_size: Rows a step.
        seed: Decides order and masks.
        learning_rate: A peak step size that suits further training.
    """

    def __init__(
        self, body: MaskedBody, head: MaskedHead, text: MaskedText, batch_size: int, seed: int, learning_rate: float
    ) -> None:
        self.body, self.head, self.text, self.learning_rate = body, head, text, learning_rate
        self.batch_size, self.seed = batch_size, seed
        self.vocabulary = hideable(body.tokenizer)
        self.module: nn.Module = nn.ModuleList([body.module, head])
        self.device = head.bias.device
        self._share = Share()

    def batches(self, epoch: int) -> Sequence[EpochBatch]:
        """Rows in a new order each epoch."""
        return self.text.batches(epoch, self.batch_size, self.seed)

    def tokens(self, batch: EpochBatch) -> int:
        """Tokens that the batch reads."""
        return self.text.tokens(batch.rows)

    def predictions(self, batch: EpochBatch) -> int:
        """Tokens that are hidden in the batch."""
        return sum(len(self.hidden(int(row), batch.epoch)[2]) for row in batch.rows)

    def loss(self, batch: EpochBatch) -> torch.Tensor:
        """Mean nats a hidden token."""
        total, count = self._total(batch.rows, batch.epoch)
        return total * (self._share.processes / max(1, count))

    def share(self, process: int, processes: int) -> None:
        """From here on `loss` is that of a share of each batch's texts."""
        self._share = Share.of_batches(process, processes, self.batch_size)

    def readout(self, batch: EpochBatch) -> Readout:
        """What a batch predicts: its hidden tokens."""
        return self._readout(batch.rows, batch.epoch)[0]

    def mean_loss(self) -> float:
        """Mean nats a hidden token over the corpus, under masks that the seed fixes: no perplexity, but comparable.

        Raises:
            DataError: No text holds a token that can be hidden.
        """
        whole, tokens = 0.0, 0
        for rows in self.text.whole():
            total, count = self._total(rows, "held out")
            whole, tokens = whole + float(total), tokens + count
        if not tokens:
            raise DataError("the corpus holds no token that could be hidden: every one is unknown to the tokenizer")
        return whole / tokens

    def carried(self) -> dict[str, torch.Tensor]:
        """Nothing: each batch stands alone."""
        return {}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Nothing to go on from."""

    def hidden(self, row: int, epoch: int | str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A row of the corpus between the model's marks, as it is and with tokens hidden; and their places."""
        tokenizer = self.body.tokenizer
        ids, starts = parted(self.text.row(row))
        if len(starts):
            starts[0] = True
        draw = np.random.default_rng(derive(self.seed, "masks", epoch, row))
        hidden, places = hide(ids, starts, self.vocabulary, draw)
        whole, masked = (np.concatenate([tokenizer.prefix, part, tokenizer.suffix]) for part in (ids, hidden))
        return whole, masked, places + len(tokenizer.prefix)

    def _total(self, rows: np.ndarray, epoch: int | str) -> tuple[torch.Tensor, int]:
        """Nats of the hidden tokens of one's share of these rows, and how many are hidden in all of them."""
        found, count = self._readout(rows, epoch)
        if not len(found.targets):
            return torch.zeros((), device=self.device), count
        return functional.cross_entropy(found.score(found.states).float(), found.targets, reduction="sum"), count

    def _readout(self, rows: np.ndarray, epoch: int | str) -> tuple[Readout, int]:
        """What predicts the hidden tokens of one's share of these rows, and how many are hidden in all of them."""
        found, table = [self.hidden(int(row), epoch) for row in rows], self.body.embedding.weight
        count = sum(len(places) for *_, places in found)
        found = self._share.of(found)
        if not found:
            nothing = torch.zeros(0, dtype=torch.int64, device=self.device)
            return Readout(table[:0], self._score, nothing, len(table)), count
        batch = collate([h for _, h, _ in found], np.arange(len(found)), self.body.tokenizer.pad_id, self.device)
        which = np.repeat(np.arange(len(found)), [len(places) for *_, places in found])
        where = np.concatenate([places for *_, places in found])
        wanted = np.concatenate([ids[places] for ids, _, places in found]).astype(np.int64)
        # Scores are computed where a token is hidden and nowhere else: a seventh of the widest product there is.
        states = self.body.token_states(batch)
        chosen = states[torch.from_numpy(which).to(self.device), torch.from_numpy(where).to(self.device)]
        return Readout(chosen, self._score, torch.from_numpy(wanted).to(self.device), len(table)), count

    def _score(self, states: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(states, self.body.embedding.weight)
        return scores
