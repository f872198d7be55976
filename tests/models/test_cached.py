"""A model with a cache: its arithmetic, what it remembers, what it is fitted to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError

TEXTS = ["a b a c", "b a b", "c a", "a b a c d"]
ASKED = ["a b a a b", "d d d d", "", "zebra a zebra a zebra"]


def counted(**settings: Any) -> Any:
    return tl.pretrain(tl.models.KneserNey(order=2, **settings), TEXTS)


def steps(model: Any, texts: list[str], context: Any = "text") -> list[np.ndarray]:
    return [scores.log_probs for scores in model.token_scores(texts, context)]


def test_the_arithmetic_is_that_of_the_formula() -> None:
    model = counted()
    cached = tl.models.Cached.of(model, half_lives="2", concentrations="3")
    own, found = np.exp(steps(model, ["b a b"])[0]), np.exp(steps(cached, ["b a b"])[0])
    assert found[0] == pytest.approx(own[0]), "nothing was read yet"
    half = 0.5**0.5
    assert found[1] == pytest.approx(3 * own[1] / (half + 3))
    assert found[2] == pytest.approx((0.5 + 3 * own[2]) / (0.5 + half + 3))


def test_in_a_stream_earlier_texts_are_remembered_and_else_not() -> None:
    cached = tl.models.Cached.of(counted())
    twice = ["d d d", "d d d"]
    alone, stream = steps(cached, twice), steps(cached, twice, "stream")
    assert np.array_equal(alone[0], alone[1])
    assert stream[1][0] > alone[1][0]
    assert np.array_equal(stream[0], alone[0])


def test_an_unknown_word_is_remembered_by_its_spelling() -> None:
    cached = tl.models.Cached.of(counted())
    again, other = steps(cached, ["zebra zebra"])[0], steps(cached, ["zebra quagga"])[0]
    fresh = steps(counted(), ["zebra quagga"])[0]
    assert again[1] > other[1] + 5
    assert other[1] < fresh[1], "what the cache gives to zebra is taken from all else"
    closed = tl.models.Cached.of(counted(open_vocabulary=False))
    assert steps(closed, ["zebra zebra"])[0] == pytest.approx(steps(closed, ["zebra quagga"])[0])


def test_any_causal_model_can_have_one(recurrent: Any) -> None:
    cached = tl.models.Cached.of(recurrent)
    assert np.exp(cached.next_log_probs(["the room was good and the", ""])).sum(axis=1) == pytest.approx(1)
    with pytest.raises(UnsupportedError, match="causal"):
        tl.models.Cached.of(tl.models.TfIdf())
    with pytest.raises(DataError, match="nothing without a model"):
        tl.models.Cached().log_probs(["a"])


def test_fitting_finds_settings_that_others_do_not_beat() -> None:
    draw = np.random.default_rng(0)
    words = list("abcd")
    held_out = [" ".join([draw.choice(words)] * 3 + draw.choice(words, 3).tolist()) for _ in range(60)]
    cached = tl.models.Cached.of(counted(), half_lives="50,50", concentrations="500,500")
    before = -np.concatenate(steps(cached, held_out, "stream")).mean()
    nats = cached.tune(held_out, "stream")
    assert nats < before - 0.05
    assert -np.concatenate(steps(cached, held_out, "stream")).mean() == pytest.approx(nats, abs=1e-3)
    for settings in ({"half_lives": "500,500"}, {"concentrations": "9999,9999"}, {"half_lives": "1,1"}):
        other = cached.copy()
        other.adjust(**settings)
        assert -np.concatenate(steps(other, held_out, "stream")).mean() > nats - 1e-3


@pytest.mark.parametrize(
    "settings",
    [
        {"half_lives": "1,2", "concentrations": "1"},
        {"half_lives": "0", "concentrations": "1"},
        {"half_lives": "x"},
        {"half_lives": "1,1,1,1,1", "concentrations": "1,1,1,1,1"},
        {"concentrations": "1,nan,1"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"give (1 to 4 )?numbers above 0"):
        tl.models.Cached(**settings)


def test_it_is_saved_with_its_model(tmp_path: Path) -> None:
    cached = tl.with_cache(counted(), TEXTS)
    cached.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert opened.hyper_parameters() == cached.hyper_parameters()
    assert np.array_equal(opened.log_probs(ASKED), cached.log_probs(ASKED))  # type: ignore[attr-defined]
    assert (opened.lineage.step, opened.model.lineage.step) == ("cache", "pretrain")
    assert opened.lineage.data[0]["hash"] == tl.Corpus(TEXTS).hash
    again: Any = tl.with_cache(opened)
    assert again.model.family == "kneser_ney", "a cache of a cache is none"


def test_evaluate_tells_what_the_cache_gains(run: Callable[..., Any], tmp_path: Path) -> None:
    counted().save(tmp_path / "m")
    data = tmp_path / "test.txt"
    data.write_text("d c d d\nd d c d\n" * 5)
    words = ("evaluate", str(tmp_path / "m"), str(data), "--context", "stream", "--json")
    plain = json.loads(run(*words).out)
    assert "cache" not in plain
    cached = json.loads(run(*words, "--cache").out)
    assert cached["cache"] == tl.models.Cached().hyper_parameters()
    valid = tmp_path / "valid.txt"
    valid.write_text("d c d d\nd d c d\n" * 4)
    tuned = json.loads(run(*words, "--cache", "--tune", valid).out)
    assert plain["scores"]["perplexity"] > cached["scores"]["perplexity"] > tuned["scores"]["perplexity"]
    assert "half_lives" in run(*words[:-1], "--cache").out
    assert run(*words, "--tune", valid).code == 2
    same = run(*words, "--cache", "--tune", data)
    assert (same.code, "had no part in the fit" in same.err) == (2, True)
