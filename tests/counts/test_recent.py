"""Fading counts, against sums over all that was read."""

from __future__ import annotations

import numpy as np
import pytest

from transferlm.counts.recent import Recent, faded
from transferlm.errors import SettingError

LIVES = [5.0, 9.0, 20.0, 40.0]


def by_hand(ids: list[int], place: int, floor: int, order: int, half_life: float) -> tuple[float, float]:
    """Sums over all earlier occurrences, each worth a half to the power of its age in half-lives."""
    count = total = 0.0
    if place - order < floor:
        return count, total
    for earlier in range(floor + order, place):
        if ids[earlier - order : earlier] == ids[place - order : place]:
            left = 0.5 ** ((place - earlier) / half_life) if place - earlier <= 30 * half_life else 0.0
            total += left
            count += left * (ids[earlier] == ids[place])
    return count, total


def random_texts(seed: int, lengths: list[int], symbols: int = 4) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0, *lengths])
    return np.random.default_rng(seed).integers(2, 2 + symbols, starts[-1]).astype(np.uint32), starts


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_left_is_the_sum_over_earlier_occurrences(stream: bool) -> None:
    ids, starts = random_texts(0, [30, 0, 1, 45, 60])
    counts, totals = Recent(LIVES).read(ids, starts, stream)
    for text, begin in enumerate(starts[:-1]):
        for place in range(begin, starts[text + 1]):
            floor = 0 if stream else begin
            for order, half_life in enumerate(LIVES):
                wanted = by_hand(ids.tolist(), place, floor, order, half_life)
                assert (counts[place, order], totals[place, order]) == pytest.approx(wanted, abs=1e-9), (place, order)


@pytest.mark.parametrize("stream", [False, True])
def test_reading_in_parts_is_reading_at_once(stream: bool) -> None:
    ids, starts = random_texts(1, [20] * 30, symbols=50)
    whole = Recent(LIVES).read(ids, starts, stream)
    recent = Recent(LIVES)
    parts = [recent.read(ids[a : a + 100], starts[:6], stream) for a in range(0, 600, 100)]
    for place in (0, 1):
        assert np.concatenate([part[place] for part in parts]) == pytest.approx(whole[place])


def test_memory_is_bounded_by_what_is_not_forgotten() -> None:
    recent, draw = Recent([4.0]), np.random.default_rng(0)
    for _ in range(50):
        recent.read(draw.integers(0, 1 << 31, 4000).astype(np.uint32), np.array([0, 4000]), stream=True)
    assert len(recent._grams[0].last) <= 1 << 14, "120 positions are remembered, and 4,000 are read at a time"


def test_what_is_thirty_half_lives_old_is_forgotten() -> None:
    ids = np.concatenate([[7], np.arange(100, 160), [7]]).astype(np.uint32)
    counts, _ = Recent([2.0]).read(ids, np.array([0, len(ids)]))
    assert counts[-1, 0] == 0
    counts, _ = Recent([2.1]).read(ids, np.array([0, len(ids)]))
    assert counts[-1, 0] > 0


def test_the_end_of_a_text_is_told_as_a_next_position_would_be() -> None:
    ids, _ = random_texts(2, [80])
    for length in (0, 1, 2, 5, 80):
        found = faded(ids[:length], LIVES)
        for word in range(2, 6):
            told = Recent(LIVES).read(np.append(ids[:length], np.uint32(word)), np.array([0, length + 1]))
            for order, (places, left) in enumerate(found):
                assert left[ids[places] == word].sum() == pytest.approx(told[0][-1, order])
                assert left.sum() == pytest.approx(told[1][-1, order])


@pytest.mark.parametrize("lives", [[], [1.0] * 5, [0.0], [-1.0], [float("nan")], [float("inf")]])
def test_half_lives_that_make_no_sense_are_refused(lives: list[float]) -> None:
    with pytest.raises(SettingError, match="half-li"):
        Recent(lives)
