"""The automaton gives what the back-off recursion gives, for any model, any texts and any number of threads."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.counts.automaton import Automaton
from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, END, FIRST_WORD, NOTHING, UNKNOWN
from transferlm.errors import DataError, ModelFolderError

Gram = tuple[int, ...]
UNLISTED = -9.5
TEXTS = st.lists(st.lists(st.integers(UNKNOWN, FIRST_WORD + 4), max_size=9), min_size=1, max_size=6)


def flat(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    rows = [[BEGIN, *text, END] for text in texts]
    return np.array([symbol for row in rows for symbol in row], np.uint32), np.cumsum(
        [0, *map(len, rows)], dtype=np.int64
    )


def grams_of(texts: list[list[int]], order: int) -> list[list[Gram]]:
    """The n-grams of each order that occur, sorted."""
    rows = [[BEGIN, *text, END] for text in texts]
    return [
        sorted({tuple(row[i : i + k]) for row in rows for i in range(len(row) - k + 1)}) for k in range(1, order + 1)
    ]


def a_model(texts: list[list[int]], order: int, seed: int = 0, proper: bool = False) -> BackOff:
    """A model with random numbers; a proper one has distributions that sum to one."""
    levels, rng = grams_of(texts, order), np.random.default_rng(seed)
    log_probs: list[dict[Gram, float]] = []
    back_offs: list[dict[Gram, float]] = [dict.fromkeys(level, 0.0) for level in levels[:-1]]
    for k, level in enumerate(levels):
        log_probs.append({g: float(np.log(rng.uniform(0.01, 0.9))) for g in level})
        if not k:
            log_probs[0][(BEGIN,)] = -np.inf
        if k and not proper:
            back_offs[k - 1] |= {g[:-1]: float(rng.normal()) for g in level}
    unknown = UNLISTED
    if proper:
        total = sum(np.exp(list(log_probs[0].values()))) + (0 if (UNKNOWN,) in log_probs[0] else np.exp(unknown))
        log_probs[0] = {g: p - np.log(total) for g, p in log_probs[0].items()}
        unknown -= np.log(total)
        for k in range(1, order):
            for context in {g[:-1] for g in levels[k]}:
                children = [g for g in levels[k] if g[:-1] == context]
                kept = rng.dirichlet(np.ones(len(children) + 1))
                log_probs[k] |= dict(zip(children, np.log(kept[1:]).tolist(), strict=True))
                lower = sum(np.exp(expected(log_probs, back_offs, unknown, g[1:-1], g[-1])[0]) for g in children)
                back_offs[k - 1][context] = float(np.log(kept[0] / (1 - lower))) if lower < 1 - 1e-9 else -np.inf
                if lower >= 1 - 1e-9:
                    log_probs[k] |= {g: log_probs[k][g] - float(np.log(1 - kept[0])) for g in children}
    return back_off_of(levels, log_probs, back_offs, unknown)


def back_off_of(
    levels: list[list[Gram]], log_probs: list[dict[Gram, float]], back_offs: list[dict[Gram, float]], unknown: float
) -> BackOff:
    places = [{(): 0}, *({g: i for i, g in enumerate(level)} for level in levels)]
    parents = [np.array([places[k][g[:-1]] for g in level], np.uint32) for k, level in enumerate(levels)]
    return BackOff(
        symbols=[np.array([g[-1] for g in level], np.uint32) for level in levels],
        parents=parents,
        first=[
            np.searchsorted(p, np.arange(len(level) + 1)).astype(np.uint32)
            for level, p in zip(levels, parents[1:], strict=False)
        ],
        suffixes=[np.array([places[k][g[1:]] for g in level], np.uint32) for k, level in enumerate(levels)],
        log_probs=[np.array([p[g] for g in level], np.float32) for level, p in zip(levels, log_probs, strict=True)],
        back_offs=[np.array([b[g] for g in level], np.float32) for level, b in zip(levels, back_offs, strict=False)],
        unknown=unknown,
    )


def tables_of(model: BackOff) -> tuple[list[dict[Gram, float]], list[dict[Gram, float]]]:
    """The model's numbers by n-gram."""
    grams: list[list[Gram]] = [[()]]
    for symbols, parents in zip(model.symbols, model.parents, strict=True):
        grams.append([(*grams[-1][p], s) for p, s in zip(parents.tolist(), symbols.tolist(), strict=True)])
    log_probs = [dict(zip(g, p.tolist(), strict=True)) for g, p in zip(grams[1:], model.log_probs, strict=True)]
    return log_probs, [dict(zip(g, b.tolist(), strict=True)) for g, b in zip(grams[1:], model.back_offs, strict=False)]


def expected(
    log_probs: list[dict[Gram, float]], back_offs: list[dict[Gram, float]], unknown: float, context: Gram, symbol: int
) -> tuple[float, int]:
    """Log-probability and order of match, by the definition of backing off."""
    gram = (*context, symbol)
    if len(gram) <= len(log_probs) and gram in log_probs[len(gram) - 1]:
        return log_probs[len(gram) - 1][gram], len(gram)
    if not context:
        return unknown, 1
    weight = back_offs[len(context) - 1].get(context, 0.0) if len(context) < len(log_probs) else 0.0
    shorter, order = expected(log_probs, back_offs, unknown, context[1:], symbol)
    return weight + shorter, order


def expected_scores(model: BackOff, texts: list[list[int]]) -> tuple[list[float], list[int]]:
    log_probs, back_offs = tables_of(model)
    listed = {g[0] for g in log_probs[0]}
    found = []
    for text in texts:
        row = tuple(s if s in listed else UNKNOWN for s in [BEGIN, *text, END])
        found.append((0.0, 0))
        contexts = [row[max(0, i - model.order + 1) : i] for i in range(1, len(row))]
        found += [expected(log_probs, back_offs, model.unknown, c, s) for c, s in zip(contexts, row[1:], strict=True)]
    return [f[0] for f in found], [f[1] for f in found]


@given(TEXTS, TEXTS, st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_scores_and_orders_are_those_of_the_recursion(
    known: list[list[int]], texts: list[list[int]], order: int, seed: int
) -> None:
    model = a_model(known, order, seed)
    model.check()
    automaton = Automaton.of(model)
    ids, starts = flat([*texts, [FIRST_WORD + 900]])
    log_probs, orders = expected_scores(model, [*texts, [FIRST_WORD + 900]])
    assert automaton.score(ids, starts) == pytest.approx(log_probs, abs=1e-5)
    assert automaton.orders(ids, starts).tolist() == orders


@given(TEXTS, st.integers(1, 5), st.lists(st.integers(BEGIN, FIRST_WORD + 9), max_size=7))
@settings(max_examples=60, deadline=None)
def test_the_whole_distribution_sums_to_one_and_agrees_with_the_scores(
    known: list[list[int]], order: int, context: list[int]
) -> None:
    model = a_model(known, order, proper=True)
    automaton = Automaton.of(model, vocabulary=FIRST_WORD + 12)
    row = automaton.next_log_probs([np.array(context, np.uint32)])[0]
    assert row.shape == (FIRST_WORD + 12,)
    assert np.exp(row).sum() == pytest.approx(1, abs=1e-5)
    assert row[NOTHING] == row[BEGIN] == -np.inf
    listed = [s for s in model.symbols[0].tolist() if s != BEGIN]
    continued = [np.array([*context, s], np.uint32) for s in listed]
    scores = automaton.score(np.concatenate(continued), np.arange(len(listed) + 1) * (len(context) + 1))
    if context or END in listed:
        assert scores[len(context) :: len(context) + 1] == pytest.approx(row[listed], abs=1e-5)


def a_large_case() -> tuple[BackOff, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    texts = [(FIRST_WORD + rng.geometric(0.05, size=n)).tolist() for n in (0, 1, 30_000, 0, 7, 2_000, *[5] * 400)]
    ids, starts = flat(texts)
    return a_model(texts[4:], 4), ids, starts


def test_threads_and_cuts_through_long_texts_leave_no_trace() -> None:
    model, ids, starts = a_large_case()
    automaton = Automaton.of(model)
    one = automaton.score(ids, starts)
    for threads in (2, 3):
        assert np.array_equal(automaton.score(ids, starts, threads=threads), one)
    borders = list(pairwise(starts.tolist()))
    apart = [automaton.score(ids[a:b], np.array([0, b - a])) for a, b in borders[:40]]
    assert np.array_equal(np.concatenate(apart), one[: borders[39][1]])
    few = ids[starts[2] : starts[2] + 500].tolist()
    assert one[starts[2] : starts[2] + 499] == pytest.approx(expected_scores(model, [few[1:]])[0][:499], abs=1e-4)
    in_two = Automaton.of(model, threads=2).arrays()
    assert all(np.array_equal(array, in_two[name]) for name, array in automaton.arrays().items())


def test_a_mapped_automaton_scores_as_the_one_in_memory(tmp_path: Path) -> None:
    model, ids, starts = a_large_case()
    automaton = Automaton.of(model)
    for name, array in automaton.arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = Automaton.from_arrays(
        {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in automaton.arrays()}
    )
    assert np.array_equal(mapped.score(ids, starts), automaton.score(ids, starts))
    context = [ids[5:8]]
    assert np.array_equal(mapped.next_log_probs(context), automaton.next_log_probs(context))


def test_a_worked_example() -> None:
    """p(b | a) is listed; p(a | b) is the back-off weight of b times p(a)."""
    a, b = FIRST_WORD, FIRST_WORD + 1
    levels: list[list[Gram]] = [[(BEGIN,), (END,), (a,), (b,)], [(a, b), (b, END)]]
    log_probs = [{(BEGIN,): -np.inf, (END,): -1.5, (a,): -1.0, (b,): -2.0}, {(a, b): -0.25, (b, END): -0.5}]
    back_offs = [{(BEGIN,): -0.125, (END,): 0.0, (a,): -0.75, (b,): -0.375}]
    automaton = Automaton.of(back_off_of(levels, log_probs, back_offs, -8.0))
    ids, starts = flat([[a, b, a, b + 1, b]])
    assert automaton.score(ids, starts).tolist() == [0, -1.125, -0.25, -1.375, -8.75, -2, -0.5]
    assert automaton.orders(ids, starts).tolist() == [0, 1, 2, 1, 1, 1, 2]
    assert automaton.state(np.array([b, a])) == automaton.state(np.array([a])) != 0
    assert automaton.state(np.array([b + 1])) == automaton.state(np.array([], np.uint32)) == 0


def test_no_texts_and_wrong_starts() -> None:
    automaton = Automaton.of(a_model([[4, 5]], 3))
    assert automaton.score(np.zeros(0, np.uint32), np.zeros(1, np.int64)).shape == (0,)
    assert automaton.next_log_probs([]).shape == (0, 6)
    for starts in ([0, 3], [1, 4], [0, 3, 2, 4], []):
        with pytest.raises(DataError, match="do not divide 4 symbols"):
            automaton.score(np.array([BEGIN, 4, 5, END], np.uint32), np.array(starts, np.int64))


def test_a_damaged_folder_gives_wrong_numbers_and_no_crash() -> None:
    automaton, rng = Automaton.of(a_model([[4, 5, 6, 4], [5, 5, 4]], 4)), np.random.default_rng(0)
    ids = rng.integers(0, 12, 3000).astype(np.uint32)
    ids[-5:] = np.iinfo(np.uint32).max
    for _ in range(20):
        arrays = {name: array.copy() for name, array in automaton.arrays().items()}
        for name, array in arrays.items():
            if name != "levels":
                noise = rng.integers(0, 256, array.nbytes, dtype=np.uint8).view(array.dtype).reshape(array.shape)
                array[:] = np.where(rng.random(array.shape) < 0.5, noise, array)
        damaged = Automaton.from_arrays(arrays)
        with np.errstate(all="ignore"):
            assert damaged.score(ids, np.array([0, 1000, 3000])).shape == (3000,)
            assert damaged.orders(ids, np.array([0, 1000, 3000])).shape == (3000,)
            damaged.next_log_probs([ids[:5], ids[-5:]])


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = Automaton.of(a_model([[4, 5]], 3)).arrays()
    with pytest.raises(ModelFolderError, match="lacks its array 'first'"):
        Automaton.from_arrays({name: array for name, array in arrays.items() if name != "first"})
    for name, array in arrays.items():
        for wrong in (array.astype(np.float64), array.reshape(-1)[:-1]):
            with pytest.raises(ModelFolderError, match=r"of the automaton is|levels end"):
                Automaton.from_arrays({**arrays, name: wrong})


@pytest.mark.parametrize("name", ["symbols", "parents", "first", "suffixes", "log_probs", "back_offs"])
def test_a_model_whose_arrays_disagree_is_refused(name: str) -> None:
    model = a_model([[4, 5, 6], [5, 4]], 3)
    model.check()
    for level in range(len(getattr(model, name))):
        arrays = [array.copy() for array in getattr(model, name)]
        if name in {"parents", "suffixes"} and not level:
            continue
        arrays[level][-1] = 77 if arrays[level].dtype != np.float32 else np.nan
        with pytest.raises(ModelFolderError, match="no back-off model"):
            replace(model, **{name: arrays}).check()
        with pytest.raises(ModelFolderError, match=r"not (u?int|float)(32|64) \("):
            replace(model, **{name: [*arrays[:level], arrays[level][:-1], *arrays[level + 1 :]]}).check()
    with pytest.raises(ModelFolderError, match="different orders"):
        replace(model, **{name: list(getattr(model, name))[:-1]}).check()
