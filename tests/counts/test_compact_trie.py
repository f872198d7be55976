"""The compact trie gives what the automaton of the same values gives, to the bit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from back_off_models import TEXTS, a_model, flat
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.counts import compact_trie
from transferlm.counts.automaton import Automaton
from transferlm.counts.back_off import BackOff
from transferlm.counts.compact_trie import CompactTrie
from transferlm.counts.quantising import coded
from transferlm.counts.recovered import recovered
from transferlm.counts.symbols import BEGIN, END, FIRST_WORD
from transferlm.counts.unpacked import unpacked
from transferlm.errors import DataError, ModelFolderError

BITS = st.sampled_from([None, 2, 3, 16])


def a_trie(model: BackOff, bits: int | None = None, vocabulary: int = 0) -> CompactTrie:
    return CompactTrie.of(model, coded(model, bits), vocabulary)


@given(TEXTS, TEXTS, st.integers(1, 5), BITS)
@settings(max_examples=80, deadline=None)
def test_it_gives_what_the_automaton_of_its_values_gives(
    known: list[list[int]], texts: list[list[int]], order: int, bits: int | None
) -> None:
    model = a_model(known, order, proper=bits is not None)
    trie = a_trie(model, bits)
    automaton = Automaton.of(model if bits is None else unpacked(trie), vocabulary=trie.vocabulary)
    assert (trie.order, trie.vocabulary, trie.bits is None) == (order, automaton.vocabulary, bits is None)
    assert (trie.bits or 0) <= (bits or 0)
    ids, starts = flat([*texts, [FIRST_WORD + 900, FIRST_WORD]])
    same = np.array_equal if bits is None else partial(np.allclose, rtol=0, atol=1e-5)
    assert same(trie.score(ids, starts), automaton.score(ids, starts))
    assert np.array_equal(trie.orders(ids, starts), automaton.orders(ids, starts))
    contexts = [ids[begin : begin + size] for begin in range(0, len(ids), 3) for size in (0, 1, 3, 7)]
    assert same(trie.next_log_probs(contexts), automaton.next_log_probs(contexts))


@given(TEXTS, TEXTS, st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_made_from_an_automaton_without_codes_it_loses_nothing(
    known: list[list[int]], texts: list[list[int]], order: int
) -> None:
    automaton = Automaton.of(a_model(known, order, seed=1), vocabulary=FIRST_WORD + 12)
    trie = a_trie(recovered(automaton), vocabulary=automaton.vocabulary)
    ids, starts = flat(texts)
    assert np.array_equal(trie.score(ids, starts), automaton.score(ids, starts))
    contexts = [ids[:size] for size in range(4)]
    assert np.array_equal(trie.next_log_probs(contexts), automaton.next_log_probs(contexts))


@given(TEXTS, st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_unpacked_it_is_the_model_that_it_was_made_of(known: list[list[int]], order: int) -> None:
    wanted = recovered(Automaton.of(a_model(known, order)))
    found = unpacked(a_trie(wanted))
    for name in ("symbols", "parents", "first", "suffixes", "log_probs", "back_offs"):
        assert all(np.array_equal(a, b) for a, b in zip(getattr(found, name), getattr(wanted, name), strict=True)), name
    assert found.unknown == wanted.unknown


@pytest.mark.parametrize("name", ["unigram_first", "symbols", "groups", "first", "log_probs", "unigrams"])
def test_a_damaged_trie_is_not_unpacked(name: str) -> None:
    rng = np.random.default_rng(1)
    arrays = {key: array.copy() for key, array in a_trie(a_model([list(range(4, 60)), [5, 5, 4]], 4)).arrays().items()}
    arrays[name][...] = rng.integers(0, 2**31, arrays[name].shape).astype(np.uint32).view(arrays[name].dtype)
    with pytest.raises(ModelFolderError, match="damaged"), np.errstate(all="ignore"):
        unpacked(CompactTrie.from_arrays(arrays))


def test_children_of_a_symbol_that_is_not_listed_are_not_unpacked() -> None:
    trie = a_trie(a_model([[4, 5, 6], [5, 5, 4]], 3))
    for symbol in (4, 5, 6):
        unigrams = trie.unigrams.copy()
        unigrams[symbol, 0] = np.nan
        with pytest.raises(ModelFolderError, match="damaged"):
            unpacked(CompactTrie.from_arrays({**trie.arrays(), "unigrams": unigrams}))


def a_large_case(proper: bool = False) -> tuple[BackOff, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    texts = [(FIRST_WORD + rng.geometric(0.05, size=n)).tolist() for n in (0, 1, 9_000, 0, 7, 2_000, *[5] * 400)]
    ids, starts = flat(texts)
    return a_model(texts[4:], 4, proper=proper), ids, starts


@pytest.mark.parametrize("bits", [None, 5])
def test_many_ngrams_blocks_and_threads(bits: int | None) -> None:
    model, ids, starts = a_large_case(proper=bits is not None)
    trie = a_trie(model, bits)
    one = trie.score(ids, starts)
    wanted = Automaton.of(model if bits is None else unpacked(trie))
    assert np.allclose(one, wanted.score(ids, starts), rtol=0, atol=0 if bits is None else 1e-5)
    assert trie.score(ids, starts, threads=2).tolist() == trie.score(ids, starts, threads=7).tolist() == one.tolist()
    assert np.array_equal(trie.orders(ids, starts, threads=3), trie.orders(ids, starts))


def test_a_text_without_a_beginning_reaches_back_over_the_border_of_a_block_but_not_before_it_begins() -> None:
    model, _, _ = a_large_case()
    rng = np.random.default_rng(5)
    for begin in range(250, 262):  # a block holds 256 positions
        ids = (FIRST_WORD + rng.geometric(0.3, size=300)).astype(np.uint32)
        ids[begin : begin + 6] = ids[:6]
        starts = np.array([0, begin, 300])
        trie, automaton = a_trie(model), Automaton.of(model)
        assert np.array_equal(trie.score(ids, starts), automaton.score(ids, starts))
        assert np.array_equal(trie.orders(ids, starts), automaton.orders(ids, starts))


def test_more_ngrams_than_places_can_tell_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = a_model([[4, 5, 6]], 3)
    monkeypatch.setattr(compact_trie, "MOST_NGRAMS", 6)
    with pytest.raises(DataError, match="7 n-grams are more than the 6 that a compact trie can hold"):
        a_trie(model)
    monkeypatch.setattr(compact_trie, "MOST_NGRAMS", 7)
    assert a_trie(model).order == 3


def test_it_takes_less_room_than_an_automaton() -> None:
    model, _, _ = a_large_case()

    def size(scorer: Automaton | CompactTrie) -> int:
        return sum(array.nbytes for array in scorer.arrays().values())

    sizes = [size(a_trie(model, bits)) for bits in (3, 5, None)] + [size(Automaton.of(model))]
    assert sizes == sorted(sizes)
    assert 3 * sizes[2] < sizes[3]
    assert sizes[2] - sizes[1] == pytest.approx(a_trie(model, 5).saved, abs=40)


def test_a_mapped_trie_scores_as_the_one_in_memory(tmp_path: Path) -> None:
    model, ids, starts = a_large_case()
    trie = a_trie(model, 6)
    for name, array in trie.arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = CompactTrie.from_arrays({n: np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in trie.arrays()})
    assert np.array_equal(mapped.score(ids, starts), trie.score(ids, starts))
    assert np.array_equal(mapped.next_log_probs([ids[5:8]]), trie.next_log_probs([ids[5:8]]))


def test_no_texts_and_wrong_starts() -> None:
    trie = a_trie(a_model([[4, 5]], 3))
    assert trie.score(np.zeros(0, np.uint32), np.zeros(1, np.int64)).shape == (0,)
    assert trie.next_log_probs([]).shape == (0, 6)
    with pytest.raises(DataError, match="do not divide 4 symbols"):
        trie.score(np.array([BEGIN, 4, 5, END], np.uint32), np.array([0, 3]))


@pytest.mark.parametrize("bits", [None, 4, 9])  # with 9 there are fewer values than codes
def test_a_damaged_folder_gives_wrong_numbers_and_no_crash(bits: int | None) -> None:
    rng = np.random.default_rng(0)
    trie = a_trie(a_model([rng.integers(4, 9, 300).tolist(), [5, 5, 4]], 4), bits)
    ids = rng.integers(0, 12, 3000).astype(np.uint32)
    ids[-5:] = np.iinfo(np.uint32).max
    for share in np.linspace(0.01, 1, 20):
        arrays = {name: array.copy() for name, array in trie.arrays().items()}
        for name, array in arrays.items():
            if name not in ("levels", "normaliser_bounds"):
                noise = rng.integers(0, 256, array.nbytes, dtype=np.uint8).view(array.dtype).reshape(array.shape)
                array[:] = np.where(rng.random(array.shape) < share, noise, array)
        damaged = CompactTrie.from_arrays(arrays)
        with np.errstate(all="ignore"):
            assert damaged.score(ids, np.array([0, 1000, 3000])).shape == (3000,)
            assert damaged.orders(ids, np.array([0, 1000, 3000])).max() <= 4
            damaged.next_log_probs([ids[:5], ids[-5:]])


def test_what_a_damaged_folder_leads_to_lies_within_its_arrays(tmp_path: Path) -> None:
    """The same once more, in kernels that look before they read."""
    own = f"{__file__}::{test_a_damaged_folder_gives_wrong_numbers_and_no_crash.__name__}"
    checked = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", own]
    done = subprocess.run(command, env=checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


WRONG: dict[str, Callable[[np.ndarray], Any]] = {
    "type": lambda array: array.astype(np.complex128),
    "length": lambda array: array.reshape(-1)[:-1],
    "number": lambda array: array.reshape(-1)[0],
    "rows": lambda array: np.concatenate([array, array]),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_arrays_that_do_not_fit_are_refused(wrong: str, order: int) -> None:
    arrays = a_trie(a_model([list(range(4, 60)), [5, 5, 4]], order), 2).arrays()
    for name, array in arrays.items():
        if wrong != "type" and (not array.size or (name == "first" and order < 3)):
            continue  # nothing can be taken from it, or any length is that of some width
        with pytest.raises(ModelFolderError, match="compact trie") as error:
            CompactTrie.from_arrays({**arrays, name: WRONG[wrong](array)})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("levels", [[1, 5, 9], [0, 9, 5], [0, -3, 4], [0, 2**62, -(2**62)]])
def test_levels_that_do_not_climb_are_refused(levels: list[int]) -> None:
    arrays = a_trie(a_model([[4, 5, 6], [5, 5, 4]], 3)).arrays()
    with pytest.raises(ModelFolderError, match="do not climb"):
        CompactTrie.from_arrays({**arrays, "levels": np.array(levels)})
    for bounds in ([1, 0], [0, 2**40], [-(2**62), 0]):
        with pytest.raises(ModelFolderError, match="normalisers are"):
            CompactTrie.from_arrays({**arrays, "normaliser_bounds": np.array(bounds)})
    with pytest.raises(ModelFolderError, match="lacks its array 'first'"):
        CompactTrie.from_arrays({name: array for name, array in arrays.items() if name != "first"})
