"""Heads and losses that follow from a task's output: a linear layer, and how its scores are judged."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from transferlm.neural.dropout import Dropout
from transferlm.neural.readout import NumbersReadout, Readout
from transferlm.outputs import Output

__all__ = ["IGNORED", "IMPOSSIBLE", "LinearHead", "loss_of", "readout_of"]

IGNORED = -1
"""Target of a token that teaches nothing: a special one, or padding."""
IMPOSSIBLE = -1e9
"""Score of a token that can be no end of a span: its probability is 0, and divergences stay finite."""


class _Exact(nn.Linear):
    """A linear layer that computes in fp32 whatever the precision around it: losses need the digits."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


class LinearHead(nn.Module):
    """Scores as a linear function of a text's (or token's) state, with dropout while training.

    Shapes: (..., width) -> (..., size).
    """

    def __init__(self, width: int, output: Output, dropout: float = 0.1, seed: int = 0) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.linear = _Exact(width, output.size)
        # BERT's initialisation (Devlin et al. 2019): small, so that the first scores say nothing.
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.linear.weight.normal_(0.0, 0.02, generator=generator)
            self.linear.bias.zero_()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Scores of the states, in fp32."""
        scores: torch.Tensor = self.linear(self.dropout(states))
        return scores

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights (width, size) and bias (size,) as float32 arrays."""
        weight = self.linear.weight.detach().float().cpu().numpy().T.copy()
        return weight, self.linear.bias.detach().float().cpu().numpy().copy()


def loss_of(output: Output, scores: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """The mean loss of a batch in nats (or squared units).

    Args:
        output: How the scores are read.
        scores: Shape (texts, size), or (texts, tokens, size) where there is one vector a token.
        targets: For `softmax` a class index each, int64 of shape (texts,) or (texts, tokens), `IGNORED` for a token
            that teaches nothing; for `sigmoid` 0 or 1 and for `squared` a number each, float32 of the scores' shape;
            for `span` the places of the first and the last token, int64 of shape (texts, 2), where a token that can't
            be either scores `IMPOSSIBLE`.
        weights: One weight a class, or None; the mean is then over the weights, as in `torch.nn.CrossEntropyLoss`.
    """
    match output.link:
        case "softmax" if output.per == "text":
            return functional.cross_entropy(scores, targets, weight=weights)
        case "softmax":
            labelled = targets != IGNORED
            if not labelled.any():
                return scores.sum() * 0
            return functional.cross_entropy(scores[labelled], targets[labelled], weight=weights)
        case "sigmoid":
            return functional.binary_cross_entropy_with_logits(scores, targets)
        case "squared":
            return functional.mse_loss(scores, targets)
        case "span":
            return functional.cross_entropy(scores.transpose(1, 2).flatten(0, 1), targets.flatten())


def readout_of(
    output: Output, scores: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> Readout:
    """The same batch as distributions, one a prediction: its `mean` is `loss_of`, and it can be drawn from.

    A text's class is one prediction, as a labelled token's is; each label that a text may have or not is one (of two);
    so are the first and the last token of a span, and so is a number.

    Args:
        output: How the scores are read.
        scores: As in `loss_of`.
        targets: As in `loss_of`.
        weights: As in `loss_of`.
    """
    match output.link:
        case "softmax" if output.per == "text":
            return Readout(scores, _as_they_are, targets, output.size, weights)
        case "softmax":
            labelled = targets != IGNORED
            return Readout(scores[labelled], _as_they_are, targets[labelled], output.size, weights)
        case "sigmoid":
            return Readout(scores.reshape(-1, 1), _beside_nothing, targets.flatten().long(), 2)
        case "squared":
            return NumbersReadout(scores, _as_they_are, targets, 1)
        case "span":
            ends = scores.transpose(1, 2).flatten(0, 1)
            return Readout(ends, _as_they_are, targets.flatten(), ends.shape[1])


def _as_they_are(scores: torch.Tensor) -> torch.Tensor:
    return scores


def _beside_nothing(scores: torch.Tensor) -> torch.Tensor:
    """A sigmoid's score as the two of a softmax: of having the label not, and of having it."""
    return torch.cat([torch.zeros_like(scores), scores], dim=1)
