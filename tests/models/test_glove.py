"""GloVe: co-occurrences counted, the loss of its paper and one step of it by hand, more text on top."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import transferlm as tl
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models import _glove_descent
from transferlm.models._glove_descent import rounds
from transferlm.models._glove_kernels import descend
from transferlm.models.glove import GloVe
from transferlm.vectors import cooccurrence
from transferlm.vectors._pair_runs import merged, summed, write_run
from transferlm.vectors.cooccurrence import BLOCKS, Pairs, count_pairs
from transferlm.vectors.files import write_vectors
from transferlm.vectors.table import WordTable

SETTINGS = {"width": 6, "minimum_count": 1, "x_max": 10.0}


def step(count: float, move: tuple[float, float] = (1.0, 1.0)) -> tuple[float, np.ndarray, np.ndarray]:
    """One pass over one pair (0, 1) of width 1 whose w . c + b + d is 0.25 in one order and 0 in the other."""
    weights = np.zeros((2, 2, 2), np.float32)
    weights[0, 0], weights[1, 1] = (0.5, 0.1), (0.2, 0.05)
    squares = np.ones_like(weights)
    first, second, counts = np.array([0], np.uint32), np.array([1], np.uint32), np.array([count], np.float32)
    moving = np.repeat(np.array(move, np.float32)[:, None], 2, axis=1)
    loss = descend(np.arange(1), first, second, counts, weights, squares, moving, np.float32(0.05), 100.0, 0.75)
    return loss, weights, squares


def test_the_worked_example_of_its_docstring() -> None:
    loss, weights, squares = step(10)
    f, off = 0.1**0.75, 0.25 - math.log(10)
    assert f * off**2 == pytest.approx(0.749, abs=1e-3)
    assert loss == pytest.approx(f * off**2 + f * math.log(10) ** 2, rel=1e-5), "eq. 8, both orders"
    slope = f * off
    assert weights[0, 0] == pytest.approx([0.5 - 0.05 * slope * 0.2, 0.1 - 0.05 * slope], rel=1e-5)
    assert weights[1, 1] == pytest.approx([0.2 - 0.05 * slope * 0.5, 0.05 - 0.05 * slope], rel=1e-5)
    assert squares[0, 0] == pytest.approx([1 + (0.05 * slope * 0.2) ** 2, 1 + (0.05 * slope) ** 2], rel=1e-6)


def test_frequent_pairs_weigh_no_more_than_1_and_frozen_words_stay() -> None:
    assert step(1000)[0] == pytest.approx((0.25 - math.log(1000)) ** 2 + math.log(1000) ** 2, rel=1e-5)
    _, weights, _ = step(10, move=(0.0, 1.0))
    assert weights[0, 0] == pytest.approx([0.5, 0.1], abs=0)
    assert weights[1, 1, 0] != pytest.approx(0.2, abs=1e-6)


def test_a_diverging_training_is_told() -> None:
    with pytest.raises(DataError, match=r"ran off to infinity: give a learning_rate below 1e\+38"):
        GloVe(**SETTINGS, epochs=2, learning_rate=1e38).fit(["a b c a b"] * 3)


# -------------------------------------------------------------------- several threads


def test_cells_of_a_round_share_no_word_and_rounds_hold_each_cell_once() -> None:
    seen = []
    for meet in rounds():
        blocks = [block for cell in meet for block in set(cell)]
        assert len(blocks) == len(set(blocks))
        seen += meet
    assert sorted(seen) == [(one, other) for one in range(BLOCKS) for other in range(one, BLOCKS)]


def test_pairs_of_a_cell_are_where_the_borders_say(review_texts: list[str]) -> None:
    pairs = GloVe(**SETTINGS, epochs=1).fit(review_texts)._pairs()
    borders = pairs.borders()
    cells = [(one, other) for one in range(BLOCKS) for other in range(one, BLOCKS)]
    assert (borders[0], borders[-1]) == (0, len(pairs))
    for cell, start, end in zip(cells, borders[:-1], borders[1:], strict=True):
        for one, other in zip(pairs.first[start:end] % BLOCKS, pairs.second[start:end] % BLOCKS, strict=True):
            assert (min(one, other), max(one, other)) == cell


def test_the_result_is_the_same_bits_for_any_number_of_threads(review_texts: list[str]) -> None:
    made = [GloVe(**SETTINGS, epochs=4, threads=threads).fit(review_texts, 3) for threads in (1, 2, 8, 0)]
    assert len({model.table.hash for model in made}) == 1
    assert GloVe(**SETTINGS, epochs=4, threads=1).fit(review_texts, 4).table.hash != made[0].table.hash


def test_as_many_threads_work_as_were_asked_for(review_texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    kernel = _glove_descent.descend

    def watched(*given: Any) -> float:
        seen.add(threading.current_thread().name)
        time.sleep(0.01)
        return kernel(*given)

    monkeypatch.setattr(_glove_descent, "descend", watched)
    for threads in (1, 3):
        seen.clear()
        GloVe(**SETTINGS, epochs=1, threads=threads).fit(review_texts)
        assert len(seen) == threads


# -------------------------------------------------------------------- counting


def plain(texts: list[np.ndarray], words: int, window: int) -> np.ndarray:
    """Weighted counts as the paper tells them, in a square table."""
    table = np.zeros((words, words))
    for text in texts:
        known = text[text >= 0]
        for at, word in enumerate(known):
            for other in range(max(0, at - window), at):
                table[word, known[other]] += 1 / (at - other)
                table[known[other], word] += 1 / (at - other)
    return table


def square(pairs: Pairs, words: int) -> np.ndarray:
    assert (pairs.first <= pairs.second).all()
    found = np.zeros((words, words))
    found[pairs.first, pairs.second] = found[pairs.second, pairs.first] = pairs.counts
    return found


def identical(one: Pairs, other: Pairs) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("first", "second", "counts"))


@pytest.mark.parametrize("block", [7, 50, 1 << 22])
def test_pairs_are_those_of_a_plain_count_however_many_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence, "_BLOCK", block)
    draw = np.random.default_rng(0)
    texts = [draw.integers(-1, 40, size=size) for size in (0, 1, 2, 30, 57, 200)]
    assert np.allclose(square(count_pairs(texts, 4), 40), plain(texts, 40, 4))
    assert len(count_pairs([], 4)) == 0


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> list[list[np.ndarray]]:
    """Texts in three parts, and so little memory that counting them writes many runs."""
    monkeypatch.setattr(cooccurrence, "_BYTES", cooccurrence.LEAST_MEMORY // 100)
    draw = np.random.default_rng(1)
    return [[draw.integers(-1, 60, size=150) for _ in range(8)] for _ in range(3)]


def test_counts_beyond_memory_go_to_disk_and_are_the_same_bits(
    crowded: list[list[np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for part in crowded for text in part]
    written = []
    monkeypatch.setattr(cooccurrence, "write_run", lambda path, run: written.append(len(run)) or write_run(path, run))
    on_disk = count_pairs(texts, 5, memory=cooccurrence.LEAST_MEMORY, scratch=tmp_path)
    assert len(written) > 10
    assert max(written) <= 100
    assert isinstance(on_disk.counts.base, np.memmap) or isinstance(on_disk.counts, np.memmap)
    assert identical(on_disk, count_pairs(texts, 5))
    assert np.allclose(square(on_disk, 60), plain(texts, 60, 5))
    assert not list(tmp_path.iterdir()) or sys.platform == "win32"


@pytest.mark.parametrize("memory", [cooccurrence.LEAST_MEMORY, 1 << 30])
def test_pairs_of_several_texts_add_up(memory: int, crowded: list[list[np.ndarray]]) -> None:
    before = None
    for part in crowded:
        before = count_pairs(part, 5, before, memory)
    whole = count_pairs([text for part in crowded for text in part], 5)
    assert before is not None
    assert np.array_equal(before.second, whole.second)
    assert np.allclose(before.counts, whole.counts, rtol=1e-6), "kept in single precision between the parts"


@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=6), st.integers(1, 9))
def test_runs_of_any_lengths_are_merged_whole(runs: list[list[int]], part: int) -> None:
    ones = [summed(np.array(run, np.uint64), np.ones(len(run), np.uint64)) for run in runs]
    parts = list(merged(ones, part))
    assert all(len(one) <= max(part, len(runs)) for one in parts)
    found = [(key, count) for one in parts for key, count in zip(one.keys.tolist(), one.sums.tolist(), strict=True)]
    assert found == sorted(Counter(key for run in runs for key in run).items())


def test_a_model_counted_on_disk_is_saved_opened_and_grown(
    review_texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grown(folder: Path) -> Any:
        GloVe(**SETTINGS, epochs=2).fit(review_texts[:40]).save(folder)
        opened: Any = tl.load(folder)
        opened.grow(review_texts[40:], epochs=2)
        return opened

    whole = grown(tmp_path / "m")
    monkeypatch.setattr(cooccurrence, "_BYTES", (1 << 30) // 100)
    again = grown(tmp_path / "n")
    assert isinstance(again._state["pairs.counts"].base, np.memmap)
    assert again.fingerprint == whole.fingerprint


@pytest.mark.parametrize("name", ["pairs.second", "pairs.first", "pairs.counts"])
def test_damaged_co_occurrences_are_refused_before_a_kernel_follows_them(
    name: str, review_texts: list[str], tmp_path: Path
) -> None:
    model = GloVe(**SETTINGS, epochs=1).fit(review_texts)
    damaged = np.array(model._state[name])
    damaged[3] = 0 if name == "pairs.counts" else 1 << 30
    model._state = {**model._state, name: damaged}
    model.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="the co-occurrences are damaged"):
        opened.grow(review_texts)


# -------------------------------------------------------------------- the loss


def losses(model: GloVe) -> float:
    """The paper's loss (eq. 8) of the model over its own table, computed without its kernels."""
    pairs = model._pairs()
    weights = np.asarray(model._state["weights"], np.float64)
    total = 0.0
    for i, j, x in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.counts.tolist(), strict=True):
        for word, other in {(i, j), (j, i)}:
            main, context = weights[0, word], weights[1, other]
            off = main[:-1] @ context[:-1] + main[-1] + context[-1] - math.log(x)
            total += min(1, (x / model.x_max) ** 0.75) * off**2
    return total


def test_the_loss_of_the_paper_falls_as_it_trains(review_texts: list[str]) -> None:
    found = [losses(GloVe(**SETTINGS, epochs=epochs).fit(review_texts)) for epochs in (1, 5, 25)]
    assert found[0] > 1.1 * found[1] > 4 * found[2]


def test_a_words_vector_is_the_sum_of_its_two(review_texts: list[str]) -> None:
    model = GloVe(**SETTINGS, epochs=1).fit(review_texts)
    main, context = model._state["weights"]
    assert np.array_equal(model.table.vectors, main[:, :-1] + context[:, :-1])


def test_vectors_that_are_frozen_stay_while_their_biases_and_all_other_words_learn(
    review_texts: list[str], tmp_path: Path
) -> None:
    table = WordTable.of(["film", "good"], np.random.default_rng(0).normal(size=(2, 6)))
    write_vectors(table, tmp_path / "v.vec")
    made = GloVe(**SETTINGS, epochs=3, pretrained=str(tmp_path / "v.vec"), pretrained_words="frozen").fit(review_texts)
    drawn = GloVe(**SETTINGS, epochs=3).fit(review_texts)
    rows = made.table.rows(["film", "good"])
    assert np.array_equal(made.table.vectors[rows], table.vectors)
    assert (made._state["weights"][:, rows, -1] != 0).all()
    assert not np.isclose(made._state["weights"][:, rows, -1], drawn._state["weights"][:, rows, -1]).any()
    assert losses(made) < 0.5 * losses(GloVe(**SETTINGS, epochs=3, learning_rate=1e-6).fit(review_texts))


def test_a_grown_model_holds_the_co_occurrences_of_all_the_text(review_texts: list[str], tmp_path: Path) -> None:
    model = GloVe(**SETTINGS, epochs=1).fit(review_texts[:40])
    model.save(tmp_path / "m")
    grown: Any = tl.load(tmp_path / "m")
    grown.grow(review_texts[40:], epochs=1)
    whole = GloVe(**SETTINGS, epochs=1).fit(review_texts)

    def together(found: Any) -> dict[frozenset[str], float]:
        pairs, words = found._pairs(), found.table.words
        counts = pairs.counts.tolist()
        return {frozenset((words[i], words[j])): x for i, j, x in zip(pairs.first, pairs.second, counts, strict=True)}

    assert together(grown) == pytest.approx(together(whole), rel=1e-5)


def test_text_without_neighbours_and_endless_windows_are_refused() -> None:
    with pytest.raises(DataError, match="no two known words stand near one another"):
        GloVe(**SETTINGS).fit(["one", "two"])
    wrong: dict[str, Any] = {"window": 1001, "threads": -1, "memory": 0.0, "x_max": 0.0}
    for setting, value in wrong.items():
        with pytest.raises(SettingError, match=f"{setting} {value}"):
            GloVe(**{setting: value})
    with pytest.raises(SettingError, match="memory of 100 bytes"):
        count_pairs([], 5, memory=100)
