"""The Fisher information of a language model's weights: how much its predictions would change with each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import nn

from transferlm.neural.readout import Readout
from transferlm.progress import Progress

__all__ = ["fisher_information"]

B = TypeVar("B")


def fisher_information(
    parameters: Sequence[nn.Parameter],
    batches: Iterable[B],
    readout: Callable[[B], Readout],
    tokens: int,
    seed: int = 0,
) -> tuple[list[torch.Tensor], int]:
    """The diagonal of the Fisher information, a token's on average.

    It is the expected square of the gradient of log p(token) for tokens drawn from the model itself (Kunstner, Hennig &
    Balles 2019: with the tokens of the text, the "empirical" one, it is another matrix). Given the text before them,
    drawn tokens are independent and their gradients have mean 0, so the square of a batch's summed gradient has the sum
    of the tokens' squares for its expectation: one backward pass a batch is enough, without a gradient a token.

    Args:
        parameters: The weights, in evaluation mode.
        batches: Read until `tokens` tokens were; they may be endless.
        readout: What a batch predicts.
        tokens: How many predictions suffice.
        seed: Decides the draws.

    Returns:
        One fp32 tensor a parameter, of its shape, zeros where nothing depends on it; and the number of tokens read.
    """
    device = parameters[0].device
    generator = torch.Generator(device).manual_seed(seed)
    squares = [torch.zeros_like(p, dtype=torch.float32) for p in parameters]
    read = 0
    with Progress("measuring the Fisher information", tokens, "tokens") as progress:
        for batch in batches:
            found = readout(batch)
            if not len(found.targets):
                continue
            nats = found.nats(found.drawn(generator))
            gradients = torch.autograd.grad(nats, parameters, allow_unused=True)
            for total, gradient in zip(squares, gradients, strict=True):
                if gradient is not None:
                    total.addcmul_(gradient.float(), gradient.float())
            read += len(found.targets)
            progress.advance(len(found.targets))
            if read >= tokens:
                break
    return [total / max(1, read) for total in squares], read
