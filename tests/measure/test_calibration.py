"""Expected calibration error tells confident nonsense from honest doubt."""

from __future__ import annotations

import numpy as np
import pytest

from transferlm.errors import SettingError
from transferlm.measure.calibration import expected_calibration_error


def test_probabilities_that_come_true_as_often_as_they_say_are_calibrated():
    random = np.random.default_rng(0)
    positive = random.uniform(size=60_000)
    targets = (random.uniform(size=60_000) < positive).astype(int)
    assert expected_calibration_error(np.stack([1 - positive, positive], axis=1), targets) < 0.01


def test_certainty_that_is_right_half_the_time_is_off_by_a_half():
    certain = np.tile([0.0, 1.0], (10, 1))
    assert expected_calibration_error(certain, np.arange(10) % 2) == pytest.approx(0.5)
    assert expected_calibration_error(certain, np.ones(10, dtype=int)) == 0


def test_gaps_of_opposite_sign_in_two_bins_do_not_cancel():
    sure_and_wrong, unsure_and_right = [0.9, 0.1], [0.5, 0.5]
    table = np.array([sure_and_wrong] * 2 + [unsure_and_right] * 2)
    assert expected_calibration_error(table, np.array([1, 1, 0, 0])) == pytest.approx((2 * 0.9 + 2 * 0.5) / 4)


@pytest.mark.parametrize(
    ("probabilities", "targets", "bins"),
    [
        (np.ones((2, 2)), np.zeros(2, dtype=int), 15),
        (np.array([[0.5, 0.5]]), np.zeros(2, dtype=int), 15),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), 15),
        (np.array([[0.5, 0.5]]), np.zeros(1, dtype=int), 0),
    ],
)
def test_what_is_no_distribution_is_refused(probabilities, targets, bins):
    with pytest.raises(SettingError):
        expected_calibration_error(probabilities, targets, bins)
