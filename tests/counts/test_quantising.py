"""Codes keep what must stay exact, cost little, and leave sums of probabilities nearly as they were."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from back_off_models import a_model
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.counts.automaton import Automaton
from transferlm.counts.back_off import BackOff
from transferlm.counts.quantising import codebook, coded
from transferlm.counts.recovered import recovered
from transferlm.counts.sums import probability_sums
from transferlm.counts.symbols import BEGIN, FIRST_WORD, UNKNOWN
from transferlm.errors import ModelFolderError, SettingError

LOGS = st.lists(st.one_of(st.just(0.0), st.just(-np.inf), st.floats(-20, -0.125, width=32)), max_size=60)


@given(LOGS, st.integers(2, 6))
@settings(max_examples=80, deadline=None)
def test_special_values_are_exact_and_every_value_gets_its_nearest(logs: list[float], bits: int) -> None:
    given_values = np.array(logs, np.float32)
    values, codes = codebook(given_values, np.ones(len(logs)), bits)
    assert values.shape == (2**bits,)
    told = values[codes]
    special = np.isneginf(given_values) | (given_values == 0)
    assert np.array_equal(told[special], given_values[special])
    assert not np.any(np.isneginf(told[~special]))
    if len(np.unique(given_values)) <= 2**bits - 2:
        assert np.array_equal(told, given_values)
    own = np.unique(told[~special])
    for value, found in zip(given_values[~special], told[~special], strict=True):
        assert abs(value - found) <= np.abs(own - value).min() + 1e-4


def test_each_bit_lowers_the_error_and_weights_are_heeded() -> None:
    rng = np.random.default_rng(0)
    logs = -rng.gamma(2, 2, 5000).astype(np.float32)

    def error(bits: int, weights: np.ndarray) -> float:
        values, codes = codebook(logs, weights, bits)
        return float(np.sqrt(np.mean((values[codes] - logs) ** 2)))

    errors = [error(bits, np.ones(5000)) for bits in (3, 4, 5, 6)]
    assert all(0.4 < finer / coarser < 0.7 for coarser, finer in pairwise(errors))
    rare = np.where(logs < -8, 1.0, 1e-6)
    values, codes = codebook(logs, rare, 3)
    apart = np.abs(values[codes] - logs)
    assert apart[logs < -8].mean() < apart[logs >= -8].mean()


def a_proper_model(order: int = 3) -> BackOff:
    rng = np.random.default_rng(7)
    texts = [(FIRST_WORD + rng.geometric(0.1, 200)).tolist() for _ in range(4)]
    return a_model(texts, order, proper=True)


def test_the_sums_are_those_of_whole_distributions() -> None:
    model = coded(a_proper_model(), 3).decoded(a_proper_model())
    sums, shares = probability_sums(model)
    vocabulary = int(model.symbols[0][-1]) + 1
    contexts = [np.array([symbol]) for symbol in model.symbols[0]]
    grams = zip(model.symbols[0][model.parents[1]].tolist(), model.symbols[1].tolist(), strict=True)
    contexts += [np.array(gram) for gram in grams]
    rows = np.exp(Automaton.of(model, vocabulary=vocabulary).next_log_probs(contexts)).sum(axis=1)
    assert sums == pytest.approx(rows, abs=1e-5)
    assert shares.sum() == pytest.approx(1)
    assert probability_sums(a_proper_model())[0] == pytest.approx(1, abs=1e-5)


def test_weights_move_with_the_probabilities_so_that_sums_stay() -> None:
    model = a_proper_model()
    values = coded(model, 5)
    moved = values.decoded(model)
    unmoved = BackOff(
        *(getattr(moved, name) for name in ("symbols", "parents", "first", "suffixes", "log_probs")),
        model.back_offs,
        model.unknown,
    )
    away = [np.average(np.abs(sums - 1), weights=shares) for sums, shares in map(probability_sums, (moved, unmoved))]
    assert away[0] < 0.7 * away[1]
    assert np.array_equal(np.isneginf(moved.back_offs[0]), np.isneginf(model.back_offs[0]))
    assert np.array_equal(moved.back_offs[0] == 0, model.back_offs[0] == 0)


def test_none_keeps_every_bit_and_more_bits_come_nearer() -> None:
    model = a_proper_model()
    whole = coded(model, None).decoded(model)
    for name in ("log_probs", "back_offs"):
        assert all(np.array_equal(a, b) for a, b in zip(getattr(whole, name), getattr(model, name), strict=True))
    apart = []
    for bits in (2, 4, 8):
        told = coded(model, bits).decoded(model).log_probs[2]
        apart.append(float(np.abs(told - model.log_probs[2]).max()))
    assert apart == sorted(apart, reverse=True)


@pytest.mark.parametrize("bits", [-1, 0, 1, 17])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    with pytest.raises(SettingError, match=f"bits {bits}: give 2 to 16"):
        coded(a_proper_model(), bits)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_an_automaton_holds_is_recovered(order: int) -> None:
    model = a_model([[4, 5, 6, 4], [5, 5, UNKNOWN]], order)
    found = recovered(Automaton.of(model))
    for name in ("symbols", "parents", "first", "suffixes", "log_probs", "back_offs"):
        assert all(np.array_equal(a, b) for a, b in zip(getattr(found, name), getattr(model, name), strict=True)), name


def test_a_damaged_automaton_is_refused() -> None:
    automaton, rng = Automaton.of(a_model([[4, 5, 6, 4], [5, 5, 4]], 4)), np.random.default_rng(0)
    for name in ("states", "unigrams", "levels", "first", "symbols", "log_probs"):
        arrays = {key: array.copy() for key, array in automaton.arrays().items()}
        flat = arrays[name].reshape(-1)
        flat[: -1 if name == "levels" else None] = rng.integers(-(2**30), 2**30, len(flat) - (name == "levels"))
        if name == "states":
            flat[:] = np.float32(np.nan).view(np.uint32)
        with pytest.raises(ModelFolderError, match=r"damaged"):
            recovered(Automaton.from_arrays(arrays))
    assert BEGIN in recovered(automaton).symbols[0]
