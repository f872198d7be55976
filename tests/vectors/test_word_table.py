"""Nearest words, similarity and analogies, beside gensim's."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from gensim.models import KeyedVectors

from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.vectors import table as words_and_vectors
from transferlm.vectors.table import WordTable

WORDS = [f"word{n}" for n in range(200)]


@pytest.fixture(scope="module")
def table() -> WordTable:
    return WordTable.of(WORDS, np.random.default_rng(1).normal(size=(len(WORDS), 8)))


@pytest.fixture(scope="module")
def peer(table: WordTable) -> Any:
    vectors = KeyedVectors(table.width)
    vectors.add_vectors(list(table.words), np.array(table.vectors))
    return vectors


def test_an_analogy_by_hand() -> None:
    words = ["man", "woman", "king", "queen", "film"]
    table = WordTable.of(words, [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    assert table.analogy("man", "king", "woman")[0][0] == "queen"
    assert table.analogy("man", "king", "woman", method="mul")[0][0] == "queen"
    assert table.similarity("king", "queen") == pytest.approx(0.5)
    assert table.nearest("king", 2) == [("man", pytest.approx(0.5**0.5)), ("queen", pytest.approx(0.5))]
    assert [word for word, _ in table.nearest(np.array([0, 2.0, 0, 0]), 1)] == ["woman"]


@pytest.mark.parametrize("method", ["add", "mul"])
def test_nearest_and_analogies_are_gensims(method: Any, table: WordTable, peer: Any) -> None:
    for at in range(0, 150, 11):
        a, b, c = WORDS[at], WORDS[at + 7], WORDS[at + 40]
        search = peer.most_similar if method == "add" else peer.most_similar_cosmul
        theirs = search(positive=[b, c], negative=[a], topn=12)
        ours = table.analogy(a, b, c, 12, method)
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        assert [score for _, score in ours] == pytest.approx([score for _, score in theirs], rel=1e-5, abs=1e-5)
        near, known = table.nearest(a, 5), peer.most_similar(a, topn=5)
        assert [word for word, _ in near] == [word for word, _ in known]
        assert [score for _, score in near] == pytest.approx([score for _, score in known], abs=1e-6)
        assert table.similarity(a, b) == pytest.approx(peer.similarity(a, b), abs=1e-6)


def test_more_neighbours_than_words_are_all_the_words(table: WordTable) -> None:
    assert sorted(word for word, _ in table.nearest(WORDS[3], 1000)) == sorted(set(WORDS) - {WORDS[3]})
    with pytest.raises(SettingError, match="count 0"):
        table.nearest(WORDS[0], 0)


def test_an_unknown_word_is_named_with_the_form_that_is_known() -> None:
    table = WordTable.of(["film", "room"], np.eye(2))
    with pytest.raises(DataError, match=r"no vector for the word 'Film': did you mean 'film'\?"):
        table.nearest("Film")
    with pytest.raises(DataError, match="no vector for the word 'book' among 2"):
        table.analogy("film", "room", "book")


def test_a_vector_of_zeros_is_near_nothing() -> None:
    table = WordTable.of(["a", "b", "nothing"], [[1, 0], [1, 1], [0, 0]])
    assert table.similarity("a", "nothing") == 0
    assert [score for _, score in table.nearest("nothing")] == [0, 0]


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        (["a", "a"], np.eye(2), "'a' is there twice"),
        (["a", ""], np.eye(2), "can't be the word of a vector"),
        (["a", "b c"], np.eye(2), "'b c' can't be the word"),
        (["a", "b\n"], np.eye(2), "can't be the word"),
        (["a", "b"], np.eye(2) * np.nan, "vector of 'a' is not finite"),
        (["a"], np.eye(2), "1 words for vectors of shape"),
        ([], np.zeros((0, 3)), "0 words"),
    ],
)
def test_what_no_table_can_hold_is_refused(words: list[str], vectors: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        WordTable.of(words, vectors)


def test_arrays_give_the_same_table_and_damaged_ones_an_error(table: WordTable) -> None:
    arrays = table.arrays()
    assert WordTable.from_arrays(arrays).hash == table.hash
    for damaged in (
        {**arrays, "words": arrays["words"][:-8]},
        {**arrays, "vectors": arrays["vectors"][0]},
        {"words": arrays["words"]},
    ):
        with pytest.raises(ModelFolderError, match="damaged"):
            WordTable.from_arrays(damaged)
    with pytest.raises(ValueError, match="read-only"):
        table.vectors[0, 0] = 1


def test_neighbours_of_many_words_are_those_of_each(table: WordTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_and_vectors, "COSINES_AT_ONCE", 3 * len(WORDS))
    rows = np.array([5, 0, 199, 7])
    for row, found in zip(rows, table.neighbours(rows, 6), strict=True):
        assert {WORDS[near] for near in found} == {word for word, _ in table.nearest(WORDS[row], 6)}


def test_lengths_are_computed_without_a_copy_of_the_table() -> None:
    """A table that is mapped may be larger than memory."""
    table = WordTable.of([f"word{n}" for n in range(20_000)], np.ones((20_000, 100), np.float32))
    tracemalloc.start()
    assert table.lengths[0] == 10
    assert tracemalloc.get_traced_memory()[1] < table.vectors.nbytes / 4
    tracemalloc.stop()
