"""A stack of recurrent layers on torch's fused kernels, and the dropouts of the AWD-LSTM around and in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import nn

from transferlm.neural.dropout import Dropout, LockedDropout, dropped

__all__ = ["Cell", "Dropouts", "Recurrence", "State"]

Cell = Literal["lstm", "gru", "rnn"]
State = tuple[torch.Tensor, ...]
"""What goes on from token to token: each layer's state, for an LSTM each followed by its cells, the first layer first;
every tensor of shape (1, texts, width of the layer).
"""

_KERNELS: dict[str, Callable[..., Any]] = {
    "lstm": torch._VF.lstm,
    "gru": torch._VF.gru,
    "rnn": torch._VF.rnn_tanh,
}
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
_PARTS = {"lstm": 2, "gru": 1, "rnn": 1}


@dataclass(frozen=True)
class Dropouts:
    """What is left out while a recurrent model trains, each a share from 0 up to, not including, 1.

    Attributes:
        words: Rows of the embedding table, each word everywhere or nowhere (Gal & Ghahramani 2016).
        inputs: Units of the word vectors.
        between: Units between two layers.
        outputs: Units before the output layer.
        recurrent: Weights from state to state (weight drop, Wan et al. 2013; Merity, Keskar & Socher 2018).
        locked: Whether units are left out for a whole sequence instead of for each token anew (variational dropout).
    """

    words: float = 0.0
    inputs: float = 0.0
    between: float = 0.0
    outputs: float = 0.0
    recurrent: float = 0.0
    locked: bool = False

    def layer(self, share: float) -> nn.Dropout:
        """A layer that leaves out a share of the units of (texts, tokens, width)."""
        return LockedDropout(share) if self.locked else Dropout(share)


class Recurrence(nn.Module):
    """Layers of one kind of cell; parameters and initial weights are those of `nn.LSTM`, `nn.GRU` and `nn.RNN`.

    Unlike there, layers may differ in width, and the weights from state to state may be dropped: once a sequence, so
    that the kernel stays whole. Where nothing is dropped but units between layers, each token anew, and all layers are
    equally wide, one call of torch's kernel reads all layers.

    Args:
        cell: Kind of cell.
        widths: Of the input, then of each layer.
        dropouts: What is left out while training; `between` and `recurrent` act here.
    """

    def __init__(self, cell: Cell, widths: Sequence[int], dropouts: Dropouts) -> None:
        super().__init__()
        self.kernel, self.parts, self.depth = _KERNELS[cell], _PARTS[cell], len(widths) - 1
        self.between, self.weight_drop = dropouts.layer(dropouts.between), dropouts.recurrent
        self.uniform = len(set(widths[1:])) == 1
        self.entrance: tuple[int, torch.Tensor] | None = None
        """Where passes begin, and with what states, if not at the bottom (`neural/part_way.py`)."""
        self.seen: dict[int, torch.Tensor] | None = None
        """Where to leave the states that enter each layer, if anywhere."""
        for layer, (below, width) in enumerate(pairwise(widths)):
            rows = _GATES[cell] * width
            shapes = {"weight_ih": (rows, below), "weight_hh": (rows, width), "bias_ih": (rows,), "bias_hh": (rows,)}
            for name, shape in shapes.items():
                weight = nn.init.uniform_(torch.empty(shape), -(width**-0.5), width**-0.5)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(weight))

    def layer(self, number: int) -> list[torch.Tensor]:
        """A layer's parameters as torch's kernels want them."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self, f"{name}_l{number}") for name in names]

    def forward(self, inputs: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        """States of the top layer (texts, tokens, width) after each input, and the state to go on from."""
        state = self._nothing(inputs) if state is None else state
        regularised = self.weight_drop or isinstance(self.between, LockedDropout)
        part_way = self.entrance is not None or self.seen is not None
        if self.uniform and not part_way and not (self.training and regularised):
            return self._whole(inputs, state)
        left: list[torch.Tensor] = []
        first, inputs = self.entrance or (0, inputs)
        for number in range(first, self.depth):
            if self.seen is not None:
                self.seen[number] = inputs
            if number:
                inputs = self.between(inputs)
            weights = self.layer(number)
            if self.training and self.weight_drop:
                weights[1] = dropped(weights[1], self.weight_drop)
            own = state[number * self.parts : (number + 1) * self.parts]
            inputs, after = self._run(inputs, own, weights, 1, 0.0)
            left += after
        return inputs, tuple(left)

    def _whole(self, inputs: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        stacked = [torch.cat(state[part :: self.parts]) for part in range(self.parts)]
        weights = [weight for number in range(self.depth) for weight in self.layer(number)]
        between = self.between.p if self.depth > 1 and self.training else 0.0
        states, after = self._run(inputs, stacked, weights, self.depth, between)
        return states, tuple(part[n : n + 1] for n in range(self.depth) for part in after)

    def _run(
        self,
        inputs: torch.Tensor,
        state: Sequence[torch.Tensor],
        weights: Sequence[torch.Tensor],
        layers: int,
        between: float,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        given = list(state) if self.parts > 1 else state[0]
        # Gradients want what only a training pass leaves behind, in evaluation mode too.
        training = self.training or torch.is_grad_enabled()
        states, *after = self.kernel(inputs, given, weights, True, layers, between, training, False, True)
        return states, after

    def _nothing(self, inputs: torch.Tensor) -> State:
        widths = [self.layer(number)[1].shape[1] for number in range(self.depth)]
        return tuple(inputs.new_zeros(1, len(inputs), width) for width in widths for _ in range(self.parts))
