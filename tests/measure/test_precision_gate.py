"""A precision is taken where it is quicker and says the same; else fp32 stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from transferlm.measure.precision_gate import agreement, doubtful, quickest
from transferlm.outputs import Output, Stretch

OUTPUT = Output("text", 2, "softmax")
EXACT = np.random.default_rng(0).standard_normal((256, 2))


def spent(seconds: float) -> None:
    """Use so much processor time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def scorer(**ways: tuple[float, np.ndarray]) -> Callable[[str], np.ndarray]:
    def score(precision: str) -> np.ndarray:
        seconds, scores = ways[precision]
        spent(seconds)
        return scores.copy()

    return score


def flipped(share: float) -> np.ndarray:
    """Scores whose first rows speak for the other label."""
    scores = EXACT.copy()
    scores[: round(share * len(scores))] = scores[: round(share * len(scores)), ::-1]
    return scores


def test_the_quickest_that_agrees_is_taken() -> None:
    score = scorer(fp32=(0.02, EXACT), bf16=(0.01, EXACT + 1e-4), int8=(0.004, EXACT + 1e-3))
    chosen, trials = quickest(("int8", "bf16", "fp32"), score, OUTPUT)
    assert chosen == "int8"
    assert [trial.accepted for trial in trials] == [True, True]


@pytest.mark.parametrize("bad", [flipped(0.02), EXACT * 1.5], ids=["labels", "probabilities"])
def test_one_that_says_something_else_is_refused(bad: np.ndarray) -> None:
    score = scorer(fp32=(0.01, EXACT), bf16=(0.005, EXACT), int8=(0.001, bad))
    chosen, trials = quickest(("int8", "bf16", "fp32"), score, OUTPUT)
    assert chosen == "bf16"
    assert "int8" in str(trials[-1])
    assert "not taken" in str(trials[-1])


@pytest.mark.parametrize(("link", "size"), [("softmax", 2), ("sigmoid", 2), ("squared", 1)])
def test_one_that_gives_no_numbers_is_refused(link: Any, size: int) -> None:
    """A single one among 256 would leave 99.6% of the labels the same."""
    exact = np.tile([3.0, -3.0], (256, 1))[:, :size] + np.arange(256)[:, None] / 256
    exact *= 100 if link == "squared" else 1
    broken = exact.copy()
    broken[0] = np.nan
    chosen, (trial,) = quickest(
        ("int8", "fp32"), scorer(fp32=(0.01, exact), int8=(0.001, broken)), Output("text", size, link)
    )
    assert (chosen, trial.accepted) == ("fp32", False)
    assert trial.change >= 0.05


def test_what_rounding_could_turn_is_read_again_and_pays_for_it() -> None:
    close = EXACT.copy()
    close[:32] = [[0.001, 0.0]] * 32  # an eighth is undecided, and an eighth of that turns when it is rounded
    rough = close.copy()
    rough[:4] = [[0.0, 0.001]] * 4
    chosen, (trial,) = quickest(("int8", "fp32"), scorer(fp32=(0.05, close), int8=(0.005, rough)), OUTPUT)
    assert (chosen, trial.same, trial.again) == ("int8", 1.0, 0.125)
    assert trial.seconds > 0.005 + 0.125 * 0.05 * 0.9
    assert "12.5% read again" in str(trial)


def test_what_is_doubtful_by_kind_of_score() -> None:
    three = np.log([[0.5, 0.45, 0.05], [0.5, 0.3, 0.2]])
    assert doubtful(three, Output("text", 3, "softmax"), 0.03).tolist() == [0]
    assert doubtful(np.array([[3.0, 0.01], [3.0, -3.0]]), Output("text", 2, "sigmoid"), 0.01).tolist() == [0]
    assert not len(doubtful(np.array([[0.0]]), Output("text", 1, "squared"), 1.0))


def test_one_that_is_no_quicker_is_refused() -> None:
    chosen, _ = quickest(("bf16", "fp32"), scorer(fp32=(0.01, EXACT), bf16=(0.02, EXACT)), OUTPUT)
    assert chosen == "fp32"


def test_agreement_by_kind_of_score() -> None:
    several = Output("text", 2, "sigmoid")
    assert agreement(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 1.0]]), several)[0] == 0.5
    ratings = np.array([[1.0], [3.0]])
    assert agreement(ratings, ratings + 0.5, Output("text", 1, "squared")) == (1.0, pytest.approx(0.5))


def stretch(scores: list[list[float]], whole: list[float]) -> Stretch:
    offsets = np.zeros((len(scores), 2), dtype=np.int32)
    return Stretch(
        offsets, np.array(scores, dtype=np.float32).reshape(-1, len(whole)), np.array(whole, dtype=np.float32)
    )


def test_tags_are_compared_token_by_token() -> None:
    output = Output("token", 2, "softmax")
    exact = [[stretch([[0, 4], [4, 0]], [9, 9])], [stretch([[0, 4], [0, 4]], [9, 9]), stretch([], [9, 9])]]
    rough = [[stretch([[0, 4], [0, 4]], [0, 9])], [stretch([[0, 4], [0, 4]], [0, 9]), stretch([], [9, 9])]]
    same, change = agreement(exact, rough, output)
    assert same == 0.75, "one tag of four is another; no special token has a tag"
    assert change == pytest.approx(np.tanh(2))


def test_spans_are_compared_by_where_they_begin_and_end_or_that_there_is_none() -> None:
    output = Output("token", 2, "span")
    exact = [[stretch([[8, 0], [0, 8]], [0, 0])], [stretch([[8, 0], [0, 8]], [0, 0])]]
    rough = [[stretch([[8, 0], [8.1, 8]], [0, 0])], [stretch([[8, 0], [0, 8]], [0, 20])]]
    assert agreement(exact, exact, output) == (1.0, 0.0)
    same, change = agreement(exact, rough, output)
    assert same == 0.5, "one beginning and one end of four are others"
    assert change == pytest.approx(1.0, abs=1e-3)
