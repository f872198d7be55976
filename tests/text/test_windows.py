"""Windows hold every text once, in order, and never more than they may."""

from __future__ import annotations

import itertools

import pytest

from transferlm.text.windows import windows


def test_every_text_stands_once_in_order() -> None:
    texts = [str(n) * (n % 7) for n in range(100)]
    assert list(itertools.chain.from_iterable(windows(texts, count=9, characters=20))) == texts


def test_a_window_ends_by_number_or_by_characters() -> None:
    assert [len(w) for w in windows(["a"] * 10, count=4)] == [4, 4, 2]
    assert [len(w) for w in windows(["aaa"] * 5, characters=6)] == [2, 2, 1]
    assert [len(w) for w in windows(["a" * 100, "a", "a"], characters=6)] == [1, 2]


def test_nothing_is_read_ahead_of_the_window_at_hand() -> None:
    source = iter(["a", "b", "c", "d"])
    assert next(windows(source, count=2)) == ["a", "b"]
    assert next(source) == "c"


def test_a_bare_text_is_refused() -> None:
    with pytest.raises(TypeError, match=r"give \[text\]"):
        list(windows("text"))


def test_nothing_gives_nothing() -> None:
    assert list(windows([])) == []
