"""Word vectors as a recurrent model's first layer: which rows get them, how long, whether they move, and its story."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError

WIDTH = 8


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors of some of the words, in small letters, ten times as long as drawn rows."""
    words = ["the", "film", "room", "was", "good", "bad", "zebra"]
    numbers = 4 * np.random.default_rng(0).normal(size=(len(words), WIDTH))
    rows = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, numbers, strict=True)]
    path = tmp_path / "v.vec"
    path.write_text("\n".join([f"{len(words)} {WIDTH}", *rows]) + "\n")
    return path


def made(vectors: Path | None, texts: list[str], **changes: Any) -> Any:
    settings = {
        "width": 10,
        "embedding_width": WIDTH,
        "batch_size": 4,
        "sequence_length": 8,
        "steps": 12,
        "held_out": 0,
    }
    settings["pretrained"] = None if vectors is None else str(vectors)
    return tl.pretrain(tl.models.Recurrent(**{**settings, **changes}), texts)


def table_of(model: Any, words: list[str]) -> np.ndarray:
    rows = [model.tokenizer.vocabulary.index(word) for word in words]
    return np.asarray(model.embedding.weight.detach().cpu()[rows])


TEXTS = ["The film was good", "the room was bad", "a warm film", "a bad room"] * 6
KNOWN = ["the", "film", "room", "was", "good", "bad"]


@pytest.mark.parametrize("tied", [True, False])
def test_frozen_rows_stay_and_all_others_move(vectors: Path, tied: bool) -> None:
    model = made(vectors, TEXTS, pretrained_words="frozen", tied=tied)
    theirs = np.stack([tl.load(vectors).table.vector(word) for word in KNOWN])  # type: ignore[union-attr]
    rows = table_of(model, KNOWN)
    alike = theirs.ravel() @ rows.ravel() / np.linalg.norm(theirs) / np.linalg.norm(rows)
    assert alike == pytest.approx(1, abs=1e-6)
    lengths = (table_of(model, ["The", *KNOWN]) ** 2).sum(axis=1)
    assert lengths.mean() == pytest.approx(1 / 3, rel=1e-5), "as long as drawn rows, in the root mean square"
    assert np.array_equal(table_of(model, ["The"]), table_of(model, ["the"])), "a word in small letters only is that"
    start = made(vectors, TEXTS, pretrained_words="frozen", tied=tied, steps=1)
    assert not np.array_equal(table_of(model, ["warm"]), table_of(start, ["warm"]))


def test_trained_rows_begin_there_and_move(vectors: Path) -> None:
    model, plain = made(vectors, TEXTS), made(None, TEXTS)
    frozen = table_of(made(vectors, TEXTS, pretrained_words="frozen"), KNOWN)
    apart, drawn = (np.linalg.norm(table_of(each, KNOWN) - frozen) for each in (model, plain))
    assert 0.01 < apart < 0.5 * drawn


def test_the_story_has_the_hash_and_how_many_words(vectors: Path, tmp_path: Path) -> None:
    model = made(vectors, TEXTS)
    parent = model.lineage.parents[0]
    assert tl.load(vectors).table.hash in {data["hash"] for data in parent["data"]}  # type: ignore[union-attr]
    assert (parent["scores"]["words laid in"], parent["scores"]["of words"]) == (7, len(model.tokenizer.vocabulary))
    model.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert opened.fingerprint == model.fingerprint
    assert opened.pretrained == str(vectors)
    assert made(vectors, TEXTS).fingerprint == model.fingerprint


def test_fine_tuning_moves_all_rows(vectors: Path, make_examples: Callable[..., Any]) -> None:
    model = made(vectors, TEXTS, pretrained_words="frozen")
    learnt = tl.transfer(model, make_examples(24), tl.strategies.FineTuning(minimum_steps=10, learning_rate=1e-2))
    assert not np.allclose(table_of(learnt.model, ["was"]), table_of(model, ["was"]), atol=1e-4)


def test_what_does_not_fit_is_refused(vectors: Path) -> None:
    with pytest.raises(SettingError, match="--embedding-width 8"):
        made(vectors, TEXTS, embedding_width=6)
    with pytest.raises(SettingError, match="full softmax"):
        tl.models.Recurrent(pretrained_words="frozen", softmax="sampled")
    with pytest.raises(SettingError, match="pretrained_words"):
        tl.models.Recurrent(pretrained_words="overwritten")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no vector for any word"):
        made(vectors, ["nichts davon", "gar nichts"] * 20)
    with pytest.raises(UnsupportedError, match="--tokenizer word"):
        tl.pretrain(
            tl.models.Recurrent(
                embedding_width=WIDTH, pretrained=str(vectors), tokenizer=tl.tokenizers.BytePair(vocabulary_size=300)
            ),
            TEXTS,
        )


def test_from_the_command_line(vectors: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    text = tmp_path / "t.txt"
    text.write_text("\n".join(TEXTS) + "\n")
    flags = ["--width", "10", "--embedding-width", WIDTH, "--batch-size", "4", "--sequence-length", "8", "--steps", "4"]
    told = run("pretrain", "recurrent", text, *map(str, flags), "--pretrained", vectors, "-o", tmp_path / "m")
    assert told.code == 0, told.err
    assert "words laid in" in run("show", tmp_path / "m").out
