"""GloVe: co-occurrences counted, the loss of its paper and one step of it by hand, more text on top."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, SettingError
from transferlm.models._glove_kernels import descend
from transferlm.models.glove import GloVe
from transferlm.vectors import cooccurrence
from transferlm.vectors.cooccurrence import Pairs, count_pairs

SETTINGS = {"width": 6, "minimum_count": 1, "x_max": 10.0}


def step(count: float, move: tuple[float, float] = (1.0, 1.0)) -> tuple[float, np.ndarray, np.ndarray]:
    """One pass over one pair (0, 1) of width 1 whose w . c + b + d is 0.25 in one order and 0 in the other."""
    weights = np.zeros((2, 2, 2), np.float32)
    weights[0, 0], weights[1, 1] = (0.5, 0.1), (0.2, 0.05)
    squares = np.ones_like(weights)
    first, second, counts = np.array([0], np.uint32), np.array([1], np.uint32), np.array([count], np.float32)
    moving = np.array(move, np.float32)
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


@pytest.mark.parametrize("block", [7, 50, 1 << 22])
def test_pairs_are_those_of_a_plain_count_however_many_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence, "_BLOCK", block)
    draw = np.random.default_rng(0)
    texts = [draw.integers(-1, 9, size=size) for size in (0, 1, 2, 30, 57)]
    table = np.zeros((9, 9))
    for text in texts:
        known = text[text >= 0]
        for at, word in enumerate(known):
            for other in range(max(0, at - 4), at):
                table[word, known[other]] += 1 / (at - other)
                table[known[other], word] += 1 / (at - other)
    pairs = count_pairs(texts, 4)
    first, second = pairs.rows
    assert (first <= second).all()
    assert (np.diff(pairs.keys.astype(np.int64)) > 0).all()
    found = np.zeros((9, 9))
    found[first, second] = found[second, first] = pairs.counts
    assert np.allclose(found, table)
    assert len(count_pairs([], 4)) == 0


def test_pairs_of_two_texts_add_up() -> None:
    one, two = [np.array([0, 1, 2])], [np.array([2, 1])]
    merged = count_pairs(one, 2).merge(count_pairs(two, 2))
    both = count_pairs(one + two, 2)
    assert np.array_equal(merged.keys, both.keys)
    assert np.allclose(merged.counts, both.counts)
    assert len(Pairs.empty().merge(both)) == len(both)


def losses(model: GloVe) -> float:
    """The paper's loss (eq. 8) of the model over its own table, computed without its kernels."""
    first, second, counts = model._pairs  # type: ignore[misc]
    weights = np.asarray(model._weights, np.float64)
    total = 0.0
    for i, j, x in zip(first.tolist(), second.tolist(), counts.tolist(), strict=True):
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
    assert model._weights is not None
    assert np.array_equal(model.table.vectors, model._weights[0, :, :-1] + model._weights[1, :, :-1])


def test_a_grown_model_holds_the_co_occurrences_of_all_the_text(review_texts: list[str], tmp_path: Path) -> None:
    model = GloVe(**SETTINGS, epochs=1).fit(review_texts[:40])
    model.save(tmp_path / "m")
    grown: Any = tl.load(tmp_path / "m")
    grown.grow(review_texts[40:], epochs=1)
    whole = GloVe(**SETTINGS, epochs=1).fit(review_texts)

    def together(found: Any) -> dict[frozenset[str], float]:
        first, second, counts = found._pairs
        words = found.table.words
        return {frozenset((words[i], words[j])): x for i, j, x in zip(first, second, counts.tolist(), strict=True)}

    assert together(grown) == pytest.approx(together(whole), rel=1e-5)


def test_text_without_neighbours_and_endless_windows_are_refused() -> None:
    with pytest.raises(DataError, match="no two known words stand near one another"):
        GloVe(**SETTINGS).fit(["one", "two"])
    with pytest.raises(SettingError, match="window 1001"):
        GloVe(window=1001)
