"""A token stream cut into windows that are full from end to end: batches for a causal Transformer, and their loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from transferlm.models._next_token_loss import NextTokenLoss
from transferlm.neural.batching import EpochBatch, window_batches
from transferlm.neural.processes import Share
from transferlm.neural.readout import Readout
from transferlm.neural.sampled_softmax import SampledLoss

__all__ = ["PackedReader"]


class PackedReader:
    """Windows over a stream of texts, end tokens between them, each token predicted from those before it in its window.

    Nothing is padded (Brown et al. 2020, section 2.3). Order and place of the windows depend on the seed and the epoch
    alone, so an interrupted run goes on to the same bits. The stream may be a memory map: only the batch at hand is
    ever copied.

    Args:
        module: Gives `logits` for `input_ids`.
        stream: Token ids, shape (tokens,), two or more.
        window: Tokens that are predicted a window; fewer where the stream is shorter.
        batch_size: Windows a step.
        seed: Decides their order.
        learning_rate: A peak step size that suits further training.
        sampled: The loss of training steps, where it isn't the exact one; `mean_loss` is exact always.
    """

    def __init__(
        self,
        module: Any,
        stream: np.ndarray,
        window: int,
        batch_size: int,
        seed: int,
        learning_rate: float = 1e-3,
        sampled: SampledLoss | None = None,
    ) -> None:
        self.module, self.stream, self.seed, self.learning_rate = module, stream, seed, learning_rate
        self.window = min(window, len(stream) - 1)
        self.batch_size, self.sampled = batch_size, sampled
        self.device = next(module.parameters()).device
        self._share = Share()
        self._nats = NextTokenLoss(module, refuse=sampled is not None)

    def batches(self, epoch: int) -> Sequence[EpochBatch]:
        """Starts of windows in a new order each epoch; they are laid so that the few tokens left over change too."""
        return window_batches(len(self.stream) - 1, self.window, self.batch_size, epoch, self.seed)

    def tokens(self, batch: EpochBatch) -> int:
        """Tokens that the batch predicts."""
        return len(batch.rows) * self.window

    def predictions(self, batch: EpochBatch) -> int:
        """As many: each token that is read predicts the next."""
        return self.tokens(batch)

    def loss(self, batch: EpochBatch) -> torch.Tensor:
        """Mean nats a token."""
        own = self._share.of(batch.rows)
        if not len(own):
            if self.sampled is not None:
                self.sampled.drawn += 1  # the others draw one
            return torch.zeros((), device=self.device)
        return self._mean(own, self.window, self.sampled) * self._share.weight(len(own), len(batch.rows))

    def share(self, process: int, processes: int) -> None:
        """From here on `loss` is that of a share of each batch's windows."""
        self._share = Share.of_batches(process, processes, self.batch_size)

    def readout(self, batch: EpochBatch) -> Readout:
        """What a batch predicts."""
        return self._nats.readout(*self._windows(batch.rows, self.window))

    def mean_loss(self) -> float:
        """Mean nats a token of the whole stream, read in windows side by side: a little above a scorer's figure."""
        count, left = divmod(len(self.stream) - 1, self.window)
        starts = self.window * np.arange(count)
        total = sum(
            float(self._mean(rows, self.window)) * len(rows) * self.window
            for rows in np.split(starts, range(self.batch_size, count, self.batch_size))
        )
        if left:
            total += float(self._mean(np.array([self.window * count]), left)) * left
        return total / (len(self.stream) - 1)

    def carried(self) -> dict[str, torch.Tensor]:
        """The samples drawn, for a checkpoint; otherwise each batch stands alone."""
        return {} if self.sampled is None else self.sampled.carried()

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        if self.sampled is not None:
            self.sampled.carry(state)

    def _mean(self, starts: np.ndarray, length: int, sampled: SampledLoss | None = None) -> torch.Tensor:
        return self._nats(*self._windows(starts, length), sampled)

    def _windows(self, starts: np.ndarray, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids of windows, and the token after each: int64 of shape (windows, length)."""
        block = np.stack([self.stream[start : start + length + 1] for start in starts]).astype(np.int64)
        ids = torch.from_numpy(block).to(self.device)
        return ids[:, :-1], ids[:, 1:]
