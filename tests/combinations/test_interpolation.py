"""Combining models: from objects and from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import SettingError, UnsupportedError

ONE = ["the room was good", "the film was bad", "the meal was good"] * 4
OTHER = ["she sails over lakes", "he sails over seas"] * 6
HELD = ["the film was good", "the meal was bad", "she sails over seas"] * 3


def counted(texts: list[str]) -> Any:
    return tl.pretrain(tl.models.KneserNey(order=2), texts)


def test_fitted_weights_follow_the_tuning_text() -> None:
    one, other = counted(ONE), counted(OTHER)
    made: Any = tl.combine([one, other], tl.combinations.Interpolation(), HELD)
    assert made.weights[0] > made.weights[1] > 0
    assert made.log_probs(HELD).sum() > max(one.log_probs(HELD).sum(), other.log_probs(HELD).sum())
    assert made.lineage.step == "combine"
    assert [parent["step"] for parent in made.lineage.parents] == ["pretrain", "pretrain"]
    assert made.lineage.data[0]["hash"] == tl.Corpus(HELD).hash


def test_given_weights_are_taken_and_none_are_equal() -> None:
    models = [counted(ONE), counted(OTHER)]
    made: Any = tl.combine(models, tl.combinations.Interpolation(weights="3,1"), HELD)
    assert made.weights.tolist() == [0.75, 0.25]
    made = tl.combine(models, tl.combinations.Interpolation())
    assert made.weights.tolist() == [0.5, 0.5]
    with pytest.raises(SettingError, match="one number a model"):
        tl.combine(models, tl.combinations.Interpolation(weights="1,1,1"))
    with pytest.raises(SettingError, match="weights 'x'"):
        tl.combinations.Interpolation(weights="x")


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(SettingError, match="two or more"):
        tl.combine([counted(ONE)], tl.combinations.Interpolation())
    with pytest.raises(UnsupportedError, match=r"interpolation needs .* causal"):
        tl.combine([counted(ONE), tl.models.TfIdf()], tl.combinations.Interpolation())
    characters = tl.models.KneserNey(order=2, unit="character").fit(ONE)
    with pytest.raises(UnsupportedError, match="cut texts differently"):
        tl.combine([counted(ONE), characters], tl.combinations.Interpolation())


def test_from_the_command_line(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counted(ONE).save("one")
    counted(OTHER).export(Path("other.arpa"))
    Path("held.txt").write_text("\n".join(HELD) + "\n")
    told = run(
        "combine", "one", "other.arpa", "--method", "interpolation", "--tune", "held.txt", "-o", "both", "--json"
    )
    assert told.code == 0, told.err
    document = json.loads(told.out)
    assert document["family"] == "mixture"
    assert document["scores"]["weight of model 1"] + document["scores"]["weight of model 2"] == pytest.approx(1)
    assert run("evaluate", "both", "held.txt").code == 0
    assert "combine" in run("show", "both").out
    again = tl.load("both")
    assert np.isfinite(again.log_probs(HELD)).all()  # type: ignore[union-attr]
    refused = run("combine", "one", "--method", "interpolation", "-o", "out")
    assert (refused.code, "two or more" in refused.err, Path("out").exists()) == (1, True, False)


def test_with_given_weights_the_tuning_text_is_measured_on() -> None:
    made = tl.combine([counted(ONE), counted(OTHER)], tl.combinations.Interpolation(weights="3,1"), HELD)
    scored = [s.log_probs for s in made.token_scores(HELD)]  # type: ignore[attr-defined]
    assert made.lineage.scores["tuning_loss"] == pytest.approx(-np.concatenate(scored).mean())
