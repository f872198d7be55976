"""Predictions averaged over a posterior: what they are, how they are fitted, and through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import SettingError, UnsupportedError
from transferlm.models.posterior_average import PosteriorAverage

OLD = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "the mat and the log"] * 6
NEW = ["the cat sat on the log", "a dog and a mat"] * 6


@pytest.fixture(scope="module")
def model() -> Any:
    """A small LSTM that keeps a posterior."""
    words = tl.tokenizers.Word().fit([*OLD, *NEW])
    settings = {"width": 12, "embedding_width": 8, "epochs": 20, "batch_size": 4, "sequence_length": 8, "held_out": 0.0}
    made: Any = lifecycle.empty("recurrent", words, **settings)
    return tl.updates.OnlineBayes(steps=10, batch_size=4, information_tokens=500).update(made.fit(OLD, 0), NEW, OLD)


def test_the_average_is_that_of_draws_with_the_posteriors_variance(model: Any) -> None:
    averaged = PosteriorAverage.of(model, draws=200, spread=0.5)
    own = dict(model.module.named_parameters())
    for name, precision in model.kept["posterior"].arrays.items():
        drawn = torch.stack([dict(m.module.named_parameters())[name].detach() for m in averaged.drawn()])
        scaled = ((drawn - own[name].detach()) * torch.from_numpy(np.sqrt(precision)) / 0.5).flatten()
        assert float(scaled.mean()) == pytest.approx(0, abs=6 / len(scaled) ** 0.5)
        assert float(scaled.std()) == pytest.approx(1, abs=6 / len(scaled) ** 0.5)


def test_every_probability_is_the_mean_of_the_draws(model: Any) -> None:
    averaged = PosteriorAverage.of(model, draws=3, spread=0.5)
    each = [list(m.token_scores(NEW[:2])) for m in averaged.drawn()]
    for place, scores in enumerate(averaged.token_scores(iter(NEW[:2]))):
        by_hand = np.mean([np.exp(own[place].log_probs) for own in each], axis=0)
        np.testing.assert_allclose(np.exp(scores.log_probs), by_hand, rtol=1e-9)
    np.testing.assert_allclose(np.exp(averaged.next_log_probs(["the cat"])).sum(), 1, rtol=1e-6)


def test_no_spread_is_the_model_itself_and_an_average_beats_its_draws(model: Any) -> None:
    plain = PosteriorAverage.of(model, spread=0.0)
    np.testing.assert_allclose(plain.next_log_probs(OLD[:2]), model.next_log_probs(OLD[:2]), atol=1e-6)
    wide = PosteriorAverage.of(model, spread=3.0)
    each = np.mean([drawn.log_probs(NEW[:2]).sum() for drawn in wide.drawn()])
    assert wide.log_probs(NEW[:2]).sum() > each + 0.1, "the logarithm is concave"


def test_tuning_never_ends_worse_than_the_model(model: Any) -> None:
    averaged = PosteriorAverage.of(model, draws=2)
    found = averaged.tune(OLD, "text")
    own = -np.concatenate([s.log_probs for s in model.token_scores(OLD)]).mean()
    assert found <= own + 1e-6
    again = -np.concatenate([s.log_probs for s in averaged.token_scores(OLD)]).mean()
    assert found == pytest.approx(again, abs=1e-9)


def test_a_model_without_a_posterior_is_told_how_to_get_one(model: Any) -> None:
    plain = model.copy()
    plain.kept = {}
    with pytest.raises(UnsupportedError, match="online_bayes"):
        PosteriorAverage.of(plain)
    with pytest.raises(SettingError, match="draws"):
        PosteriorAverage(draws=0)
    with pytest.raises(SettingError, match="spread"):
        PosteriorAverage(spread=-1.0)


def test_evaluate_averages_where_it_is_asked_to(run: Callable[..., Any], model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    text, tuning = tmp_path / "text.txt", tmp_path / "tuning.txt"
    text.write_text("\n".join(NEW[:2]) + "\n")
    tuning.write_text("\n".join(OLD[:4]) + "\n")
    outcome = run("evaluate", tmp_path / "m", text, "--posterior", "--tune", tuning, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    averaged = tl.with_posterior(model, OLD[:4], "text")
    assert found["posterior"] == averaged.hyper_parameters()
    own: Any = lifecycle.evaluate(averaged, NEW[:2])
    assert found["scores"]["nats"] == pytest.approx(own.nats)
