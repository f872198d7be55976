"""Intervals cover what they promise, and say so when they can't."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel
from sklearn.metrics import f1_score

from transferlm.errors import SettingError
from transferlm.measure.intervals import interval_of_mean, paired_gain
from transferlm.tasks._contributions import f1_without, pseudo_values


def simulated(random: np.random.Generator, seeds: int, seed_sd: float, examples: int = 200) -> np.ndarray:
    """Differences whose true mean is 0.1: a seed effect, an example effect and a residual."""
    return (
        0.1
        + random.normal(0, seed_sd, (seeds, 1))
        + random.normal(0, 0.5, (1, examples))
        + random.normal(0, 0.5, (seeds, examples))
    )


@pytest.mark.parametrize("seed_sd", [0.0, 0.04, 0.1, 0.5])
def test_a_95_percent_interval_of_five_seeds_covers_the_true_gain_95_percent_of_the_time(seed_sd):
    random = np.random.default_rng(3)
    held = 0
    for _ in range(2500):
        difference = simulated(random, 5, seed_sd)
        interval = paired_gain(difference, np.zeros_like(difference))
        held += interval.low <= 0.1 <= interval.high
    assert 0.92 <= held / 2500 <= 0.99


def test_three_seeds_cover_too_where_a_bootstrap_over_them_does_not():
    random = np.random.default_rng(4)
    held = bootstrapped = 0
    for _ in range(1500):
        difference = simulated(random, 3, 0.3)
        interval = paired_gain(difference, np.zeros_like(difference))
        held += interval.low <= 0.1 <= interval.high
        draws = difference.mean(axis=1)[random.integers(0, 3, (400, 3))].mean(axis=1)
        low, high = np.percentile(draws, [2.5, 97.5])
        bootstrapped += low <= 0.1 <= high
    assert 0.92 <= held / 1500 <= 0.99
    assert bootstrapped / 1500 < 0.8


def test_where_seeds_dominate_it_is_the_t_interval_over_seeds():
    means = np.array([0.1, 0.4, 0.2, 0.7, 0.3])
    table = means[:, None] + np.random.default_rng(0).normal(0, 1e-4, (5, 300))
    expected = ttest_1samp(table.mean(axis=1), 0).confidence_interval(0.95)
    interval = interval_of_mean(table)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-3)


def test_where_examples_dominate_it_is_the_paired_t_interval_over_examples():
    random = np.random.default_rng(1)
    ours, theirs = random.normal(size=(2, 1, 150)) + np.zeros((2, 4, 150))
    expected = ttest_rel(ours[0], theirs[0]).confidence_interval(0.95)
    interval = paired_gain(ours, theirs)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_it_is_never_narrower_than_either_one_way_interval():
    random = np.random.default_rng(2)
    for _ in range(50):
        table = simulated(random, 4, random.uniform(0, 0.2), 40)
        interval = interval_of_mean(table)
        for axis in (0, 1):
            alone = ttest_1samp(table.mean(axis=axis), 0).confidence_interval(0.95)
            assert interval.high - interval.low >= (alone.high - alone.low) * (1 - 1e-9)


def test_pairing_narrows_the_interval_of_arms_that_find_the_same_examples_hard():
    random = np.random.default_rng(5)
    hard = random.normal(0, 1, (1, 300))
    ours, theirs = (hard + shift + random.normal(0, 0.1, (5, 300)) for shift in (0.3, 0.1))
    paired = paired_gain(ours, theirs).half_width
    assert paired < interval_of_mean(ours).half_width / 3


def test_one_seed_covers_examples_only_and_says_so():
    scores = np.random.default_rng(6).integers(0, 2, (1, 100)).astype(float)
    interval = interval_of_mean(scores)
    expected = ttest_1samp(scores[0], 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert "one seed" in interval.note


@pytest.mark.parametrize(("seeds", "weak"), [(2, True), (4, True), (5, False), (8, False)])
def test_fewer_than_five_seeds_are_called_weak(seeds, weak):
    note = interval_of_mean(np.random.default_rng(7).normal(size=(seeds, 50))).note
    assert ("weak" in note) == weak


def test_no_difference_at_all_has_no_width_and_says_why():
    scores = np.ones((5, 30))
    interval = paired_gain(scores, scores)
    assert (interval.gain, interval.low, interval.high) == (0, 0, 0)
    assert "no width" in interval.note


def test_another_confidence_gives_the_interval_that_would_have_been_made_with_it():
    table = simulated(np.random.default_rng(8), 5, 0.1)
    assert interval_of_mean(table).at(0.99) == interval_of_mean(table, confidence=0.99)
    assert interval_of_mean(table).at(0.99).half_width > interval_of_mean(table).half_width


def macro_f1_values(targets, arm, classes):
    """Pseudo-values (seeds, examples) of an arm's predictions."""
    one_hot = np.eye(classes)
    tables = ((one_hot[targets], one_hot[row]) for row in arm)
    return np.stack([pseudo_values(f1_without(true * said, true, said, "macro")) for true, said in tables])


def test_the_macro_f1_gain_is_the_difference_of_the_arms_macro_f1_and_its_interval_holds_it():
    random = np.random.default_rng(10)
    targets = random.choice(3, 240, p=[0.6, 0.3, 0.1])
    ours, theirs = (
        np.where(random.uniform(size=(5, 240)) < right, targets, random.integers(0, 3, (5, 240)))
        for right in (0.8, 0.5)
    )
    values = [macro_f1_values(targets, arm, 3) for arm in (ours, theirs)]
    interval = paired_gain(*values)
    each = [np.mean([f1_score(targets, row, average="macro") for row in arm]) for arm in (ours, theirs)]
    assert interval.gain == pytest.approx(each[0] - each[1])
    assert 0 < interval.low < interval.gain < interval.high
    assert interval_of_mean(values[0]).mean == pytest.approx(each[0])


def test_for_balanced_classes_macro_f1_is_about_as_sure_as_accuracy():
    random = np.random.default_rng(11)
    targets = np.arange(400) % 4
    ours, theirs = (
        np.where(random.uniform(size=(5, 400)) < right, targets, (targets + random.integers(1, 4, (5, 400))) % 4)
        for right in (0.8, 0.7)
    )
    by_f1 = paired_gain(*(macro_f1_values(targets, arm, 4) for arm in (ours, theirs)))
    by_accuracy = paired_gain((ours == targets).astype(float), (theirs == targets).astype(float))
    assert by_f1.half_width == pytest.approx(by_accuracy.half_width, rel=0.1)


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        (np.ones((5, 10)), np.ones((4, 10)), "one shape"),
        (np.ones((5, 1)), np.ones((5, 1)), "two examples"),
        (np.ones(10), np.ones(10), "seeds, examples"),
        (np.full((2, 3), np.nan), np.ones((2, 3)), "seed 0, example 0"),
    ],
)
def test_scores_that_cannot_be_paired_are_refused_in_one_line(ours, theirs, says):
    with pytest.raises(SettingError, match=says) as raised:
        paired_gain(ours, theirs)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_that_is_no_share_is_refused(confidence):
    with pytest.raises(SettingError, match="between 0 and 1, such"):
        interval_of_mean(np.ones((5, 5)), confidence)
