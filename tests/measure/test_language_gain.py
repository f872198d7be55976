"""Whether one language model predicts texts better than another: gains with intervals, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

import transferlm as tl
from transferlm.errors import DataError, UnsupportedError
from transferlm.measure.language import compare_bits_per_byte, score
from transferlm.measure.language_gain import TextLosses, language_gain

Run = Callable[..., Any]


def losses(bits: np.ndarray, sizes: np.ndarray, name: str = "bytes", closed: bool = False) -> TextLosses:
    vocabulary: Any = SimpleNamespace(name=name, hash=name, closed=closed)
    return TextLosses(SimpleNamespace(vocabulary=vocabulary), bits, sizes, sizes // 4)  # type: ignore[arg-type]


def test_texts_of_one_length_give_the_paired_t_interval_over_texts() -> None:
    draw = np.random.default_rng(0)
    theirs = draw.normal(200, 20, 60)
    ours = theirs - draw.normal(3, 5, 60)
    gain = language_gain(losses(ours, np.full(60, 100)), losses(theirs, np.full(60, 100), "characters"))
    expected = ttest_rel(theirs / 100, ours / 100).confidence_interval(0.95)
    assert (gain.interval.low, gain.interval.high) == pytest.approx((expected.low, expected.high))
    assert gain.unit == "bits per byte"
    assert str(gain).endswith("better")


def test_it_covers_the_true_gain_of_texts_of_unlike_length() -> None:
    draw, held = np.random.default_rng(1), 0
    for _ in range(400):
        sizes = draw.integers(20, 400, 40)
        hard = sizes * draw.normal(2, 0.3, 40)
        gain = language_gain(losses(hard, sizes), losses(hard + sizes * draw.normal(0.05, 0.1, 40), sizes))
        held += gain.interval.low <= 0.05 <= gain.interval.high
    assert 0.91 <= held / 400 <= 0.98


def test_the_gain_is_the_difference_of_the_scorers_figures(review_texts: list[str]) -> None:
    one, other = (tl.pretrain(tl.models.WittenBell(order=order), review_texts[:60]) for order in (3, 1))
    texts = review_texts[60:]
    gain = language_gain(TextLosses.of(one, texts), TextLosses.of(other, texts))  # type: ignore[arg-type]
    ours, theirs = (score(model, texts) for model in (one, other))  # type: ignore[arg-type]
    by_token = gain.unit == "bits per token"
    expected = theirs.bits_per_token - ours.bits_per_token if by_token else -compare_bits_per_byte(ours, theirs)
    assert gain.interval.mean == pytest.approx(expected)
    assert gain.interval.low > 0


def test_a_worse_model_and_no_difference_are_said() -> None:
    sizes = np.full(40, 50)
    base = np.random.default_rng(2).normal(100, 10, 40)
    assert str(language_gain(losses(base + 9, sizes), losses(base + np.arange(40) % 3, sizes))).endswith("worse")
    noise = np.where(np.arange(40) % 2, 5.0, -5.0)
    assert str(language_gain(losses(base + noise, sizes), losses(base, sizes))).endswith("no difference shown")


def test_what_cannot_be_compared_is_refused() -> None:
    sizes, bits = np.full(4, 50), np.full(4, 90.0)
    with pytest.raises(UnsupportedError, match="one of them being closed: train both with one tokenizer"):
        language_gain(losses(bits, sizes, "words", closed=True), losses(bits, sizes))
    impossible = np.array([90.0, np.inf, 90.0, 90.0])
    with pytest.raises(DataError, match="text 2 has probability 0"):
        language_gain(losses(impossible, sizes), losses(bits, sizes))
    with pytest.raises(DataError, match="two or more"):
        TextLosses.of(SimpleNamespace(), ["one"])  # type: ignore[arg-type]


def test_evaluate_sets_a_model_against_others(run: Run, review_texts: list[str], tmp_path: Path) -> None:
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text("\n".join(review_texts[:60]) + "\n")
    test.write_text("\n".join(review_texts[60:]) + "\n")
    for order in ("1", "3"):
        assert run("pretrain", "witten_bell", train, "--order", order, "-o", tmp_path / order).code == 0
    told = run("evaluate", tmp_path / "3", test, "--against", tmp_path / "1", "--json")
    assert told.code == 0, told.err
    (gain,) = json.loads(told.out)["against"].values()
    assert 0 < gain["low"] < gain["gain"] < gain["high"]
    assert gain["texts"] == 20
    assert "better" in run("evaluate", tmp_path / "3", test, "--against", tmp_path / "1").out
    assert "leave --dynamic" in run("evaluate", tmp_path / "3", test, "--against", tmp_path / "1", "--dynamic").err
    refused = run("evaluate", "tfidf", test, "--against", tmp_path / "1")
    assert refused.code == 2
    assert "--against is for language models" in refused.err
