"""Two objectives read side by side: what each carries from batch to batch, in one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from transferlm.errors import UnsupportedError
from transferlm.models.base import Objective
from transferlm.neural.readout import Readout

__all__ = ["Pair"]


class Pair:
    """An objective with another one at its side; a method says what its loss makes of both.

    Args:
        own: The loss on the new text, whose batches and module are those of the pair.
        other: What is read beside it.
    """

    def __init__(self, own: Objective, other: Objective) -> None:
        self.own, self.other = own, other
        self.module, self.learning_rate = own.module, own.learning_rate

    def batches(self, epoch: int) -> Sequence[Any]:
        """The first one's."""
        return self.own.batches(epoch)

    def tokens(self, batch: Any) -> int:
        """The first one's."""
        return self.own.tokens(batch)

    def predictions(self, batch: Any) -> int:
        """The first one's."""
        return self.own.predictions(batch)

    def share(self, process: int, processes: int) -> None:  # noqa: ARG002 - a pair is never shared
        """Refused: two losses a batch are not shared among processes yet.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(f"this update runs in one process, and {processes} were started: start one")

    def readout(self, batch: Any) -> Readout:
        """The first one's."""
        return self.own.readout(batch)

    def mean_loss(self) -> float:
        """The first one's."""
        return self.own.mean_loss()

    def carried(self) -> dict[str, torch.Tensor]:
        """What both carry."""
        parts = {"own": self.own.carried(), "other": self.other.carried()}
        return {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        for part, objective in (("own", self.own), ("other", self.other)):
            objective.carry({n.removeprefix(f"{part}."): t for n, t in state.items() if n.startswith(f"{part}.")})
