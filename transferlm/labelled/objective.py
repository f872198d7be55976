"""Labelled examples as the training loop wants them: batches, their loss, and what is predicted in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from transferlm.errors import UnsupportedError
from transferlm.labelled.reading import Reading
from transferlm.neural.batching import by_length
from transferlm.neural.heads import loss_of, readout_of
from transferlm.neural.readout import Readout
from transferlm.seeding import derive

__all__ = ["LabelledObjective"]


class LabelledObjective:
    """A task's loss over labelled rows (an `Objective` of `models/base.py`).

    Args:
        module: Body and head.
        reading: What they read.
        batch_size: Rows a step.
        seed: Decides the order.
    """

    learning_rate = 5e-5
    """Half of the rate of fine-tuning: the head has learnt already."""

    def __init__(self, module: nn.Module, reading: Reading, batch_size: int, seed: int) -> None:
        self.module, self.reading, self.batch_size, self.seed = module, reading, batch_size, seed
        self._rows = np.arange(len(reading.lengths))

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Row numbers of rows of like length, in a new order each epoch."""
        return self.reading.order(self._rows, self.batch_size, derive(self.seed, "order", epoch))

    def tokens(self, batch: np.ndarray) -> int:
        """Tokens that a batch reads."""
        return int(self.reading.lengths[batch].sum())

    def predictions(self, batch: np.ndarray) -> int:
        """What `readout` has a target for: texts, labelled tokens, labels of texts, ends of spans."""
        rows = self.reading.rows
        each = {"sigmoid": rows.output.size, "span": 2}.get(rows.output.link, 1)
        return each * int(rows.counts[batch].sum())

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Mean loss of a step."""
        return loss_of(self.reading.rows.output, *self.reading.scored(batch), self.reading.weights)

    def readout(self, batch: np.ndarray) -> Readout:
        """The distributions that the loss is made from."""
        return readout_of(self.reading.rows.output, *self.reading.scored(batch), self.reading.weights)

    def mean_loss(self) -> float:
        """The mean over all that is predicted."""
        total, predicted = 0.0, 0
        for batch in by_length(self.reading.lengths):
            count = self.predictions(batch)
            total, predicted = total + float(self.loss(batch)) * count, predicted + count
        return total / max(1, predicted)

    def share(self, process: int, processes: int) -> None:  # noqa: ARG002 - rows are never shared
        """Refused: labelled rows are not shared among processes yet.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(f"an update with labels runs in one process, and {processes} were started: start one")

    def carried(self) -> dict[str, Any]:
        """Nothing: each batch stands alone."""
        return {}

    def carry(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""
