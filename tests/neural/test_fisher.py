"""The Fisher information against its definition, worked out token by token."""

from __future__ import annotations

import torch
from torch import nn

from transferlm.neural.fisher import fisher_information
from transferlm.neural.readout import Readout

WIDTH, WORDS = 3, 4


def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(WIDTH, WORDS)


def exact(output: nn.Linear, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean over states of the expected squared gradient of log p(word), word by word."""
    weight, bias = torch.zeros(WORDS, WIDTH), torch.zeros(WORDS)
    for state in states:
        p = torch.softmax(output(state), 0).detach()
        for word in range(WORDS):
            error = nn.functional.one_hot(torch.tensor(word), WORDS) - p
            weight += p[word] * (error[:, None] * state).square()
            bias += p[word] * error.square()
    return weight / len(states), bias / len(states)


def test_it_is_the_expected_square_of_a_tokens_gradient() -> None:
    output = layer()
    states = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))
    nothing = torch.zeros(5, dtype=torch.int64)
    found, read = fisher_information(
        list(output.parameters()), [states] * 4000, lambda batch: Readout(batch, output, nothing, WORDS), 20_000
    )
    assert read == 20_000
    for estimate, wanted in zip(found, exact(output, states), strict=True):
        torch.testing.assert_close(estimate, wanted.detach(), rtol=0.06, atol=0.002)


def test_it_stops_when_enough_was_read_and_the_seed_decides_it() -> None:
    output = layer()
    states = torch.randn(5, WIDTH)
    seen = []

    def readout(batch: int) -> Readout:
        seen.append(batch)
        return Readout(states, output, torch.zeros(5, dtype=torch.int64), WORDS)

    parameters = list(output.parameters())
    first, read = fisher_information(parameters, range(100), readout, 12, seed=1)
    assert (read, seen) == (15, [0, 1, 2])
    assert torch.equal(first[0], fisher_information(parameters, range(100), readout, 12, seed=1)[0][0])
    assert not torch.equal(first[0], fisher_information(parameters, range(100), readout, 12, seed=2)[0][0])


def test_what_nothing_depends_on_has_none() -> None:
    output, unused = layer(), nn.Parameter(torch.ones(2))
    states = torch.randn(5, WIDTH)
    nothing = torch.zeros(5, dtype=torch.int64)
    found, _ = fisher_information(
        [*output.parameters(), unused], [states], lambda batch: Readout(batch, output, nothing, WORDS), 5
    )
    assert found[-1].tolist() == [0.0, 0.0]
