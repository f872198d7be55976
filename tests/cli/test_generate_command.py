"""`transferlm generate`: texts on standard output, the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
TEXTS = ["the film was good", "the film was long and the room was cold", "a warm room", "房间 很 好"]


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    assert run("pretrain", "kneser_ney", tmp_path / "text.txt", "--order", 3, "-o", tmp_path / "m").code == 0
    return tmp_path / "m"


def test_one_text_a_line_each_with_its_prompt(run: Run, folder: Path) -> None:
    told = run("generate", folder, "the", "--count", 4, "--length", 5, "--seed", 1)
    assert told.code == 0, told.err
    lines = told.out.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("the") and len(line.split()) <= 6 for line in lines)
    assert run("generate", folder, "the", "--count", 4, "--length", 5, "--seed", 1).out == told.out
    assert run("generate", folder, "the", "--count", 4, "--length", 5, "--seed", 2).out != told.out


def test_one_json_document(run: Run, folder: Path) -> None:
    told = run("generate", folder, "房间", "--temperature", 0, "--count", 2, "--json")
    assert json.loads(told.out) == {"prompt": "房间", "texts": ["房间 很 好"] * 2}


def test_an_arpa_file_draws_too(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("export", folder, tmp_path / "m.arpa").code == 0
    assert run("generate", tmp_path / "m.arpa", "房间", "--temperature", 0).out == "房间 很 好\n"
    assert (
        run("generate", tmp_path / "m.arpa", "the film", "--top-k", 1).out
        == run("generate", tmp_path / "m.arpa", "the film", "--temperature", 0).out
    )


def test_beams_give_the_best_texts_and_other_settings_take_effect(run: Run, folder: Path) -> None:
    best = run("generate", folder, "房间", "--beams", 4, "--count", 2)
    assert best.code == 0, best.err
    assert best.out.splitlines()[0] == "房间 很 好"
    assert len(best.out.splitlines()) == 2
    plain = run("generate", folder, "--length", 30, "--seed", 2).out
    for words in (("--top-p", 0.3), ("--repetition-penalty", 4)):
        assert run("generate", folder, "--length", 30, "--seed", 2, *words).out != plain


def test_a_streamed_text_is_the_text(run: Run, folder: Path) -> None:
    words = ("generate", folder, "the", "--length", 8, "--seed", 3)
    assert run(*words, "--stream").out == run(*words).out
    for other in (("--json",), ("--count", 2), ("--beams", 2)):
        refused = run(*words, "--stream", *other)
        assert (refused.code, refused.out) == (2, "")
        assert "--stream writes one text" in refused.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--length", 0), "length 0: give 1"),
        (("--count", 0), "count 0: give 1"),
        (("--temperature", "nan"), "temperature nan"),
        (("--temperature", -1), "temperature -1.0"),
        (("--top-k", 0), "top_k 0"),
        (("--top-p", 2), "top_p 2.0"),
        (("--repetition-penalty", 0), "repetition_penalty 0.0"),
        (("--beams", 1, "--count", 2), "beams 1: give 2"),
    ],
)
def test_senseless_settings_are_one_line(run: Run, folder: Path, words: tuple[Any, ...], told: str) -> None:
    refused = run("generate", folder, "the", *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert told in refused.err


def test_a_model_that_can_not_draw_is_told_which_can(run: Run, review_file: Path, tmp_path: Path) -> None:
    made = run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "t")
    assert made.code == 0
    refused = run("generate", tmp_path / "t", "the")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "it works with: arpa, cached" in refused.err
