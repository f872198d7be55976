"""Lookups of whole texts, against counting by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from transferlm.counts.counted_text import CountedText
from transferlm.counts.lookup import Lookup
from transferlm.counts.trie import Trie

SEEN = ["a b a c", "b a b", "c", "a b a c d"]
ASKED = ["a b a c", "d d", "", "b x a b c", "a"]


def by_hand(texts: list[str], order: int) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = ["<s>", *text.split(), "</s>"]
        for size in range(1, order + 1):
            found.update(tuple(words[i : i + size]) for i in range(len(words) - size + 1))
    del found[("<s>",)]
    return found


@pytest.mark.parametrize("order", [1, 2, 4])
def test_evidence_is_what_counting_by_hand_gives(order: int) -> None:
    counted = CountedText.of(SEEN, "word", order)
    lookup = Lookup(Trie.of(counted.table))
    encoded = counted.lexicon.encode(ASKED)
    found = lookup.evidence(encoded.ids, encoded.starts)
    expected = by_hand(SEEN, order)
    row = 0
    for text in ASKED:
        words = ["<s>", *text.split(), "</s>"]
        for place, word in enumerate(words):
            for k in range(order):
                context = tuple(words[place - k : place]) if place >= k else None
                followers = [g for g in expected if context is not None and len(g) == k + 1 and g[:k] == context]
                told = found.counts[row, k], found.totals[row, k], found.types[row, k]
                if place == 0:
                    assert told == (0, 0, 0), "the beginning of a text is given, not predicted"
                else:
                    own = expected[(*context, word)] if context is not None else 0
                    assert told == (own, sum(expected[g] for g in followers), len(followers)), (text, place, k)
            row += 1
    assert row == len(encoded.ids)


def test_nodes_lead_to_the_n_grams_that_end_there() -> None:
    counted = CountedText.of(SEEN, "word", 3)
    trie = Trie.of(counted.table)
    encoded = counted.lexicon.encode(SEEN)
    nodes = Lookup(trie).nodes(encoded.ids, encoded.starts)
    for text, (begin, end) in enumerate(zip(encoded.starts[:-1], encoded.starts[1:], strict=True)):
        for position in range(begin, end):
            for k in range(3):
                if position - k < begin:
                    assert nodes[position, k] == -1
                else:
                    gram = tuple(encoded.ids[position - k : position + 1].tolist())
                    assert trie.gram(k + 1, int(nodes[position, k])) == gram, (text, position)


def test_no_text_has_no_evidence() -> None:
    counted = CountedText.of(SEEN, "word", 2)
    found = Lookup(Trie.of(counted.table)).evidence(np.zeros(0, np.uint32), np.zeros(1, np.int64))
    assert found.counts.shape == found.totals.shape == found.types.shape == (0, 2)


def test_weighted_counts_are_summed_as_they_are() -> None:
    counted = CountedText.of(SEEN, "word", 2).scale(0.5)
    encoded = counted.lexicon.encode(["a b"])
    found = Lookup(Trie.of(counted.table)).evidence(encoded.ids, encoded.starts)
    assert found.totals[1].tolist() == [8.5, 2.0]  # 13 words and 4 ends; 4 texts began
    assert found.counts[2].tolist() == [2.0, 1.5]  # b 4 times, 3 of them after a


@pytest.mark.parametrize("order", [1, 3])
def test_a_text_left_out_finds_what_would_be_there_without_it(order: int) -> None:
    texts = [*SEEN, "b a b", "e e e e"]
    counted = CountedText.of(texts, "word", order)
    encoded = counted.lexicon.encode(texts)
    lookup = Lookup(Trie.of(counted.table))
    found = lookup.evidence(encoded.ids, encoded.starts, np.ones(len(texts), bool))
    plain, first = lookup.evidence(encoded.ids, encoded.starts), np.arange(len(texts)) == 0
    one = lookup.evidence(encoded.ids, encoded.starts, first)
    end = encoded.starts[1]
    assert np.array_equal(one.counts[end:], plain.counts[end:]), "only the texts named are left out"
    assert np.array_equal(one.counts[:end], found.counts[:end])
    for row, text in enumerate(texts):
        others = CountedText.of(texts[:row] + texts[row + 1 :], "word", order)
        alone = others.lexicon.encode([text])
        wanted = Lookup(Trie.of(others.table)).evidence(alone.ids, alone.starts)
        own = slice(encoded.starts[row], encoded.starts[row + 1])
        seen = wanted.totals > 0
        assert np.array_equal(found.totals[own], wanted.totals), text
        assert np.array_equal(found.counts[own][seen], wanted.counts[seen]), text
        assert np.array_equal(found.types[own][seen], wanted.types[seen]), text
