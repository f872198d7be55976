"""Codes keep what must stay exact, cost little, and leave sums of probabilities as they were."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from back_off_models import a_model
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.counts.automaton import Automaton
from transferlm.counts.back_off import BackOff
from transferlm.counts.compact_trie import CompactTrie
from transferlm.counts.quantising import codebook, coded
from transferlm.counts.recovered import recovered
from transferlm.counts.sums import STEP
from transferlm.counts.symbols import BEGIN, END, FIRST_WORD, UNKNOWN
from transferlm.errors import ModelFolderError, SettingError

LOGS = st.lists(st.one_of(st.just(0.0), st.just(-np.inf), st.floats(-20, -0.125, width=32)), max_size=60)


@given(LOGS, st.integers(2, 6))
@settings(max_examples=80, deadline=None)
def test_special_values_are_exact_and_every_value_gets_its_nearest(logs: list[float], bits: int) -> None:
    given_values = np.array(logs, np.float32)
    values, codes = codebook(given_values, np.ones(len(logs)), bits)
    assert len(values) <= 2**bits
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


def sums_after(model: BackOff, bits: int | None) -> np.ndarray:
    """The sum of all probabilities after every n-gram that is a context, and after none."""
    trie = CompactTrie.of(model, coded(model, bits))
    grams = [[symbol] for symbol in model.symbols[0].tolist()]
    contexts = [[], *grams]
    for parents, symbols in zip(model.parents[1:-1], model.symbols[1:-1], strict=True):
        grams = [[*grams[parent], symbol] for parent, symbol in zip(parents.tolist(), symbols.tolist(), strict=True)]
        contexts += grams
    rows: np.ndarray = np.exp(trie.next_log_probs([np.array(context) for context in contexts])).sum(axis=1)
    return rows


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("bits", [2, 3, 8])
def test_sums_are_one_after_every_context_whatever_the_codes(order: int, bits: int) -> None:
    sums = sums_after(a_proper_model(order), bits)
    assert sums == pytest.approx(1, abs=1.5 * STEP)
    assert sums[-300:].std() > 0 or order == 1, "codes have moved them, or this test shows nothing"


def test_sums_that_are_not_one_stay_what_they_are() -> None:
    model = recovered(Automaton.of(a_model([[4, 5, 6, 4], [5, 5, 7, 8, 4, 6]], 3)))
    before = sums_after(model, None)
    assert np.abs(before - 1).max() > 0.1
    assert sums_after(model, 2) == pytest.approx(before, rel=1.5 * STEP)


def test_where_every_word_is_listed_or_nothing_is_left_to_back_off_sums_are_one_too() -> None:
    listed = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.05, 0.85, 0.1]])
    symbols = np.sort(np.array([BEGIN, END, UNKNOWN, FIRST_WORD], np.uint32))
    unigrams = np.full(len(symbols), -np.inf, np.float32)
    words = symbols[symbols != BEGIN]
    at = np.searchsorted(symbols, words)
    unigrams[at] = np.log([0.5, 0.3, 0.2])
    parents = np.repeat(at, 3).astype(np.uint32)
    for weight in (-np.inf, 0.5):
        full = BackOff(
            symbols=[symbols, np.tile(words, 3)],
            parents=[np.zeros(len(symbols), np.uint32), parents],
            first=[np.searchsorted(parents, np.arange(len(symbols) + 1)).astype(np.uint32)],
            suffixes=[np.zeros(len(symbols), np.uint32), np.tile(at, 3).astype(np.uint32)],
            log_probs=[unigrams, np.log(listed).reshape(-1).astype(np.float32)],
            back_offs=[np.where(np.isin(symbols, words), weight, 0).astype(np.float32)],
            unknown=float(np.log(0.3)),
        )
        full.check()
        rows = CompactTrie.of(full, coded(full, 2)).next_log_probs([words[:1], words[1:2], words[2:]])
        assert np.exp(rows).sum(axis=1) == pytest.approx(1, abs=1.5 * STEP)
        assert np.all(rows <= 0)
        assert np.abs(np.exp(rows[:, words]) - listed).max() > 0.01, "two bits are too few for nine values"


def test_more_bits_come_nearer_and_none_keeps_every_bit() -> None:
    model = a_proper_model()
    contexts = [np.array([symbol]) for symbol in model.symbols[0]]
    wanted = Automaton.of(model).next_log_probs(contexts)
    real, apart = np.isfinite(wanted), []
    for bits in (2, 4, 8, None):
        rows = CompactTrie.of(model, coded(model, bits)).next_log_probs(contexts)
        apart.append(float(np.sum(np.exp(wanted[real]) * (wanted[real] - rows[real])) / len(contexts)))
    assert apart == sorted(apart, reverse=True)
    assert apart[2] < 0.001
    assert apart[3] == 0


def test_tables_hold_no_more_than_what_is_used() -> None:
    model = a_proper_model()
    values = coded(model, 16)
    most = [max(len(np.unique(level)) for level in lists[1:]) for lists in (model.log_probs, model.back_offs)]
    assert values.log_prob_values.shape == (2, most[0])
    assert values.back_off_values.shape == (1, most[1])


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
