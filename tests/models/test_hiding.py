"""What is hidden, how much of it, and what of a corpus is read together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.models._hiding import Hideable, hide
from transferlm.models._masked_text import PackedText, TextRows, parted
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers import BytePair, Character

SPECIAL = 5
VOCABULARY = Hideable(4, np.array([False] * SPECIAL + [True] * 995))


def many(lengths: list[int], rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of words of these lengths between marks: ids, hidden ids, starts, and whether a place was chosen."""
    draw = np.random.default_rng(seed)
    starts = np.concatenate([np.arange(length) == 0 for length in [1, *lengths, 1]])
    found = []
    for _ in range(rows):
        ids = np.concatenate([[2], draw.integers(SPECIAL, 1000, sum(lengths)), [3]])
        hidden, places = hide(ids, starts, VOCABULARY, draw)
        chosen = np.zeros(len(ids), bool)
        chosen[places] = True
        found.append((ids, hidden, chosen))
    ids, hidden, chosen = map(np.stack, zip(*found, strict=True))
    return ids, hidden, starts, chosen


@pytest.mark.parametrize("lengths", [[1] * 203, [1, 2, 3, 4, 8] * 9])
def test_fifteen_per_cent_are_hidden_as_the_paper_says(lengths: list[int]) -> None:
    ids, hidden, _, chosen = many(lengths, 2000)
    assert chosen[:, 1:-1].mean() == pytest.approx(0.15, abs=0.002)
    was, now = ids[chosen], hidden[chosen]
    assert (now == 4).mean() == pytest.approx(0.8, abs=0.01)
    assert (now == was).mean() == pytest.approx(0.1, abs=0.01)
    assert ((now != 4) & (now != was)).mean() == pytest.approx(0.1, abs=0.01)
    assert now[now != 4].min() >= SPECIAL, "a random token is an ordinary one"
    assert np.array_equal(ids[~chosen], hidden[~chosen])
    assert not chosen[:, [0, -1]].any(), "marks are never hidden"
    assert len({row.tobytes() for row in chosen}) > 0.99 * len(chosen)


def test_every_token_is_as_likely_to_be_hidden_whatever_the_length_of_its_word() -> None:
    lengths = [1, 2, 3, 4, 8] * 9
    _, _, starts, chosen = many(lengths, 4000)
    by_length = np.repeat([1, *lengths, 1], [1, *lengths, 1])
    shares = [chosen[:, (by_length == n) & (np.arange(len(starts)) % 110 != 0)].mean() for n in (2, 3, 4, 8)]
    assert shares == pytest.approx([0.15] * 4, abs=0.015)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_the_pieces_of_a_word_are_hidden_all_or_none(lengths: list[int], seed: int) -> None:
    _, _, starts, chosen = many(lengths, 3, seed)
    word = np.cumsum(starts)
    for row in chosen:
        assert all(len(set(row[word == number])) == 1 for number in np.unique(word))
        assert row.sum() <= 0.15 * sum(lengths) + max(lengths)


def test_short_texts_have_one_token_hidden_and_marks_none() -> None:
    for row, places in (([2, 9, 3], [1]), ([2, 3], [])):
        ids = np.array(row)
        assert hide(ids, ids >= 0, VOCABULARY, np.random.default_rng(0))[1].tolist() == places


# ------------------------------------------------------------------ rows


def test_text_rows_leave_nothing_off(tmp_path: Path) -> None:
    tokenizer = Character().fit(["abc "]).with_marks()
    texts = ["abcab", "", "b c"]
    rows = TextRows(Corpus(texts), tokenizer, room=2, whole_words=True)
    found = [parted(rows.row(row)) for row in range(len(rows.rows))]
    assert [tokenizer.decode(ids) for ids, _ in found] == ["ab", "ca", "b", "b ", "c"]
    assert [starts.tolist() for _, starts in found] == [[True, False], [False, False], [False], [True, True], [True]]
    assert sorted(np.concatenate(rows.whole()).tolist()) == list(range(5))
    assert rows.tokens(np.array([0, 2])) == 3


@pytest.mark.parametrize("room", [1, 3, 4, 7, 100])
def test_packed_windows_are_full_and_read_everything_once(room: int) -> None:
    tokenizer = BytePair(vocabulary_size=259).fit(["x"]).with_marks()
    text = PackedText(Corpus(["abc", "", "de"]), tokenizer, room, whole_words=False)
    stream = [*tokenizer.bare(tokenizer.encode(["abc"])[0]).ids, 2, *tokenizer.bare(tokenizer.encode(["de"])[0]).ids, 2]
    assert text.stream.tolist() == stream
    whole = [text.row(row) for rows in text.whole() for row in rows.tolist()]
    assert np.concatenate(whole).tolist() == stream
    placed = set()
    for epoch in range(30):
        batches = text.batches(epoch, 2, seed=1)
        rows = np.sort(np.concatenate([batch.rows for batch in batches]))
        assert [b.rows.tolist() for b in batches] == [b.rows.tolist() for b in text.batches(epoch, 2, seed=1)]
        assert (np.diff(rows) == text.window).all()
        assert {len(text.row(row)) for row in rows.tolist()} == {min(room, 7)}
        assert len(rows) == max(1, 7 // room)
        assert sum(map(text.tokens, (b.rows for b in batches))) == len(rows) * text.window
        placed.add(int(rows[0]))
    assert len(placed) == 7 % room + 1 or room > 7
    assert text.tokens(np.arange(0, 7, text.window)) == 7
