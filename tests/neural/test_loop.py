"""The training loop, on a problem small enough to check by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from transferlm.errors import SettingError, TransferLMError
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.loop import Group, Settings, fit

torch.manual_seed(0)
POINTS = torch.randn(64, 4)
SIDES = (POINTS[:, 0] + POINTS[:, 1] > 0).long()


def line() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(4, 2)


def judged(module: nn.Module) -> Callable[[Sequence[int]], torch.Tensor]:
    return lambda rows: nn.functional.cross_entropy(module(POINTS[list(rows)]), SIDES[list(rows)])


def halves(_: int) -> list[range]:
    return [range(32), range(32, 64)]


def settings(**changes: object) -> Settings:
    return Settings(**{"epochs": 3, "learning_rate": 0.1, "precision": "fp32", **changes})  # type: ignore[arg-type]


def test_it_learns_a_separable_problem() -> None:
    module = line()
    history = fit(module, halves, judged(module), settings(epochs=60))
    assert history.losses[-1] < 0.2 < 0.5 < history.losses[0]
    assert (module(POINTS).argmax(dim=1) == SIDES).double().mean() >= 0.95
    assert history.steps == 120
    assert not module.training
    assert history.seconds > 0


def test_the_best_weights_are_kept() -> None:
    module = line()
    values = iter([3.0, 1.0, 2.0])
    seen = []

    def evaluate() -> float:
        seen.append(module.weight.detach().clone())
        return next(values)

    history = fit(module, halves, judged(module), settings(), evaluate=evaluate)
    assert history.best == 1
    assert history.evaluations == [3.0, 1.0, 2.0]
    assert torch.equal(module.weight, seen[1])
    assert not torch.equal(module.weight, seen[2])


def test_without_evaluation_the_last_weights_are_kept() -> None:
    short, long = line(), line()
    fit(short, halves, judged(short), settings(schedule="constant", warmup=0))
    fit(long, halves, judged(long), settings(schedule="constant", warmup=0, epochs=4))
    assert not torch.equal(short.weight, long.weight)


def test_evaluation_runs_without_dropout_and_gradients() -> None:
    module = nn.Sequential(nn.Dropout(0.5), line())
    modes = []

    def evaluate() -> float:
        modes.append((module.training, torch.is_grad_enabled()))
        return 0.0

    fit(module, halves, judged(module), settings(epochs=2), evaluate=evaluate)
    assert modes == [(False, False)] * 2


def test_patience_stops() -> None:
    module = line()
    values = iter([3.0, 1.0, 1.5, 1.2, 0.1])
    history = fit(module, halves, judged(module), settings(epochs=5, patience=2), evaluate=lambda: next(values))
    assert history.evaluations == [3.0, 1.0, 1.5, 1.2]
    assert history.best == 1


def test_accumulated_half_batches_equal_one_large_batch() -> None:
    whole, parts = line(), line()
    fit(whole, lambda _: [range(64)], judged(whole), settings(epochs=10))
    history = fit(parts, halves, judged(parts), settings(epochs=10, accumulate=2))
    assert torch.allclose(whole.weight, parts.weight, atol=1e-5)
    assert history.steps == 10


def test_batches_of_a_step_weigh_what_their_tokens_do() -> None:
    whole, parts = line(), line()
    fit(whole, lambda _: [range(64)], judged(whole), settings(epochs=10))
    uneven = [range(48), range(48, 64)]
    history = fit(parts, lambda _: uneven, judged(parts), settings(epochs=10, accumulate=2), tokens=len)
    assert torch.allclose(whole.weight, parts.weight, atol=1e-5)
    assert history.losses[0] == pytest.approx(judged(line())(range(64)).item(), rel=1e-6)


def test_a_left_over_batch_still_makes_a_step() -> None:
    module = line()
    history = fit(
        module,
        lambda _: [range(20), range(20, 40), range(40, 64)],
        judged(module),
        settings(epochs=1, accumulate=2),
    )
    assert history.steps == 2


def test_a_broken_loss_is_one_clear_error() -> None:
    module = line()
    with pytest.raises(TransferLMError, match=r"the loss is nan after step 2: lower the learning rate \(it is 0\.1\)"):
        fit(module, halves, lambda rows: module(POINTS).sum() * math.nan, settings())


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_held_out_loss_is_one_clear_error(broken: float) -> None:
    module, values = line(), iter([broken, 1.0, 1.0])
    with pytest.raises(TransferLMError, match=r"the held-out loss is (nan|inf) after step 2"):
        fit(module, halves, judged(module), settings(), evaluate=lambda: next(values))


def test_the_log_tells_loss_rate_and_speed(tmp_path: Path) -> None:
    module, values = line(), iter([0.5, 0.25])
    history = fit(
        module,
        lambda _: [range(32), range(32, 64)] * 30,
        judged(module),
        settings(epochs=2, warmup=0, schedule="constant", learning_rate=0.01),
        evaluate=lambda: next(values),
        checkpoint=Checkpoint(tmp_path, "key"),
        tokens=len,
    )
    lines = [json.loads(told) for told in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [told["step"] for told in lines] == [50, 60, 100, 120]
    assert [told["epoch"] for told in lines] == [0.8333, 1, 1.6667, 2]
    assert [told.get("held_out") for told in lines] == [None, 0.5, None, 0.25]
    assert {told["learning_rate"] for told in lines} == {0.01}
    assert all(told["tokens_a_second"] > 0 for told in lines)
    # The history's figure is of all steps since the evaluation before, the log's of those since its line before.
    assert history.losses[0] == pytest.approx((50 * lines[0]["loss"] + 10 * lines[1]["loss"]) / 60)


def test_groups_move_at_their_own_pace() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    before = [layer.weight.detach().clone() for layer in module]
    groups = [Group(list(module[0].parameters()), 0.1), Group(list(module[1].parameters()), 1.0)]
    fit(
        module,
        lambda _: [range(64)],
        judged(module),
        settings(epochs=1, weight_decay=0.0, clip=None, warmup=0, schedule="constant"),
        groups=groups,
    )
    # AdamW's first step is the learning rate itself, in the direction of the gradient.
    moved = [float((layer.weight.detach() - old).abs().max()) for layer, old in zip(module, before, strict=True)]
    assert moved == pytest.approx([0.01, 0.1], rel=1e-3)


def test_parameters_outside_the_groups_stay() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    before = module[0].weight.detach().clone()
    fit(module, halves, judged(module), settings(), groups=[Group(list(module[1].parameters()))])
    assert torch.equal(module[0].weight, before)


def test_frozen_parameters_stay() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    module[0].requires_grad_(False)
    before = module[0].weight.detach().clone()
    fit(module, halves, judged(module), settings())
    assert torch.equal(module[0].weight, before)


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.line = nn.Linear(4, 2)

    def forward(self) -> torch.Tensor:
        return self.line(self.norm(self.table(torch.arange(5))))


def test_weight_decay_shrinks_matrices_and_nothing_else() -> None:
    module = Everything()
    with torch.no_grad():
        module.line.bias.fill_(1.0)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    fit(
        module,
        lambda _: [0],
        lambda _: (module() * 0).sum(),
        settings(epochs=1, weight_decay=0.5, warmup=0, schedule="constant"),
    )
    for name, parameter in module.named_parameters():
        shrunk = before[name] * (1 - 0.1 * 0.5)
        assert torch.allclose(parameter, shrunk if name == "line.weight" else before[name], atol=1e-7), name


def test_gradients_are_clipped() -> None:
    module = line()
    norms = []

    def spy(optimizer: torch.optim.Optimizer, *_: object) -> None:
        gradients = [p.grad.norm() for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        norms.append(float(torch.stack(gradients).norm()))

    handle = register_optimizer_step_pre_hook(spy)
    try:
        fit(module, halves, lambda rows: 100 * judged(module)(rows), settings(epochs=1, clip=0.5))
    finally:
        handle.remove()
    # Where torch's own AdamW was made before, its step within ours calls the hook once more.
    assert len(norms) >= 2
    assert norms == pytest.approx([0.5] * len(norms), rel=1e-3)


def test_a_penalty_pulls() -> None:
    free, held = line(), line()
    start = held.weight.detach().clone()
    fit(free, halves, judged(free), settings(epochs=20))
    fit(
        held,
        halves,
        judged(held),
        settings(epochs=20),
        penalty=lambda: 100 * ((held.weight - start) ** 2).sum(),
    )
    assert (held.weight - start).norm() < 0.3 * (free.weight - start).norm()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("accumulate", 0),
        ("learning_rate", 0.0),
        ("weight_decay", float("nan")),
        ("learning_rate", math.inf),
        ("learning_rate", math.nan),
        ("weight_decay", -1.0),
        ("weight_decay", math.nan),
        ("warmup", 2.0),
        ("schedule", "square"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=name):
        settings(**{name: value})


def test_the_same_start_gives_the_same_weights() -> None:
    weights = []
    for _ in range(2):
        module = line()
        fit(module, halves, judged(module), settings(epochs=5))
        weights.append(module.weight.detach().clone())
    assert torch.equal(*weights)
