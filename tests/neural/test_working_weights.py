"""Lent bfloat16 weights change nothing but the time that training takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transferlm.neural import loop
from transferlm.neural.heads import LinearHead
from transferlm.neural.loop import Settings, fit
from transferlm.neural.working_weights import WorkingWeights
from transferlm.outputs import Output

torch.manual_seed(0)
POINTS = torch.randn(64, 6)
SIDES = (POINTS[:, 0] + POINTS[:, 1] > 0).long()


class Net(nn.Module):
    """A layer used twice, one never used, one whose weight has a second use, a norm, and a head in fp32."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(6, 6)
        self.twice, self.never, self.tied = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6, bias=False)
        self.tied.weight = self.table.weight
        self.norm = nn.LayerNorm(6)
        self.head = LinearHead(6, Output("text", 2, "softmax"), dropout=0.2)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        states = self.twice(self.twice(points).relu())
        found: torch.Tensor = self.head(self.norm(self.tied(states) + self.table.weight[0]))
        return found


def trained(net: Net, **changes: object) -> loop.History:
    settings = Settings(**{"epochs": 4, "learning_rate": 0.05, "precision": "bf16", **changes})  # type: ignore[arg-type]

    def loss(rows: range) -> torch.Tensor:
        return nn.functional.cross_entropy(net(POINTS[list(rows)]), SIDES[list(rows)])

    def evaluate() -> float:
        assert net.twice.weight.dtype == torch.float32
        return float(nn.functional.cross_entropy(net(POINTS), SIDES))

    torch.manual_seed(3)
    quarters = [range(16 * i, 16 * (i + 1)) for i in range(4)]
    return fit(net, lambda _: quarters, loss, settings, evaluate=evaluate)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_the_result_is_that_of_autocast_to_the_bit(
    accumulate: int, clip: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent, cast = Net(), Net()
    lending = trained(lent, accumulate=accumulate, clip=clip)
    monkeypatch.setattr(loop, "in_bfloat16", lambda device, precision: False)
    casting = trained(cast, accumulate=accumulate, clip=clip)
    assert lending.losses == casting.losses
    assert lending.evaluations == casting.evaluations
    for (name, one), other in zip(lent.named_parameters(), cast.parameters(), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other), name
    assert not torch.equal(lent.twice.weight, Net().twice.weight)
    assert torch.equal(lent.never.weight, Net().never.weight)


def test_only_plain_linear_layers_with_one_use_are_lent_to() -> None:
    net = Net()
    parameters = list(net.parameters())
    working = WorkingWeights(net, parameters, lend=True)
    with working.lent():
        low = {name for name, p in net.named_parameters() if p.dtype == torch.bfloat16}
        assert low == {"twice.weight", "twice.bias", "never.weight", "never.bias"}
        with working.withdrawn():
            assert all(p.dtype == torch.float32 for p in parameters)
    assert all(p.dtype == torch.float32 for p in parameters)
    assert all(working.master(p) is p for name, p in net.named_parameters() if name not in low)


def test_without_lending_nothing_changes() -> None:
    net = Net()
    working = WorkingWeights(net, list(net.parameters()), lend=False)
    with working.lent():
        assert all(p.dtype == torch.float32 for p in net.parameters())
    assert all(working.master(p) is p for p in net.parameters())


def test_an_interrupted_run_leaves_fp32_weights_and_no_hooks() -> None:
    net = Net()
    working = WorkingWeights(net, list(net.parameters()), lend=True)

    def interrupted() -> None:
        with working.lent():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(p.dtype == torch.float32 for p in net.parameters())
    net(POINTS).sum().backward()
    assert net.twice.weight.grad is not None


def test_gpt2s_turned_layers_are_lent_to_as_linear_ones() -> None:
    from transformers.pytorch_utils import Conv1D

    lent, cast = (nn.Sequential(Conv1D(5, 6), nn.Tanh(), Conv1D(2, 5)) for _ in range(2))
    cast.load_state_dict(lent.state_dict())
    working = WorkingWeights(lent, list(lent.parameters()), lend=True)
    with working.lent(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(p.dtype == torch.bfloat16 for p in lent.parameters())
        lent(POINTS).sum().backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast(POINTS).sum().backward()
    for one, other in zip(lent.parameters(), cast.parameters(), strict=True):
        assert torch.equal(working.master(one).grad, other.grad)
