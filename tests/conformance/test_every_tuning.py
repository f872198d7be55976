"""What holds for every strategy that moves weights by gradients, on every family that it works with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import transferlm as tl
from transferlm import catalog
from transferlm.errors import SettingError, UnsupportedError
from transferlm.strategies._training import Tuned
from transferlm.tasks.base import Examples

Maker = Callable[..., Examples]
STRATEGIES = [name for name in catalog.entries("strategies") if issubclass(catalog.find("strategies", name), Tuned)]
FAMILIES = sorted(catalog.entries("models"))
QUICK: dict[str, Any] = {"epochs": 2, "minimum_steps": 2, "precision": "fp32"}


def works(strategy: str, family: str) -> bool:
    return all(
        issubclass(catalog.find("models", family), capability)
        for capability in catalog.find("strategies", strategy).requires
    )


def bits(made: tl.TaskModel) -> str:
    return made.model.fingerprint + made.weights.tobytes().hex() + made.bias.tobytes().hex()


@pytest.mark.parametrize(("strategy", "family"), [(s, f) for s in STRATEGIES for f in FAMILIES if works(s, f)])
def test_it_learns_repeats_and_saves(
    strategy: str, family: str, model_of: Callable[..., Any], make_examples: Maker, tmp_path: Path
) -> None:
    model, examples = model_of(family), make_examples(20)
    before, method = model.fingerprint, catalog.find("strategies", strategy)(**QUICK)
    names = [name for name, _ in model.module.named_parameters()]
    made = method.transfer(model, examples, 1)
    assert model.fingerprint == before != made.model.fingerprint
    assert [name for name, _ in made.model.module.named_parameters()] == names, "nothing of the training is left"
    assert all(p.requires_grad for p in made.model.module.parameters())
    assert not made.model.module.training
    assert bits(method.transfer(model, examples, 1)) == bits(made) != bits(method.transfer(model, examples, 2))
    made.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, tl.TaskModel)
    assert (opened.scores(examples.texts)[0] == made.scores(examples.texts)[0]).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_family_that_it_does_not_work_with_is_refused_by_name(
    strategy: str, model_of: Callable[..., Any], make_examples: Maker
) -> None:
    able = [family for family in FAMILIES if works(strategy, family)]
    unable = [family for family in ("recurrent", "tfidf", "kneser_ney") if family not in able]
    assert able
    for family in unable:
        with pytest.raises(UnsupportedError, match=f"{strategy} needs a model that is .*{family} is not.*{able[0]}"):
            catalog.find("strategies", strategy)(**QUICK).transfer(model_of(family), make_examples(8))


WRONG = {
    "learning_rate": 0.0,
    "epochs": 0,
    "held_out": 1.0,
    "rate_decay": 0.5,
    "layers_an_epoch": 0,
    "frozen_memory": -1.0,
    "probe_learning_rate": 0.0,
    "probe_epochs": 0,
    "rank": 0,
    "alpha": 0.0,
    "adapter_dropout": 1.0,
    "size": 1,
    "method": "none",
    "matrices": "some",
    "strength": -1.0,
    "prior": "none",
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_settings_that_make_no_sense_are_refused_before_any_work(strategy: str) -> None:
    known = {field.name for field in catalog.entry("strategies", strategy).hyper_parameters}
    for name in known & set(WRONG):
        with pytest.raises(SettingError, match=name):
            catalog.find("strategies", strategy)(**{name: WRONG[name]})
