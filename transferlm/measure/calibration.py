"""How far predicted probabilities can be taken at their word."""

from __future__ import annotations

import numpy as np

from transferlm.errors import SettingError

__all__ = ["expected_calibration_error"]


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy, over bins of equal width in confidence.

    The sum over bins of (share of examples in the bin) * |accuracy - mean confidence| (Guo et al. 2017, On
    Calibration of Modern Neural Networks, eq. 3). Confidence is the probability of the predicted class. The
    estimate is biased upwards where examples are few: below some hundreds, read differences of a few
    hundredths as nothing.

    Args:
        probabilities: (examples, classes), each row summing to 1.
        targets: True class indices (examples,).
        bins: 15, as in that paper.

    Returns:
        Between 0 (calibrated) and 1.

    Raises:
        SettingError: No examples, shapes that don't fit, rows that are no distribution, fewer than one bin.

    >>> half_right = np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> expected_calibration_error(half_right, np.array([0, 1]))
    0.25
    """
    table, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    if bins < 1:
        raise SettingError(f"bins is {bins}; it is 1 or more")
    if table.ndim != 2 or truth.shape != table.shape[:1] or not len(truth):
        raise SettingError(f"probabilities {table.shape} don't fit targets {truth.shape}: one row an example")
    if not np.allclose(table.sum(axis=1), 1, atol=1e-3) or (table < 0).any():
        raise SettingError("each row of probabilities must be non-negative and sum to 1")
    confidence = table.max(axis=1)
    right = table.argmax(axis=1) == truth
    # Bins are open below and closed above, as in the paper, so that a confidence of 1.0 has a bin.
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))
