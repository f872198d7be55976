"""Similarity and analogies, beside gensim's own evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import KeyedVectors

from transferlm.errors import DataError
from transferlm.measure.word_vectors import Analogies, Similarity, read_word_file
from transferlm.vectors.table import WordTable

WORDS = ["the", "The", *(f"word{n}" for n in range(40)), "Word3", "WORD5"]


@pytest.fixture(scope="module")
def table() -> WordTable:
    return WordTable.of(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 3)))


@pytest.fixture(scope="module")
def peer(table: WordTable) -> Any:
    vectors = KeyedVectors(table.width)
    vectors.add_vectors(list(table.words), np.array(table.vectors))
    return vectors


def test_the_correlation_is_gensims(table: WordTable, peer: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    drawn = zip(draw.choice(WORDS, 30), draw.choice(WORDS, 30), draw.random(30), strict=True)
    lines = [f"{one}\t{other}\t{judged:.2f}" for one, other, judged in drawn]
    path = tmp_path / "pairs.txt"
    path.write_text("# judged\n" + "\n".join([*lines, "unheard\tof\t3.0"]) + "\n")
    found = read_word_file(path).score(table)
    _, spearman, share = peer.evaluate_word_pairs(str(path))
    assert (found.measure, found.known, found.total) == ("spearman", 30, 31)
    assert found.value == pytest.approx(spearman.statistic, abs=1e-6)
    assert 100 * (1 - found.known / found.total) == pytest.approx(share)
    assert found.to_json() == {"spearman": found.value, "known": 30, "total": 31, "unknown": ["unheard", "of"]}


def test_ties_share_their_mean_rank_as_gensims_do(tmp_path: Path) -> None:
    """Four words in two directions and judgements in whole numbers: hardly a pair that is not equal to another."""
    table = WordTable.of(["a", "b", "c", "d"], [[1, 0], [2, 0], [1, 1], [0, 3]])
    lines = ["a b 9", "a c 5", "b c 5", "a d 1", "b d 1", "c d 5", "a a 9"]
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(line.replace(" ", "\t") for line in lines))
    peer = KeyedVectors(2)
    peer.add_vectors(list(table.words), np.array(table.vectors))
    _, spearman, _ = peer.evaluate_word_pairs(str(path))
    assert read_word_file(path).score(table).value == pytest.approx(spearman.statistic, abs=1e-9)
    # By hand: judged ranks 1.5 1.5 4 4 4 6.5 6.5, cosines 0 0 .71 .71 .71 1 1: the same, so the correlation is 1.
    assert spearman.statistic == pytest.approx(1)


def test_pairs_that_can_not_be_ranked_are_told(table: WordTable) -> None:
    with pytest.raises(DataError, match="all judgements of the 2 pairs that have vectors are 3: no ranks"):
        Similarity([("the", "word1", 3.0), ("word2", "word3", 3.0)]).score(table)
    with pytest.raises(DataError, match="all cosines of the 2 pairs"):
        Similarity([("the", "word1", 3.0), ("word1", "the", 4.0)]).score(table)


def test_the_accuracy_is_gensims(table: WordTable, peer: Any, tmp_path: Path) -> None:
    questions = [table.analogy("word1", "word2", f"word{n}", 1)[0][0] for n in range(3, 20)]
    lines = [f"word1 word2 Word{n} {answer}" for n, answer in zip(range(3, 20), questions, strict=True)]
    path = tmp_path / "questions.txt"
    path.write_text(": section\n" + "\n".join([*lines, "word1 word2 word4 word1", "unheard of word1 word2"]) + "\n")
    found = read_word_file(path).score(table)
    accuracy, _ = peer.evaluate_word_analogies(str(path))
    assert (found.measure, found.known, found.total) == ("accuracy", 18, 19)
    assert found.value == pytest.approx(accuracy)
    assert 0.5 < found.value < 1
    assert found.unknown == ("unheard", "of")


def test_analogies_are_told_by_kind_as_gensim_tells_them(table: WordTable, peer: Any, tmp_path: Path) -> None:
    right = table.analogy("word1", "word2", "word7")[0][0]
    lines = [": one", f"word1 word2 word7 {right}", "word1 word2 word7 word9", "x y z w", ": two", "x y z w"]
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines) + "\n")
    found = read_word_file(path).score(table)
    _, sections = peer.evaluate_word_analogies(str(path))
    for told in sections[:-1]:
        own = found.sections[told["section"]]
        assert (own.known, round((own.accuracy or 0) * own.known)) == (
            len(told["correct"]) + len(told["incorrect"]),
            len(told["correct"]),
        )
    assert found.to_json()["sections"] == {
        "one": {"accuracy": 0.5, "known": 2, "total": 3},
        "two": {"accuracy": None, "known": 0, "total": 1},
    }


def test_nothing_known_is_told(table: WordTable) -> None:
    with pytest.raises(DataError, match="0 of 1 pairs have vectors"):
        Similarity([("x", "y", 1.0)]).score(table)
    with pytest.raises(DataError, match="none of 1 analogies"):
        Analogies([("x", "y", "z", "w")]).score(table)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b 1\na b c d\n", "line 2: 'a b c d'"),
        (": s\na b c d\na b 1\n", "line 3: 'a b 1'"),
        ("a b c\n", "line 1: 'a b c'"),
        ("a b --3\n", "line 1: 'a b --3'"),
        ("a b nan\n", "line 1: 'a b nan'"),
        ("the film was good and warm\n", "line 1: .* two words and a number"),
        (": s\n\n", "holds neither"),
    ],
)
def test_a_file_of_neither_kind_is_told_with_its_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        read_word_file(tmp_path / "f.txt")


def test_commas_part_words_too_and_scores_may_be_below_zero(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("a,b,-1.5\nc, d, 2e1\n")
    assert read_word_file(tmp_path / "f.csv") == Similarity([("a", "b", -1.5), ("c", "d", 20.0)])
