"""Word vectors from the command line: trained, grown, asked, scored, exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import transferlm as tl

Run = Callable[..., Any]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    rows = {"man": "1 0 0 0", "woman": "0 1 0 0", "king": "1 0 1 0", "queen": "0 1 1 0", "film": "0 0 0 1"}
    path = tmp_path / "v.vec"
    path.write_text("5 4\n" + "".join(f"{word} {row}\n" for word, row in rows.items()))
    return path


@pytest.mark.parametrize("family", ["word2vec", "fasttext", "glove"])
def test_trained_grown_and_asked(family: str, run: Run, review_texts: list[str], tmp_path: Path) -> None:
    old, new, folder, grown = tmp_path / "old.txt", tmp_path / "new.txt", tmp_path / "m", tmp_path / "n"
    old.write_text("\n".join(review_texts) + "\n")
    new.write_text("the zorgon was good and the zorgon was warm\n" * 20)
    flags = ["--width", "8", "--epochs", "2", *(["--buckets", "500"] if family == "fasttext" else [])]
    assert run("pretrain", family, old, *flags, "-o", folder).code == 0
    told = run("update", folder, new, "--method", "vocabulary_growth", "--plasticity", "0", "-o", grown)
    assert told.code == 0, told.err
    asked = run("nearest", grown, "zorgon", "good", "--count", "3", "--json")
    assert asked.code == 0, asked.err
    found = json.loads(asked.out)["nearest"]
    assert [row["words"] for row in found] == [["zorgon"], ["good"]]
    assert all(len(row["neighbours"]) == 3 for row in found)
    story = run("show", grown).out
    assert "cosine of old words 1" in story
    assert "words added" in story


def test_nearest_and_analogies_as_tables(run: Run, vectors: Path) -> None:
    told = run("nearest", vectors, "king", "--count", "2")
    assert told.out.index("nearest to king") < told.out.index("man") < told.out.index("queen")
    assert "0.7071" in told.out
    told = run("nearest", vectors, "man", "king", "woman", "--analogy", "--count", "1", "--json")
    assert json.loads(told.out)["nearest"][0]["neighbours"][0]["word"] == "queen"
    assert "man is to king as woman is to" in " ".join(
        run("nearest", vectors, "man", "king", "woman", "--analogy").out.split()
    )


def test_how_alike_words_are(run: Run, vectors: Path) -> None:
    told = run("nearest", vectors, "king", "queen", "film", "--similarity", "--json")
    assert json.loads(told.out) == {
        "similarity": [
            {"words": ["king", "queen"], "cosine": pytest.approx(0.5)},
            {"words": ["king", "film"], "cosine": 0},
            {"words": ["queen", "film"], "cosine": 0},
        ]
    }
    assert "0.5000" in run("nearest", vectors, "king", "queen", "--similarity").out
    told = run("nearest", vectors, "king", "--similarity")
    assert (told.code, "takes two words or more" in told.err) == (2, True)
    told = run("nearest", vectors, "king", "queen", "film", "--similarity", "--analogy")
    assert (told.code, "ask one at a time" in told.err) == (2, True)


def test_what_can_not_be_asked(run: Run, vectors: Path, tmp_path: Path) -> None:
    told = run("nearest", vectors, "man", "king", "--analogy")
    assert (told.code, "takes three words" in told.err) == (2, True)
    told = run("nearest", vectors, "King")
    assert (told.code, told.err.strip()) == (
        1,
        "transferlm: there is no vector for the word 'King': did you mean 'king'?",
    )
    tl.models.TfIdf().fit(["a film"]).save(tmp_path / "t")
    told = run("nearest", tmp_path / "t", "film")
    assert told.code == 1
    assert "needs a model that is made of word vectors, which tfidf is not" in told.err


def test_evaluated_on_pairs_and_analogies(run: Run, vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("king queen 9\nking man 10\nking film 1\nking unheard 5\n")
    told = run("evaluate", vectors, tmp_path / "pairs.txt", "--json")
    assert json.loads(told.out) == {"scores": {"spearman": 1.0, "known": 3, "total": 4, "unknown": ["unheard"]}}
    assert "unheard" in run("evaluate", vectors, tmp_path / "pairs.txt").out
    (tmp_path / "analogies.txt").write_text(": family\nman king woman queen\n: films\na b c film\n")
    told = run("evaluate", vectors, tmp_path / "analogies.txt")
    rows = [" ".join(line.replace("│", " ").split()) for line in told.out.splitlines()]
    assert {"family 1.0000 1 of 1", "films - 0 of 1"} <= set(rows)
    assert "a, b, c" in told.out


def test_of_many_unknown_words_some_are_named_and_json_names_all(run: Run, vectors: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("king queen 9\nking film 1\n" + "".join(f"king far{n} 3\n" for n in range(20)))
    told = " ".join(run("evaluate", vectors, path).out.split())
    assert "far7 and 12 more (--json names all)" in told
    assert "far8" not in told
    assert len(json.loads(run("evaluate", vectors, path, "--json").out)["scores"]["unknown"]) == 20


def test_words_are_scored_on_words_only(run: Run, vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("king queen 9\nking film 1\n")
    told = run("evaluate", vectors, tmp_path / "pairs.txt", "--cache")
    assert (told.code, "--cache is for language models" in told.err) == (2, True)
    told = run("evaluate", vectors, vectors)
    assert told.code == 1
    assert "line 1: '5 4': two words and a number" in told.err


def test_exported(run: Run, vectors: Path, tmp_path: Path) -> None:
    for name in ("w.bin", "w.txt.gz"):
        assert run("export", vectors, tmp_path / name).code == 0
        assert tl.load(tmp_path / name).table.hash == tl.load(vectors).table.hash  # type: ignore[union-attr]
    assert run("export", vectors, tmp_path / "w.arpa").code == 1


def test_another_encoding_is_named_and_then_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes("电影 1 2\n房间 3 4\n".encode("gb18030"))
    assert "try --encoding gb18030" in run("nearest", tmp_path / "v.txt", "电影").err
    assert "房间" in run("nearest", tmp_path / "v.txt", "电影", "--encoding", "gb18030").out
