"""What low-rank updates move, what they keep, and how it is taken off again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import SettingError, UnsupportedError
from transferlm.neural.adapters import Adapters

OLD = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "the mat and the log"] * 6
NEW = ["one two three four", "two three four five", "three four five six", "four five six seven"] * 6
FAMILIES = {
    "recurrent": {"width": 24, "embedding_width": 16, "layers": 2, "sequence_length": 8},
    "causal_transformer": {"layers": 2, "heads": 2, "width": 16, "max_length": 32},
    "masked_transformer": {"layers": 2, "heads": 2, "width": 16, "max_length": 32},
}
FAST = {"steps": 40, "epochs": 100, "batch_size": 4, "learning_rate": 0.02}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> Any:
    """A small model that has read the old text."""
    words = tl.tokenizers.Word().fit([*OLD, *NEW])
    settings = {"epochs": 2, "batch_size": 4, "held_out": 0.0, **FAMILIES[request.param]}
    made: Any = lifecycle.empty(request.param, words, **settings)
    return made.fit(OLD, 0)


def loss(model: Any, texts: list[str]) -> float:
    with torch.no_grad():
        found: float = model.objective(tl.Corpus(texts)).mean_loss()
    return found


def matrices(model: Any) -> list[torch.nn.Parameter]:
    return [p for group in model.layer_groups()[1:] for p in group if p.ndim == 2]


def test_merged_adapters_compute_what_attached_ones_did(model: Any) -> None:
    twin = model.copy()
    names = [name for name, _ in twin.module.named_parameters()]
    adapters = Adapters(twin.module, matrices(twin), rank=3, alpha=6.0)
    assert loss(twin, NEW) == pytest.approx(loss(model, NEW), abs=1e-6), "attached, they change nothing"
    with torch.no_grad():
        for number, parameter in enumerate(adapters.parameters):
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(number))
    attached = loss(twin, NEW)
    assert abs(attached - loss(model, NEW)) > 1e-3
    factors = adapters.merge()
    twin.module.eval()
    assert loss(twin, NEW) == pytest.approx(attached, abs=1e-5)
    assert [name for name, _ in twin.module.named_parameters()] == names
    was = dict(model.module.named_parameters())
    for name, parameter in twin.module.named_parameters():
        assert parameter.requires_grad
        if name in factors:
            torch.testing.assert_close(parameter - was[name], factors[name][0] @ factors[name][1], atol=1e-5, rtol=1e-4)
        else:
            torch.testing.assert_close(parameter, was[name], atol=0, rtol=0)


def test_only_matrices_of_layers_move_and_by_no_more_than_the_rank(model: Any) -> None:
    made = tl.updates.LowRank(rank=2, **FAST).update(model, NEW)
    assert loss(made, NEW) < loss(model, NEW) - 0.1
    moving = {id(p) for p in matrices(model)}
    whole = (m.objective(tl.Corpus(NEW)).module.parameters() for m in (made, model))  # a masked model's head with it
    for own, was in zip(*whole, strict=True):
        difference = (own - was).detach()
        if id(was) not in moving:
            assert not difference.any()
        else:
            assert difference.any()
            values = torch.linalg.svdvals(difference)
            assert values[2:].max() < 1e-5 * max(1.0, float(values[0]))


def test_what_was_added_is_kept_and_taken_off(model: Any, tmp_path: Path) -> None:
    method = tl.updates.LowRank(rank=2, keep=True, **FAST)
    once = method.update(model, NEW)
    twice = method.update(once, OLD, seed=1)
    assert twice.kept["adapter"].nbytes == 2 * once.kept["adapter"].nbytes
    twice.save(tmp_path / "m")
    back = lifecycle.without_adapters(tl.load(tmp_path / "m"))
    for own, was in zip(back.module.parameters(), model.module.parameters(), strict=True):  # type: ignore[attr-defined]
        torch.testing.assert_close(own, was, atol=1e-6, rtol=0)
    assert "adapter" not in back.kept
    assert back.lineage.step == "without adapters"


def test_what_can_not_be_taken_off_is_refused(model: Any) -> None:
    with pytest.raises(UnsupportedError, match="keep true"):
        lifecycle.without_adapters(model)
    kept = tl.updates.LowRank(rank=2, keep=True, **FAST).update(model, NEW)
    moved = tl.updates.ContinuedPretraining(**FAST).update(kept, NEW)
    with pytest.raises(UnsupportedError, match="moved since"):
        lifecycle.without_adapters(moved)


@pytest.mark.parametrize("setting", [{"rank": 0}, {"alpha": 0.0}, {"alpha": float("inf")}])
def test_senseless_settings_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(setting))):
        tl.updates.LowRank(**setting)


def test_evaluate_takes_adapters_off_where_it_is_asked_to(run: Callable[..., Any], tmp_path: Path) -> None:
    words = tl.tokenizers.Word().fit([*OLD, *NEW])
    model: Any = lifecycle.empty("recurrent", words, epochs=1, batch_size=4, held_out=0.0, **FAMILIES["recurrent"])
    model.fit(OLD, 0)
    tl.updates.LowRank(keep=True, **FAST).update(model, NEW).save(tmp_path / "m")
    text = tmp_path / "text.txt"
    text.write_text("\n".join(NEW[:4]) + "\n")
    nats = []
    for flags in ([], ["--without-adapters"]):
        outcome = run("evaluate", tmp_path / "m", text, *flags, "--json")
        assert outcome.code == 0, outcome.err
        nats.append(json.loads(outcome.out)["scores"]["nats"])
    before: Any = lifecycle.evaluate(model, NEW[:4])
    assert nats[0] < nats[1] == pytest.approx(before.nats, rel=1e-4)
