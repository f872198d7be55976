"""Rotations between spaces: the error that theory tells, hubs put right, and a dictionary found without one."""

from __future__ import annotations

import numpy as np
import pytest

from transferlm.vectors.mapping import by_distribution, induced, normalised, orthogonal, translated


def rotation(width: int, seed: int) -> np.ndarray:
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0], np.float32)


def test_a_noisy_rotation_is_found_with_the_error_that_theory_tells() -> None:
    """n pairs of width d, noise of deviation s: the squared error is d (d - 1) s^2 / 2n in the mean."""
    width, pairs, noise = 8, 400, 0.3
    true, errors = rotation(width, 1), []
    for seed in range(150):
        generator = np.random.default_rng(seed)
        one = generator.normal(size=(pairs, width))
        found = orthogonal(one, one @ true + noise * generator.normal(size=(pairs, width)))
        assert found.T @ found == pytest.approx(np.eye(width), abs=1e-5)
        errors.append(((found - true) ** 2).sum())
    assert np.mean(errors) == pytest.approx(width * (width - 1) * noise**2 / (2 * pairs), rel=0.08)


def at(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_csls_by_hand() -> None:
    """Words at 0 and 60 degrees, translations at 25 (a hub, nearest to both) and 100.

    cos 35 = 0.819 beats cos 40 = 0.766 for the word at 60; with one neighbour each, the hub's r is cos 25 = 0.906 and
    the other's cos 40, so that 2 * 0.819 - 0.906 = 0.732 < 2 * 0.766 - 0.766 = 0.766.
    """
    asked = np.arange(2)
    assert translated(at(0, 60), at(25, 100), asked, neighbours=0).tolist() == [0, 0]
    assert translated(at(0, 60), at(25, 100), asked, neighbours=1).tolist() == [0, 1]


def test_vectors_are_of_unit_length_about_nothing() -> None:
    made = normalised(np.random.default_rng(0).normal(size=(50, 6)) * 9 + 4)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-5)
    assert abs(made.mean(axis=0)).max() < 0.05
    assert np.isfinite(normalised(np.zeros((3, 2)))).all()


def space(words: int, width: int, seed: int) -> np.ndarray:
    """Clusters of unlike sizes, as words have: rotations of it can be told apart."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(12, width)) * generator.uniform(0.5, 2, size=(12, 1))
    made = centres[generator.integers(0, 12, size=words)] + 0.6 * generator.normal(size=(words, width))
    return normalised(made * generator.uniform(0.3, 1.5, size=width))


def test_the_distributions_of_likeness_alone_give_the_dictionary() -> None:
    one = space(300, 10, 2)
    other = one @ rotation(10, 3)
    shuffled = np.random.default_rng(4).permutation(300)
    pairs = by_distribution(one, other[shuffled])
    assert np.mean(shuffled[pairs[:, 1]] == pairs[:, 0]) > 0.95


def test_self_learning_grows_a_small_dictionary() -> None:
    one = space(160, 10, 5)
    noisy = one @ rotation(10, 6) + 0.05 * np.random.default_rng(7).normal(size=one.shape)
    other = normalised(noisy)
    few = np.stack([np.arange(8)] * 2, axis=1)
    everyone = np.arange(160)

    def share_right(turn: np.ndarray) -> float:
        return float(np.mean(translated(one @ turn, other, everyone) == everyone))

    found = induced(one, other, few, 5, None, 0)
    assert share_right(found.rotation) > 0.9 > share_right(orthogonal(one[:8], other[:8]))
    assert found.rounds > 1
    assert len(found.pairs) == 320
    again = induced(one, other, few, 5, 3, 0)
    assert np.array_equal(again.rotation, induced(one, other, few, 5, 3, 0).rotation)
    assert again.rounds == 3
