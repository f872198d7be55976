"""Every arm is measured against its untrained twin and the TF-IDF baseline, and against nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from examples_of_cells import cells

from transferlm.errors import DataError, SettingError
from transferlm.experiments.gains import bands, gains

ARMS = {
    ("minilm", "fine_tuning", 64): 0.89,
    ("minilm", "feature_extraction", 64): 0.76,
    ("minilm-untrained", "fine_tuning", 64): 0.68,
    ("tfidf", "feature_extraction", 64): 0.77,
    ("minilm", "fine_tuning", 8): 0.6,
}


def test_each_arm_meets_its_own_twin_and_tfidf_at_its_own_label_count():
    found = gains(cells(ARMS), metrics=["accuracy"])
    assert {(*gain.arm, gain.against) for gain in found} == {
        ("minilm", "fine_tuning", 64, "minilm-untrained"),
        ("minilm", "fine_tuning", 64, "tfidf"),
        ("minilm", "feature_extraction", 64, "tfidf"),
        ("minilm-untrained", "fine_tuning", 64, "tfidf"),
    }


def test_a_gain_is_the_difference_of_mean_scores_in_both_metrics():
    made = cells(ARMS)
    for gain in gains(made):
        rival = {"tfidf": "feature_extraction"}.get(gain.against, gain.strategy)

        def mean(source, strategy, gain=gain):
            scores = [cell.scores[gain.metric] for cell in made if cell.arm == (source, strategy, gain.labels)]
            return np.mean(scores)

        expected = mean(gain.source, gain.strategy) - mean(gain.against, rival)
        assert gain.gain == pytest.approx(expected), gain
        assert gain.low < gain.gain < gain.high
        assert gain.seeds == 5


def test_a_large_gain_excludes_zero_and_equal_arms_do_not():
    found = gains(cells(ARMS), metrics=["accuracy"])
    by = {(gain.strategy, gain.against): gain for gain in found if gain.source == "minilm"}
    assert by["fine_tuning", "minilm-untrained"].low > 0.15
    assert by["feature_extraction", "tfidf"].low < 0 < by["feature_extraction", "tfidf"].high


def test_seeds_that_only_one_arm_has_are_left_out_and_counted():
    made = cells({("m", "s", 8): 0.7}, seeds=range(5)) + cells({("tfidf", "s", 8): 0.5}, seeds=range(2, 5))
    (gain,) = gains(made, metrics=["accuracy"])
    assert gain.seeds == 3
    assert "2 cells" in gain.note
    assert "weak" in gain.note


def test_cells_of_two_test_parts_are_refused():
    with pytest.raises(DataError, match="tested on other examples"):
        gains([*cells(ARMS), *cells({("tfidf", "s", 8): 0.5}, examples=400)])
    with pytest.raises(DataError, match="tested on other examples"):
        bands([replace(cell, targets="x" * cell.seed) for cell in cells(ARMS)])


def test_a_metric_without_interval_is_refused_with_those_that_have_one():
    with pytest.raises(SettingError, match="accuracy, macro_f1"):
        gains(cells(ARMS), metrics=["auc"])


def test_bands_hold_the_mean_score_of_every_arm_and_metric():
    made = cells(ARMS)
    found = bands(made)
    assert len(found) == 2 * len(ARMS)
    for band in found:
        scores = [cell.scores[band.metric] for cell in made if cell.arm == band.arm]
        assert band.interval.mean == pytest.approx(np.mean(scores))
        assert band.interval.low < band.interval.mean < band.interval.high
