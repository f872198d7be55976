"""Texts scored one by one, and the gap between two models with its interval; drift alarms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

import transferlm as tl
from transferlm.errors import SettingError, UnsupportedError
from transferlm.measure.drift import Drift
from transferlm.measure.intervals import interval_of_mean
from transferlm.measure.language import score
from transferlm.measure.text_scores import BLOCKS, TextScores, gap, gap_pseudo_values, score_texts
from transferlm.models.recurrent import Recurrent


def scores(costs: list[float] | np.ndarray, sizes: list[int] | np.ndarray | None = None) -> TextScores:
    given = np.asarray(costs, dtype=float)
    return TextScores(
        given, np.ones(len(given), dtype=np.int64) if sizes is None else np.asarray(sizes), "bits per byte"
    )


def test_they_add_up_to_the_score_of_all_texts(review_texts: list[str], recurrent: Recurrent) -> None:
    ngram = tl.models.KneserNey(order=3).fit(review_texts[:40])
    found = score_texts(ngram, review_texts[40:])
    assert found.unit == "bits per byte"
    assert found.mean == pytest.approx(score(ngram, review_texts[40:]).bits_per_byte)
    closed = score_texts(recurrent, review_texts)
    assert closed.unit == "nats a token"
    assert closed.mean == pytest.approx(math.log(score(recurrent, review_texts).perplexity))
    assert closed.vocabulary == recurrent.vocabulary.hash


def test_probability_zero_is_refused_with_its_place(review_texts: list[str]) -> None:
    model = tl.models.MaximumLikelihood(order=3).fit(review_texts)
    with pytest.raises(UnsupportedError, match=r"2003-02, text 2: its probability is 0.*kneser_ney"):
        score_texts(model, [review_texts[0], "room the was"], "2003-02")


def test_the_gap_of_single_texts_is_the_paired_t_interval() -> None:
    """With texts of one size and a block a text, the jackknife is the ordinary interval of the mean difference."""
    draw = np.random.default_rng(0)
    theirs, ours = draw.normal(3, 1, BLOCKS), draw.normal(2, 1, BLOCKS)
    found, apart = gap([scores(theirs)], [scores(ours)]), theirs - ours
    half = student.ppf(0.975, BLOCKS - 1) * apart.std(ddof=1) / math.sqrt(BLOCKS)
    assert found.mean == pytest.approx(apart.mean())
    assert (found.low, found.high) == pytest.approx((apart.mean() - half, apart.mean() + half))


def test_the_gap_is_one_ratio_over_all_texts_and_neighbours_stand_together() -> None:
    draw = np.random.default_rng(1)
    sizes = draw.integers(1, 50, 200)
    theirs, ours = sizes * draw.normal(3, 1, 200), sizes * draw.normal(2.8, 1, 200)
    values = gap_pseudo_values([scores(theirs, sizes)], [scores(ours, sizes)])
    blocks = [slice(start, start + 10) for start in range(0, 200, 10)]
    apart, whole = theirs - ours, (theirs - ours).sum() / sizes.sum()
    without = np.array([(apart.sum() - apart[b].sum()) / (sizes.sum() - sizes[b].sum()) for b in blocks])
    np.testing.assert_allclose(values, whole + 19 * (without.mean() - without))
    assert values.mean() == pytest.approx(whole)
    assert interval_of_mean(values[None, :]) == gap([scores(theirs, sizes)], [scores(ours, sizes)])


def test_texts_that_move_together_in_blocks_widen_the_interval() -> None:
    draw = np.random.default_rng(2)
    alike = np.repeat(draw.normal(0, 1, 20), 50)
    mixed = draw.permutation(alike)
    nothing = scores(np.zeros(1000))
    assert gap([scores(alike)], [nothing]).half_width > 2 * gap([scores(mixed)], [nothing]).half_width


def test_scores_of_other_texts_are_not_paired() -> None:
    with pytest.raises(UnsupportedError, match="score the same texts"):
        gap([scores([1, 2], [3, 4])], [scores([1, 2], [3, 5])])


# ------------------------------------------------------------------ drift


def test_an_alarm_where_texts_become_harder_and_none_where_they_do_not() -> None:
    draw = np.random.default_rng(0)
    drift = Drift()
    assert drift.watch("first", draw.normal(2.0, 0.3, 2000)) == []
    alarms = drift.watch("second", draw.normal(2.5, 0.3, 500))
    assert alarms
    assert alarms[0].period == "second"
    assert alarms[0].text < 200
    assert alarms[0].before == pytest.approx(2.0, abs=0.05)
    assert alarms[0].after > 2.1
    assert drift.watch("third", draw.normal(1.5, 0.3, 2000)) == [], "that texts became easier is no alarm"


@pytest.mark.parametrize("delta", [0, 1, -1])
def test_a_chance_that_is_none(delta: float) -> None:
    with pytest.raises(SettingError, match="delta"):
        Drift(delta)
