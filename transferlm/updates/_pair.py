"""Two objectives read side by side: what each carries from batch to batch, in one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from transferlm.errors import UnsupportedError
from transferlm.models.base import Objective
from transferlm.neural.readout import Readout

__all__ = ["Interleaved", "Pair"]


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


class Interleaved(Pair):
    """Each batch of the first with the next one of the second, which begins anew when it is through.

    Args:
        own: The loss on the new text.
        other: The loss on the old.
        share: Weight of the old beside the new, 0 to 1.
    """

    def __init__(self, own: Objective, other: Objective, share: float) -> None:
        super().__init__(own, other)
        self.weight = share

    def batches(self, epoch: int) -> Sequence[tuple[Any, Any]]:
        """Pairs, as many as the first one has."""
        own, count = self.own.batches(epoch), len(self.other.batches(0))
        turns: dict[int, Sequence[Any]] = {}
        pairs = []
        for place, batch in enumerate(own, start=epoch * len(own)):
            turn, at = divmod(place, count)
            if turn not in turns:
                turns[turn] = self.other.batches(turn)
            pairs.append((batch, turns[turn][at]))
        return pairs

    def tokens(self, batch: tuple[Any, Any]) -> int:
        """Those of both."""
        return self.own.tokens(batch[0]) + self.other.tokens(batch[1])

    def predictions(self, batch: tuple[Any, Any]) -> int:
        """Those of both."""
        return self.own.predictions(batch[0]) + self.other.predictions(batch[1])

    def loss(self, batch: tuple[Any, Any]) -> torch.Tensor:
        """The weighted sum."""
        return (1 - self.weight) * self.own.loss(batch[0]) + self.weight * self.other.loss(batch[1])

    def readout(self, batch: tuple[Any, Any]) -> Readout:
        """The first one's."""
        return self.own.readout(batch[0])
