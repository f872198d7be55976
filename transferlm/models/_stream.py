"""A token stream read in lanes side by side, the recurrent state carried from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from transferlm.errors import DataError
from transferlm.models._recurrent_network import Network
from transferlm.neural.processes import Share
from transferlm.neural.readout import Readout
from transferlm.neural.recurrence import State
from transferlm.neural.row_gradients import looked_up_sparsely
from transferlm.neural.sampled_softmax import SampledLoss
from transferlm.neural.vocabulary_loss import VocabularyLoss
from transferlm.seeding import derive

__all__ = ["RegularisedReader", "StreamReader"]


class StreamReader:
    """Truncated back-propagation through time over a stream: batches, their loss, and the state between them.

    The stream is cut into `lanes` stretches of equal length, each read from left to right. It may be a memory map: only
    the step at hand is ever copied.

    Args:
        network: What is trained.
        stream: Token ids, shape (tokens,).
        lanes: Stretches read side by side.
        steps: Tokens of a lane a training step.
        learning_rate: A peak step size that suits further training.
        sampled: The loss of training steps, where it isn't the exact one; `mean_loss` is exact always.

    Raises:
        DataError: The stream is too short for one token a lane.
    """

    def __init__(
        self,
        network: Network,
        stream: np.ndarray,
        lanes: int,
        steps: int,
        learning_rate: float = 1e-3,
        sampled: SampledLoss | None = None,
    ) -> None:
        self.module: nn.Module = network
        self._network = network
        self.steps, self.learning_rate = steps, learning_rate
        self.lanes, self.length = lanes, (len(stream) - 1) // lanes
        if self.length < 1:
            raise DataError(
                f"the corpus has {len(stream):,} tokens, too few to read in {lanes} lanes:"
                " lower the batch size or give more text"
            )
        self.device = next(network.parameters()).device
        self.inputs = stream[: lanes * self.length].reshape(lanes, -1)
        self.targets = stream[1 : lanes * self.length + 1].reshape(lanes, -1)
        self.state: State | None = None
        self.sampled, self._exact = sampled, VocabularyLoss()
        self._weight = 1.0

    def batches(self, epoch: int) -> Sequence[range]:  # noqa: ARG002 - the stream has one order
        """The places in the lanes that each step reads."""
        return [range(start, min(start + self.steps, self.length)) for start in range(0, self.length, self.steps)]

    def tokens(self, part: range) -> int:
        """Tokens of a step."""
        return len(part) * self.lanes

    def predictions(self, part: range) -> int:
        """As many: each token that is read predicts the next."""
        return self.tokens(part)

    def loss(self, part: range) -> torch.Tensor:
        """Mean nats a token of one step; the state comes from the step before, without its gradients."""
        return self._read(part, self.sampled)[0] * self._weight

    def share(self, process: int, processes: int) -> None:
        """From here on `loss` is that of a share of the lanes."""
        share = Share.of_batches(process, processes, self.lanes)
        self.inputs, self.targets = share.of(self.inputs), share.of(self.targets)
        self._weight = share.weight(len(self.inputs), self.lanes)

    def mean_loss(self) -> float:
        """Mean nats a token of the whole stream."""
        total = sum(float(self._read(part)[0]) * self.tokens(part) for part in StreamReader.batches(self, 0))
        return total * self._weight / (self.length * self.lanes)

    def carried(self) -> dict[str, torch.Tensor]:
        """The recurrent state, and the samples drawn, for a checkpoint."""
        drawn = {} if self.sampled is None else self.sampled.carried()
        return drawn | {str(place): part for place, part in enumerate(self.state or ())}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        if self.sampled is not None:
            self.sampled.carry(state)
        places = sorted((name for name in state if name.isdigit()), key=int)
        self.state = tuple(state[place] for place in places) or None

    def readout(self, part: range) -> Readout:
        """What one step predicts; the state goes on as in `loss`."""
        outputs, layer = self._network.outputs(self._states(part)), self._network.output
        return Readout(outputs.flatten(0, 1), layer, self._part(self.targets, part).flatten(), layer.out_features)

    def _read(self, part: range, sampled: SampledLoss | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mean nats a token, the states of the top layer, and what the output layer read."""
        with nullcontext() if sampled is None else looked_up_sparsely(self._network.embedding):
            states = self._states(part)
        outputs, layer = self._network.outputs(states), self._network.output
        wanted = self._part(self.targets, part).flatten()
        nats = (sampled or self._exact)(outputs.flatten(0, 1), layer.weight, layer.bias, wanted)
        return nats, states, outputs

    def _states(self, part: range) -> torch.Tensor:
        if part.start == 0:
            self.state = None
        states, state = self._network.states(self._part(self.inputs, part), self.state)
        self.state = tuple(tensor.detach() for tensor in state)
        return states

    def _part(self, lanes: np.ndarray, part: range) -> torch.Tensor:
        return torch.from_numpy(lanes[:, part.start : part.stop].astype(np.int64)).to(self.device)


class RegularisedReader(StreamReader):
    """A stream read as Merity, Keskar & Socher (2018) do: lengths at random, and penalties on the states.

    Args:
        network: What is trained.
        stream: Token ids, shape (tokens,).
        lanes: Stretches read side by side.
        steps: Tokens of a lane a training step, or where lengths are random what they are drawn around.
        seed: Decides the lengths.
        random_lengths: Whether a step's length is drawn (section 4.1).
        activation: Weight of the mean square of what the output layer reads (section 4.6).
        slowness: Weight of the mean squared difference of states that follow one another (section 4.6).
    """

    def __init__(
        self,
        network: Network,
        stream: np.ndarray,
        lanes: int,
        steps: int,
        *,
        seed: int,
        random_lengths: bool,
        activation: float,
        slowness: float,
        sampled: SampledLoss | None = None,
    ) -> None:
        super().__init__(network, stream, lanes, steps, sampled=sampled)
        self.seed, self.random_lengths = seed, random_lengths
        self.activation, self.slowness = activation, slowness
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None

    def batches(self, epoch: int) -> Sequence[range]:
        """The places that each step of an epoch reads: equally many steps each epoch, elsewhere cut where random."""
        if not self.random_lengths:
            return super().batches(epoch)
        return random_spans(self.length, self.steps, np.random.default_rng(derive(self.seed, "lengths", epoch)))

    def pace(self, part: range) -> float:
        """The factor on the learning rate for a step: short ones must not weigh more than long ones (section 4.1)."""
        return len(part) / self.steps if self.random_lengths else 1.0

    def loss(self, part: range) -> torch.Tensor:
        """Mean nats a token of one step."""
        nats, states, outputs = self._read(part, self.sampled)
        if self.activation or self.slowness:
            self._last = states, outputs
        return nats * self._weight

    def penalty(self) -> torch.Tensor:
        """The penalties on the states of the last step."""
        assert self._last is not None
        states, outputs = self._last
        self._last = None
        moved = functional.mse_loss(states[:, 1:].float(), states[:, :-1].float()) if states.shape[1] > 1 else 0.0
        return self._weight * (self.activation * outputs.float().square().mean() + self.slowness * moved)


def random_spans(length: int, steps: int, generator: np.random.Generator) -> list[range]:
    """Cut `length` places into stretches of random lengths, always equally many.

    A stretch is drawn around `steps`, or once in twenty around half of it, with a standard deviation of 5 (Merity,
    Keskar & Socher 2018, section 4.1); then all are stretched alike so that they fill the whole.

    >>> random_spans(100, 30, np.random.default_rng(0))
    [range(0, 34), range(34, 65), range(65, 100)]
    """
    count = min(length, max(1, round(length / (0.975 * steps))))
    around = np.where(generator.random(count) < 0.95, steps, steps / 2)
    drawn = np.maximum(1.0, generator.normal(around, min(5.0, steps / 4)))
    # A whole place a stretch, the others shared out: no stretch is empty.
    ends = np.arange(1, count + 1) + np.rint(np.cumsum(drawn) / drawn.sum() * (length - count)).astype(int)
    return [range(start, end) for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]
