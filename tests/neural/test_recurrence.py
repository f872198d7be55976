"""The stack of recurrent layers against torch's own, with and without dropouts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from transferlm.neural.dropout import LockedDropout, dropped
from transferlm.neural.recurrence import Dropouts, Recurrence, State

LAYERS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
NOTHING = Dropouts()


def made(cell: Any, widths: list[int], dropouts: Dropouts = NOTHING) -> Recurrence:
    torch.manual_seed(1)
    return Recurrence(cell, widths, dropouts)


def inputs(width: int = 6) -> torch.Tensor:
    return torch.randn(3, 7, width, generator=torch.Generator().manual_seed(2))


def flat(state: Any) -> list[torch.Tensor]:
    """torch's own state in the order of ours."""
    parts = state if isinstance(state, tuple) else (state,)
    return [part[layer : layer + 1] for layer in range(len(parts[0])) for part in parts]


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("layers", [1, 3])
def test_it_draws_and_computes_what_torch_does(cell: str, layers: int) -> None:
    ours = made(cell, [6, *[9] * layers])
    torch.manual_seed(1)
    theirs = LAYERS[cell](6, 9, layers, batch_first=True)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    states, state = ours(inputs())
    wanted, last = theirs(inputs())
    assert torch.equal(states, wanted)
    again, _ = ours(inputs(), state)
    assert torch.equal(again, theirs(inputs(), last)[0])
    assert all(torch.equal(a, b) for a, b in zip(state, flat(last), strict=True))


@pytest.mark.parametrize("cell", LAYERS)
def test_layer_by_layer_it_is_still_torchs(cell: str) -> None:
    """Locked dropout and weight drop take the layers one at a time; a share that hits nothing changes nothing."""
    ours = made(cell, [6, 9, 9], Dropouts(between=1e-9, recurrent=1e-9, locked=True)).train()
    theirs = LAYERS[cell](6, 9, 2, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    states, state = ours(inputs())
    wanted, last = theirs(inputs())
    assert torch.allclose(states, wanted, atol=1e-6)
    for mine, its in zip(state, flat(last), strict=True):
        assert torch.allclose(mine, its, atol=1e-6)


def test_a_dropped_weight_is_gone_for_the_whole_sequence_and_only_while_training() -> None:
    ours = made("lstm", [6, 9], Dropouts(recurrent=0.5)).train()
    torch.manual_seed(5)
    left = dropped(ours.weight_hh_l0, 0.5).detach()
    assert 0.3 < float((left == 0).float().mean()) < 0.7
    theirs = nn.LSTM(6, 9, batch_first=True)
    theirs.load_state_dict({**ours.state_dict(), "weight_hh_l0": left})
    torch.manual_seed(5)
    assert torch.allclose(ours(inputs())[0], theirs(inputs())[0], atol=1e-6)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.eval()(inputs())[0], theirs(inputs())[0])


def test_dropped_weights_get_no_gradient_and_the_others_do() -> None:
    ours = made("gru", [6, 9], Dropouts(recurrent=0.5)).train()
    torch.manual_seed(5)
    left = dropped(torch.ones_like(ours.weight_hh_l0), 0.5)
    torch.manual_seed(5)
    ours(inputs())[0].sum().backward()
    assert torch.equal(ours.weight_hh_l0.grad == 0, left == 0)


def test_layers_may_differ_in_width() -> None:
    ours = made("lstm", [6, 9, 4])
    below, above = nn.LSTM(6, 9, batch_first=True), nn.LSTM(9, 4, batch_first=True)
    for layer, part in enumerate((below, above)):
        named = {n.replace(f"_l{layer}", "_l0"): w for n, w in ours.state_dict().items() if n.endswith(f"_l{layer}")}
        part.load_state_dict(named)
    states, state = ours(inputs())
    assert torch.allclose(states, above(below(inputs())[0])[0], atol=1e-6)
    assert [tensor.shape[-1] for tensor in state] == [9, 9, 4, 4]
    whole, _ = ours(torch.cat([inputs(), inputs()], dim=1))
    assert torch.allclose(ours(inputs(), state)[0], whole[:, 7:], atol=1e-6)


def test_locked_dropout_takes_the_same_units_from_every_token() -> None:
    torch.manual_seed(0)
    states = LockedDropout(0.4)(torch.ones(50, 20, 30))
    assert torch.equal(states, states[:, :1].expand_as(states))
    assert float((states == 0).float().mean()) == pytest.approx(0.4, abs=0.05)
    assert float(states.max()) == pytest.approx(1 / 0.6)
    assert not torch.equal(states[0], states[1]), "texts have masks of their own"


def test_dropout_between_layers_is_locked_where_asked() -> None:
    def after(dropouts: Dropouts) -> torch.Tensor:
        torch.manual_seed(3)
        states: torch.Tensor = made("rnn", [6, 9, 9], dropouts).train()(inputs())[0]
        return states

    variants = [after(Dropouts()), after(Dropouts(between=0.5)), after(Dropouts(between=0.5, locked=True))]
    assert not any(torch.allclose(variants[a], variants[b]) for a, b in ((0, 1), (1, 2), (0, 2)))


def test_the_state_is_a_plain_tuple() -> None:
    state: State = made("gru", [6, 9, 9])(inputs())[1]
    assert [tuple(tensor.shape) for tensor in state] == [(1, 3, 9), (1, 3, 9)]
