"""Strided windows: each token once, with the context that the stride leaves it."""

from __future__ import annotations

import pytest

from transferlm.errors import SettingError
from transferlm.models._causal import strided_windows


@pytest.mark.parametrize("length", [0, 1, 5, 16, 17, 100])
@pytest.mark.parametrize(("window", "stride"), [(16, 16), (16, 5), (16, 1), (1, 1), (16, None)])
def test_each_token_is_scored_once_with_full_context(length: int, window: int, stride: int | None) -> None:
    found = list(strided_windows(length, window, stride))
    assert [place for w in found for place in range(w.scored, w.stop)] == list(range(length))
    step = stride or max(1, window // 2)
    for w in found:
        assert w.stop - w.start <= window
        assert w.start == 0 or w.scored - w.start >= window - step


@pytest.mark.parametrize("done", [1, 7, 15, 16, 40])
def test_what_was_scored_before_is_context_only(done: int) -> None:
    found = list(strided_windows(50, 16, 8, done))
    assert [place for w in found for place in range(w.scored, w.stop)] == list(range(done, 50))
    assert all(w.stop - w.start <= 16 and (w.start == 0 or w.scored - w.start >= 8) for w in found)
    assert found[0].stop - found[0].start == 16, "a window is full where there is text for it"


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (4, 5), (4, 0)])
def test_what_would_leave_tokens_out_is_refused(window: int, stride: int) -> None:
    with pytest.raises(SettingError, match="does not fit a window"):
        list(strided_windows(10, window, stride))
