"""Word vectors of two languages in one space: from objects, from a dictionary's file, and read by one task model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.word_vectors import FrozenVectors
from transferlm.vectors.table import WordTable

WORDS, WIDTH = 60, 6
ENGLISH = [f"word{row}" for row in range(WORDS)]
CHINESE = [chr(0x4E00 + row) for row in range(WORDS)]


@pytest.fixture
def spaces() -> tuple[Any, Any]:
    """Two tables, the second one the first turned and louder, its words written otherwise."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(5, WIDTH)) * 2
    vectors = centres[generator.integers(0, 5, WORDS)] + generator.normal(size=(WORDS, WIDTH))
    turn = np.linalg.qr(generator.normal(size=(WIDTH, WIDTH)))[0]
    one = FrozenVectors.of(WordTable.of(ENGLISH, vectors), lowercase=True)
    return one, FrozenVectors.of(WordTable.of(CHINESE, 3 * vectors @ turn), lowercase=True, chinese="characters")


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.txt"
    lines = [f"{one}\t{other}" for one, other in zip(ENGLISH[:30], CHINESE[:30], strict=True)]
    path.write_text("\n".join([*lines, "", "unheard\t闻"]) + "\n", encoding="utf-8")
    return path


def alike(made: Any) -> list[float]:
    return [made.similarity(one, other) for one, other in zip(ENGLISH, CHINESE, strict=True)]


def test_a_dictionary_lays_one_space_over_the_other(spaces: tuple[Any, Any], dictionary: Path) -> None:
    made: Any = tl.combine(spaces, tl.combinations.OrthogonalMap(dictionary=str(dictionary)))
    assert alike(made) == pytest.approx([1.0] * WORDS, abs=1e-3)
    assert (made.lowercase, made.chinese, len(made.table)) == (True, "characters", 2 * WORDS)
    assert made.lineage.scores["translated rightly"] == 1.0
    assert made.lineage.data == [{"name": "pairs.txt", "hash": hashlib.sha256(dictionary.read_bytes()).hexdigest()}]
    assert (made.lineage.scores["words kept aside"], made.lineage.scores["dictionary pairs"]) == (3, 30)
    english = made.encode(["Word3 word5"]).features
    assert made.encode([CHINESE[3] + CHINESE[5]]).features == pytest.approx(english, abs=1e-3)


def test_without_a_dictionary_words_spelt_alike_or_their_likeness_do(spaces: tuple[Any, Any]) -> None:
    one, other = spaces
    shared = FrozenVectors.of(WordTable.of([*ENGLISH[:8], *CHINESE[8:]], other.table.vectors), lowercase=True)
    made: Any = tl.combine([one, shared], tl.combinations.OrthogonalMap(rounds=5, neighbours=3))
    assert np.mean([made.similarity(ENGLISH[row], CHINESE[row]) for row in range(8, WORDS)]) > 0.95
    assert len(made.table) == 2 * WORDS - 8, "a word of both is one"
    made = tl.combine(spaces, tl.combinations.OrthogonalMap(start="distributions", rounds=3, neighbours=3))
    assert np.mean(alike(made)) > 0.95
    assert made.lineage.scores["rounds"] == 3


def test_a_task_learnt_in_one_language_is_read_in_the_other(spaces: tuple[Any, Any], dictionary: Path) -> None:
    made = tl.combine(spaces, tl.combinations.OrthogonalMap(dictionary=str(dictionary)))
    sign = [made.table.vector(word)[0] > 0 for word in ENGLISH]  # type: ignore[attr-defined]
    texts = [f"{ENGLISH[row]} {ENGLISH[row]}" for row in range(WORDS)]
    task = tl.tasks.Classification()
    examples = tl.Examples(task, texts, np.array(sign, np.int64), ("low", "high"), name="english")
    learnt = tl.transfer(made, examples, tl.strategies.FeatureExtraction())
    chinese = tl.Examples(
        task, [word * 2 for word in CHINESE], np.array(sign, np.int64), ("low", "high"), name="chinese"
    )
    assert learnt.score(chinese).metrics["accuracy"] > 0.9


def test_what_does_not_go_together_is_refused(spaces: tuple[Any, Any], dictionary: Path, tmp_path: Path) -> None:
    one, other = spaces
    method = tl.combinations.OrthogonalMap
    with pytest.raises(DataError, match="0 words in common"):
        tl.combine(spaces, method())
    with pytest.raises(DataError, match="of 31 pairs the models know both words of 0"):
        tl.combine([other, one], method(dictionary=str(dictionary)))
    narrow = FrozenVectors.of(WordTable.of(["a", "b"], np.eye(2)))
    with pytest.raises(UnsupportedError, match="widths 6, 2"):
        tl.combine([one, narrow], method())
    capitals = FrozenVectors.of(WordTable.of(["word1", "Word2"], np.eye(2, WIDTH)))
    with pytest.raises(UnsupportedError, match="capital"):
        tl.combine([one, capitals], method(start="distributions", rounds=0))
    bad = tmp_path / "bad.txt"
    bad.write_text("word1\t一\nword2 alone here\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no pair of words"):
        tl.combine(spaces, method(dictionary=str(bad)))
    with pytest.raises(SettingError, match="tuning text"):
        tl.combine(spaces, method(dictionary=str(dictionary)), ["some text"])
    with pytest.raises(UnsupportedError, match="word vectors"):
        tl.combine([one, tl.models.TfIdf()], method())


@pytest.mark.parametrize(("name", "value"), [("start", "there"), ("rounds", -1), ("frequent", 1), ("neighbours", 0)])
def test_settings_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        tl.combinations.OrthogonalMap(**{name: value})


def test_from_the_command_line(
    spaces: tuple[Any, Any], dictionary: Path, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for model, name in zip(spaces, ("en", "zh"), strict=True):
        model.save(name)
    told = run("combine", "en", "zh", "--method", "orthogonal_map", "--dictionary", dictionary, "-o", "both", "--json")
    assert told.code == 0, told.err
    document = json.loads(told.out)
    assert document["family"] == "word_vectors"
    assert document["scores"]["translated rightly"] == 1
    near = json.loads(run("nearest", "both", ENGLISH[4], "--count", "1", "--json").out)
    assert near["nearest"][0]["neighbours"][0]["word"] == CHINESE[4]
    assert "orthogonal_map" in run("show", "both").out
