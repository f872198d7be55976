"""What holds for every update with every family: it works or names what would, and never touches its input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.base import Encoder, GradientTrained, Model

FAMILIES = sorted(catalog.entries("models"))
UPDATES = sorted(catalog.entries("updates"))
QUICK = {"steps": 3, "head_steps": 2, "batch_size": 4, "information_tokens": 200, "places": 3}
OLD = ["an old film", "a room of old", "old meals were warm", "a book about the sea", "the sea was old", "warm rooms"]
SENSELESS = {"steps": 0, "epochs": 0, "batch_size": 0, "learning_rate": 0.0, "clip": -1.0, "warmup": 2.0}
ModelOf = Callable[..., Any]


def settings_of(name: str) -> set[str]:
    return {field.name for field in catalog.entry("updates", name).hyper_parameters}


def quick(name: str) -> Any:
    """The update with the least work."""
    return catalog.find("updates", name)(**{k: v for k, v in QUICK.items() if k in settings_of(name)})


def able(name: str) -> list[str]:
    needed = catalog.find("updates", name).requires  # type: ignore[attr-defined]
    return [f for f in FAMILIES if all(issubclass(catalog.find("models", f), c) for c in needed)]


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_works_or_names_what_would(
    family: str, name: str, model_of: ModelOf, review_texts: list[str], tmp_path: Path
) -> None:
    model = model_of(family)
    before, story = model.fingerprint, model.lineage
    method = quick(name)
    if family not in able(name):
        with pytest.raises(UnsupportedError) as error:
            method.update(model, review_texts)
        assert all(word in str(error.value) for word in (name, family, *able(name)))
        return
    made = method.update(model, review_texts, OLD, seed=1)
    assert isinstance(made, Model)
    assert model.fingerprint == before != made.fingerprint
    assert model.lineage == story
    if isinstance(model, GradientTrained):
        assert not model.module.training
    if isinstance(made, GradientTrained):
        assert not made.module.training
        other = method.update(model, review_texts, OLD, seed=2).fingerprint
        assert (other == made.fingerprint) == method.deterministic
    if made.family == model.family != "mixture":  # a mixture may be made part of another one
        assert made.hyper_parameters() == model.hyper_parameters()
    assert method.update(model, review_texts, OLD, seed=1).fingerprint == made.fingerprint
    made.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, Model)
    assert opened.fingerprint == made.fingerprint
    assert opened.lineage == made.lineage
    if isinstance(opened, Encoder):
        assert np.array_equal(opened.encode(review_texts[:4]).features, made.encode(review_texts[:4]).features)  # type: ignore[attr-defined]
    again = method.update(opened, review_texts, OLD, seed=3)
    assert again.fingerprint == method.update(made, review_texts, OLD, seed=3).fingerprint, (
        "what was saved is all there is"
    )


@pytest.mark.parametrize("name", UPDATES)
def test_the_story_names_method_data_and_seed(name: str, model_of: ModelOf, review_texts: list[str]) -> None:
    model = model_of(able(name)[0])
    method = quick(name)
    lineage = method.update(model, tl.Corpus(review_texts), OLD, seed=5).lineage
    assert (lineage.step, lineage.seed) == ("update", 5)
    assert lineage.method == {"name": name, "hyper_parameters": method.hyper_parameters()}
    assert lineage.data[0]["hash"] == tl.Corpus(review_texts).hash
    assert len(lineage.parents) == 1
    assert lineage.scores
    assert np.isfinite(list(lineage.scores.values())).all()


@pytest.mark.parametrize("name", UPDATES)
def test_the_order_of_earlier_random_numbers_does_not_matter(
    name: str, model_of: ModelOf, review_texts: list[str]
) -> None:
    import torch

    model = model_of(able(name)[0])
    first = quick(name).update(model, review_texts, OLD).fingerprint
    torch.rand(5)
    np.random.rand(5)  # noqa: NPY002
    assert quick(name).update(model, review_texts, OLD).fingerprint == first


@pytest.mark.parametrize("name", UPDATES)
def test_text_of_nothing_is_refused(name: str, model_of: ModelOf) -> None:
    with pytest.raises(DataError, match="empty"):
        quick(name).update(model_of(able(name)[0]), ["", "  "], OLD)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        (name, setting, value)
        for name in UPDATES
        for setting, value in SENSELESS.items()
        if setting in settings_of(name)
    ],
)
def test_settings_that_make_no_sense_are_refused_before_any_work(name: str, setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=setting):
        catalog.find("updates", name)(**{setting: value})


@pytest.mark.parametrize(
    "name", [name for name in UPDATES if "steps" in settings_of(name) and "masked_transformer" in able(name)]
)
def test_short_text_bounds_the_steps(name: str, bert_folder: Path) -> None:
    settings = {**QUICK, "steps": 500, "epochs": 1, "batch_size": 2}
    method = catalog.find("updates", name)(**{k: v for k, v in settings.items() if k in settings_of(name)})
    made = method.update(tl.load(bert_folder), ["a film", "a room", "a meal", "a book"], OLD)  # type: ignore[attr-defined]
    assert made.lineage.scores["steps"] == 2
