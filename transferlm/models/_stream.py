"""A token stream read in lanes side by side, the recurrent state carried from step to step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from transferlm.errors import DataError

__all__ = ["State", "StreamReader"]

State = torch.Tensor | tuple[torch.Tensor, torch.Tensor]


class StreamReader:
    """Truncated back-propagation through time over a stream: batches, their loss, and the state between them.

    The stream is cut into `lanes` stretches of equal length, each read from left to right. It may be a memory map: only
    the step at hand is ever copied.

    Args:
        network: Gives `states(ids, state)` and `logits(states)`.
        stream: Token ids, shape (tokens,).
        lanes: Stretches read side by side.
        steps: Tokens of a lane a training step.
        learning_rate: A peak step size that suits further training.

    Raises:
        DataError: The stream is too short for one token a lane.
    """

    def __init__(
        self, network: nn.Module, stream: np.ndarray, lanes: int, steps: int, learning_rate: float = 1e-3
    ) -> None:
        self.module = network
        self.steps, self.learning_rate = steps, learning_rate
        self.length = (len(stream) - 1) // lanes
        if self.length < 1:
            raise DataError(
                f"the corpus has {len(stream):,} tokens, too few to read in {lanes} lanes:"
                " lower the batch size or give more text"
            )
        self.device = next(network.parameters()).device
        self.inputs = stream[: lanes * self.length].reshape(lanes, -1)
        self.targets = stream[1 : lanes * self.length + 1].reshape(lanes, -1)
        self.state: State | None = None

    def batches(self, epoch: int) -> Sequence[int]:  # noqa: ARG002 - the stream has one order
        """Where each step starts in the lanes."""
        return range(0, self.length, self.steps)

    def tokens(self, start: int) -> int:
        """Tokens of the step that starts there."""
        return (min(start + self.steps, self.length) - start) * len(self.inputs)

    def loss(self, start: int) -> torch.Tensor:
        """Mean nats a token of one step; the state comes from the step before, without its gradients."""
        if start == 0:
            self.state = None
        stop = min(start + self.steps, self.length)
        states, state = self.module.states(self._part(self.inputs, start, stop), self.state)  # type: ignore[operator]
        self.state = (state[0].detach(), state[1].detach()) if isinstance(state, tuple) else state.detach()
        logits = self.module.logits(states)  # type: ignore[operator]
        wanted = self._part(self.targets, start, stop)
        return functional.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten())

    def mean_loss(self) -> float:
        """Mean nats a token of the whole stream."""
        total = sum(float(self.loss(start)) * self.tokens(start) for start in self.batches(0))
        return total / (self.length * len(self.inputs))

    def carried(self) -> dict[str, torch.Tensor]:
        """The recurrent state, for a checkpoint."""
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        return {str(place): part for place, part in enumerate(parts) if part is not None}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        parts = [state[str(place)] for place in range(len(state))]
        self.state = (parts[0], parts[1]) if len(parts) == 2 else parts[0] if parts else None

    def _part(self, lanes: np.ndarray, start: int, stop: int) -> torch.Tensor:
        return torch.from_numpy(lanes[:, start:stop].astype(np.int64)).to(self.device)
