"""`transferlm evaluate` for language models and task models: tables, JSON, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transferlm.models.recurrent import Recurrent

Run = Callable[..., Any]


@pytest.fixture
def language_model(recurrent: Recurrent, tmp_path: Path) -> Path:
    recurrent.save(tmp_path / "lm")
    return tmp_path / "lm"


@pytest.fixture
def text(review_texts: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "test.txt"
    path.write_text("\n".join(review_texts[:20]) + "\n")
    return path


def scores(told: Any) -> Any:
    assert told.code == 0, told.err
    return json.loads(told.out)["scores"]


def test_a_language_model_as_json(run: Run, language_model: Path, text: Path) -> None:
    alone = scores(run("evaluate", language_model, text, "--json"))
    assert alone["perplexity"] > 1
    assert alone["bits_per_byte"] is None
    assert "closed" in alone["why_no_bits_per_byte"]
    assert alone["tokens"] == len(text.read_text().split()) + 20
    assert alone["vocabulary"].startswith("word, ")
    assert (alone["context"], alone["texts"], alone["bytes"]) == ("text", 20, text.stat().st_size)
    stream = scores(run("evaluate", language_model, text, "--context", "stream", "--json"))
    assert stream["context"] == "stream"
    assert stream["perplexity"] != alone["perplexity"]
    assert stream["hash"] == alone["hash"]


def test_a_language_model_as_a_table(run: Run, language_model: Path, text: Path) -> None:
    told = run("evaluate", language_model, text)
    assert told.code == 0, told.err
    wanted = scores(run("evaluate", language_model, text, "--json"))
    for part in (f"{wanted['perplexity']:.2f}", f"{wanted['tokens']:,}", "word, ", "none: the vocabulary is closed"):
        assert part in told.out
    assert "each text alone" in told.out


def test_folders_archives_tables_and_pipes_score_as_the_plain_file(
    run: Run, language_model: Path, text: Path, tmp_path: Path
) -> None:
    wanted = scores(run("evaluate", language_model, text, "--json"))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "part.txt.gz").write_bytes(gzip.compress(text.read_bytes()))
    table = tmp_path / "table.csv"
    table.write_text("review\n" + "".join(f'"{line}"\n' for line in text.read_text().splitlines()))
    assert scores(run("evaluate", language_model, folder, "--json")) == wanted
    assert scores(run("evaluate", language_model, table, "--column", "review", "--json")) == wanted
    assert scores(run("evaluate", language_model, "-", "--json", stdin=text.read_bytes())) == wanted


def test_a_table_without_its_column_is_refused(run: Run, language_model: Path, review_file: Path) -> None:
    told = run("evaluate", language_model, review_file)
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "name the column that holds the text with --column; there are: text, label" in told.err


def test_a_task_model(run: Run, review_file: Path, tmp_path: Path) -> None:
    made = run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "m")
    assert made.code == 0, made.err
    told = json.loads(run("evaluate", tmp_path / "m", review_file, "--json").out)
    assert told["labels"] == ["negative", "positive"]
    assert sum(map(sum, told["confusion"])) == told["texts"] == 80
    assert [sum(row) for row in told["confusion"]] == [40, 40]
    right = told["confusion"][0][0] + told["confusion"][1][1]
    assert told["scores"]["accuracy"] == right / 80
    assert 0 <= told["calibration_error"] <= 1
    assert told["by_label"]["positive"]["recall"] == told["confusion"][1][1] / 40
    shown = run("evaluate", tmp_path / "m", review_file).out
    for part in ("accuracy", "calibration error", "precision", "true label", "negative", "positive"):
        assert part in shown


@pytest.mark.parametrize("flag", [("--context", "stream"), ("--column", "text"), ("--encoding", "utf-8")])
def test_a_language_models_flags_are_refused_for_a_task_model(
    flag: tuple[str, str], run: Run, review_file: Path, tmp_path: Path
) -> None:
    assert run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "m").code == 0
    told = run("evaluate", tmp_path / "m", review_file, *flag)
    assert told.code == 2
    assert f"{flag[0]} is for language models" in told.err


def test_a_model_that_does_neither_is_refused(run: Run, bert_folder: Path, text: Path) -> None:
    told = run("evaluate", bert_folder, text)
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "predicts no task yet: transfer it first, and it gives no probabilities to plain text" in told.err


def test_an_unknown_context_is_wrong_usage(run: Run, language_model: Path, text: Path) -> None:
    told = run("evaluate", language_model, text, "--context", "window")
    assert told.code == 2
    assert "stream" in told.err


def test_a_cache_is_of_what_suits_the_model_or_of_what_is_asked_for(
    run: Run, language_model: Path, text: Path, review_texts: list[str], tmp_path: Path
) -> None:
    from transferlm.models.kneser_ney import KneserNey

    def cached(*words: Any) -> set[str]:
        told = run("evaluate", *words, "--json")
        assert told.code == 0, told.err
        return set(json.loads(told.out)["cache"])

    states, counts = {"size", "flatness", "weight"}, {"half_lives", "concentrations"}
    KneserNey(order=2).fit(review_texts).save(tmp_path / "kn")
    assert cached(language_model, text, "--cache") == states
    assert cached("--cache", language_model, text) == states, "the word behind it is the folder"
    assert cached(language_model, text, "--cache", "counts") == counts
    assert cached("--cache", "states", language_model, text) == states
    assert cached(language_model, text, "--cache=counts") == counts
    assert cached(tmp_path / "kn", text, "--cache") == counts
    refused = run("evaluate", tmp_path / "kn", text, "--cache", "states")
    assert (refused.code, "works with: causal_transformer, dynamic, recurrent" in refused.err) == (1, True)
    assert run("evaluate", language_model, text, "--cache=words").code == 2
    shown = run("evaluate", language_model, text, "--cache").out
    assert "size 500, flatness 0.3, weight 0.1" in shown
