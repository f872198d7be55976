"""Every command from its words to its files: exit codes, what stands on which stream, and one JSON document."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transferlm.cli import COMMANDS, main

Run = Callable[..., Any]
QUICK = ("--fine_tuning.epochs", "1", "--fine_tuning.minimum_steps", "2")


@pytest.fixture
def made(run: Run, review_file: Path, tmp_path: Path) -> Path:
    """A task model made by the command line."""
    told = run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "made")
    assert told.code == 0, told.err
    return tmp_path / "made"


def document(told: Any) -> Any:
    """The one JSON document on standard output."""
    assert told.code == 0, told.err
    return json.loads(told.out)


# ------------------------------------------------------------------ help and wrong usage


def test_help_names_every_command(run: Run) -> None:
    told = run("--help")
    assert told.code == 0
    assert all(f"  {name} " in told.out and what.split()[0] in told.out for name, what in COMMANDS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_the_shared_flags(command: str, run: Run) -> None:
    told = run(command, "--help")
    assert told.code == 0
    assert all(flag in told.out for flag in ("--json", "--seed", "--quiet", "--help"))
    assert run(command, "-h").out == told.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tranfser",), "did you mean 'transfer'"),
        (("transfer",), "Missing argument 'SOURCE'"),
        (("transfer", "tfidf", "data.csv", "-o", "m"), "Missing option '--strategy'"),
        (("transfer", "tfidf", "data.csv", "-o", "m", "--strategy", "fine_tunning"), "did you mean 'fine_tuning'"),
        (("list", "nothing"), "is not one of"),
        (("compare", "d.csv", "--from", "tfidf", "--strategy", "fine_tuning", "--sizes", "8,many"), "8,many"),
        (("compare", "d.csv", "--from", "tfidf", "--strategy", "fine_tuning", "--seeds", "0"), "--seeds"),
        (("predict", "m", "--seed", "-1"), "--seed"),
        (
            ("transfer", "tfidf", "d", "-o", "m", "--strategy", "fine_tuning", "--learning-rate", "fast"),
            "learning_rate 'fast' is none of: float",
        ),
        (
            ("transfer", "tfidf", "d", "-o", "m", "--strategy", "feature_extraction", "--patience", "3"),
            "No such option",
        ),
        (("--nothing",), "No such option"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what(words: tuple[str, ...], told: str, run: Run) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert told in outcome.err
    assert outcome.out == ""


def test_no_command_shows_the_help(run: Run) -> None:
    told = run()
    assert told.code in (0, 2)
    assert "Commands" in told.out + told.err


def test_version(run: Run) -> None:
    told = run("--version")
    assert told.code == 0
    assert "0.1.0" in told.out


def test_the_module_is_the_command() -> None:
    told = subprocess.run([sys.executable, "-m", "transferlm", "--help"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("Usage: ")


def test_interrupted_is_130_and_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    from transferlm import lifecycle

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "task_model", interrupted)
    told = run("predict", made, "text")
    assert told.code == 130
    assert told.err.strip().count("\n") == 0
    assert "interrupted" in told.err


def test_a_full_memory_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    from transferlm import lifecycle

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(lifecycle, "task_model", exhausted)
    told = run("predict", made, "text")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "out of memory" in told.err


# ------------------------------------------------------------------ transfer


def test_transfer_writes_a_model_and_prints_where(run: Run, review_file: Path, tmp_path: Path) -> None:
    told = run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "m")
    assert told.code == 0
    assert told.out == f"{tmp_path / 'm'}\n"
    assert (tmp_path / "m" / "head.safetensors").is_file()


def test_transfer_scores_on_a_test_part(run: Run, review_file: Path, write_review_file: Any, tmp_path: Path) -> None:
    test = write_review_file(tmp_path / "test.csv", 30, seed=7)
    words = ("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "--test", test)
    found = document(run(*words, "-o", tmp_path / "m", "--json"))
    assert found["labels"] == ["negative", "positive"]
    assert found["folder"] == str(tmp_path / "m")
    assert found["scores"]["accuracy"] > 0.9
    assert f"accuracy {found['scores']['accuracy']:.4f}" in run(*words, "-o", tmp_path / "n").out


def test_a_strategys_flags_reach_it(run: Run, review_file: Path, bert_folder: Path, tmp_path: Path) -> None:
    words = ("--strategy", "fine_tuning", "--epochs", "1", "--minimum-steps", "2", "--patience", "none")
    told = run(
        "transfer", bert_folder, review_file, *words, "--max_length", "9", "--learning_rate=2e-5", "-o", tmp_path / "m"
    )
    assert told.code == 0, told.err
    lineage = json.loads((tmp_path / "m" / "lineage.json").read_text())
    given = lineage["method"]["hyper_parameters"]
    assert (given["epochs"], given["minimum_steps"], given["learning_rate"]) == (1, 2, 2e-5)
    assert given["patience"] is None
    manifest = json.loads((tmp_path / "m" / "transferlm.json").read_text())
    assert manifest["model"]["hyper_parameters"]["max_length"] == 9


def test_a_tasks_flags_reach_it(run: Run, review_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(review_file.read_text().replace("text,label", "review,stars"))
    words = ("--text-column", "review", "--label-column", "stars", "--class-weights", "negative=3,positive=1")
    told = run("transfer", "tfidf", other, "--strategy", "feature_extraction", *words, "-o", tmp_path / "m")
    assert told.code == 0, told.err
    settings = json.loads((tmp_path / "m" / "transferlm.json").read_text())["task"]["settings"]
    assert settings["class_weights"] == {"negative": 3.0, "positive": 1.0}


def test_from_scratch_starts_untrained(run: Run, review_file: Path, bert_folder: Path, tmp_path: Path) -> None:
    words = ("--strategy", "feature_extraction", "--regularisation", "1", "--from-scratch")
    assert run("transfer", bert_folder, review_file, *words, "-o", tmp_path / "m").code == 0
    story = run("show", tmp_path / "m").out
    assert "untrained" in story
    assert "imported" not in story


def test_the_same_seed_gives_the_same_files(run: Run, review_file: Path, bert_folder: Path, tmp_path: Path) -> None:
    words = ("transfer", bert_folder, review_file, "--strategy", "fine_tuning", "--epochs", "1", "--minimum-steps", "2")
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert run(*words, "--seed", str(seed), "-o", tmp_path / name).code == 0
    head = [(tmp_path / name / "head.safetensors").read_bytes() for name in "abc"]
    body = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert head[0] == head[1] != head[2]
    assert body[0] == body[1] != body[2]


def test_an_unsupported_pair_is_one_line_with_alternatives(run: Run, review_file: Path, tmp_path: Path) -> None:
    told = run("transfer", "tfidf", review_file, "--strategy", "fine_tuning", "-o", tmp_path / "m")
    assert told.code == 1
    assert told.err.count("\n") == 1
    assert "works with: causal_transformer, masked_transformer, recurrent" in told.err
    assert not (tmp_path / "m").exists()


# ------------------------------------------------------------------ evaluate, predict, show


def test_evaluate(run: Run, made: Path, review_file: Path) -> None:
    found = document(run("evaluate", made, review_file, "--json"))
    assert set(found["scores"]) == {"accuracy", "macro_precision", "macro_recall", "macro_f1"}
    assert found["share_read"] == 1.0
    shown = run("evaluate", made, review_file).out
    assert "macro_f1" in shown
    assert f"{found['scores']['accuracy']:.4f}" in shown


def test_predict_from_words(run: Run, made: Path) -> None:
    told = run("predict", made, "a good and lovely film", "an awful , dull room")
    labels, chances, texts = zip(*(line.split("\t") for line in told.out.splitlines()), strict=True)
    assert labels == ("positive", "negative")
    assert all(0.5 < float(chance) <= 1 for chance in chances)
    assert texts == ("a good and lovely film", "an awful , dull room")


def test_predict_from_standard_input_and_file(run: Run, made: Path, tmp_path: Path) -> None:
    lines = "a good film\nan awful room\n房间很好\n"
    (tmp_path / "texts.txt").write_text(lines, encoding="utf-8")
    from_file = run("predict", made, "--file", tmp_path / "texts.txt")
    from_input = run("predict", made, stdin=lines.encode())
    assert from_file.code == from_input.code == 0
    assert from_file.out == from_input.out
    assert [line.split("\t")[2] for line in from_file.out.splitlines()] == lines.splitlines()


def test_predict_from_a_table(run: Run, made: Path, review_file: Path) -> None:
    told = run("predict", made, "--file", review_file, "--column", "text")
    assert len(told.out.splitlines()) == 80


def test_predict_as_json(run: Run, made: Path) -> None:
    told = run("predict", made, "a good film", "an awful room", "--json")
    assert told.code == 0
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row["label"] for row in rows] == ["positive", "negative"]
    assert set(rows[0]) == {"label", "probability", "text"}


def test_predict_in_a_precision_that_the_model_lacks(run: Run, made: Path) -> None:
    told = run("predict", made, "a good film", "--precision", "int8")
    assert told.code == 1
    assert "can do auto" in told.err


def test_predict_answers_every_line(run: Run, made: Path) -> None:
    """A file of answers must line up with the file of texts, or the gap must be refused."""
    told = run("predict", made, stdin=b"a good film\n\nan awful room\n")
    if told.code == 0:
        assert len(told.out.splitlines()) == 3
    else:
        assert "line 2" in told.err


def test_predict_takes_words_or_files_and_never_drops_either(run: Run, made: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("an awful room\n")
    told = run("predict", made, "a good film", "--file", tmp_path / "texts.txt")
    assert told.code == 2 or len(told.out.splitlines()) == 2


def test_predict_without_a_task_is_refused(run: Run, bert_folder: Path) -> None:
    told = run("predict", bert_folder, "text")
    assert told.code == 1
    assert "predicts no task yet: transfer it first" in told.err


def test_show_tells_the_whole_story(run: Run, made: Path, review_file: Path) -> None:
    told = run("show", made)
    assert told.code == 0
    assert "predicts classification: negative, positive" in told.out
    assert "transfer by feature_extraction" in told.out
    assert review_file.name in told.out
    found = document(run("show", made, "--json"))
    assert found["lineage"]["step"] == "transfer"
    assert found["manifest"]["task"]["labels"] == ["negative", "positive"]


def test_show_of_a_foreign_folder(run: Run, bert_folder: Path) -> None:
    told = run("show", bert_folder)
    assert told.code == 0
    assert "bert" in told.out
    assert document(run("show", bert_folder, "--json"))["lineage"]["step"] == "imported"


# ------------------------------------------------------------------ pretrain


SMALL = ("--width", "8", "--embedding-width", "8", "--epochs", "1", "--batch-size", "4", "--sequence-length", "8")


def test_pretrain_then_transfer(run: Run, review_texts: list[str], review_file: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(review_texts))
    told = run("pretrain", "recurrent", corpus, *SMALL, "--tokenizer", "character", "-o", tmp_path / "lm", "--json")
    found = document(told)
    assert found["family"] == "recurrent"
    story = run("show", tmp_path / "lm").out
    assert "corpus.txt" in story
    words = ("--strategy", "feature_extraction", "-o", tmp_path / "m")
    assert run("transfer", tmp_path / "lm", review_file, *words).code == 0
    whole = document(run("show", tmp_path / "m", "--json"))["lineage"]
    assert whole["parents"][0]["step"] == "pretrain"
    assert run("predict", tmp_path / "m", "a film").code == 0


def test_pretrain_from_standard_input_with_a_tokenizers_flags(
    run: Run, review_texts: list[str], tmp_path: Path
) -> None:
    words = ("--tokenizer", "word", "--tokenizer.minimum_count", "3", "-o", tmp_path / "lm")
    told = run("pretrain", "recurrent", "-", *SMALL, *words, stdin="\n".join(review_texts).encode())
    assert told.code == 0, told.err
    configuration = json.loads((tmp_path / "lm" / "tokenizer_config.json").read_text())
    assert configuration["transferlm"]["hyper_parameters"]["minimum_count"] == 3


def test_pretraining_twice_gives_the_same_model(run: Run, review_texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(review_texts))
    words = ("pretrain", "recurrent", tmp_path / "corpus.txt", *SMALL, "--json", "-o")
    one, other = (document(run(*words, tmp_path / name))["fingerprint"] for name in "ab")
    assert one == other


def test_a_family_that_is_not_trained_on_text_is_refused(run: Run, review_texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(review_texts))
    told = run("pretrain", "universal_sentence_encoder", tmp_path / "corpus.txt", "-o", tmp_path / "lm")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "masked_transformer, maximum_likelihood" in told.err


def test_a_tokenizer_for_a_family_without_one_is_refused(run: Run, review_texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(review_texts))
    told = run("pretrain", "tfidf", tmp_path / "corpus.txt", "--tokenizer", "word", "-o", tmp_path / "lm")
    assert told.code in (1, 2)
    assert "tokenizer" in told.err
    assert "Traceback" not in told.err


# ------------------------------------------------------------------ check, list, fetch


def test_check_finds_no_trouble_where_there_is_none(run: Run, review_file: Path) -> None:
    told = run("check", review_file)
    assert told.code == 0, told.err
    assert "negative" in told.out
    assert "40" in told.out


def test_check_tells_duplicates_leaks_and_what_would_be_cut(run: Run, review_file: Path, bert_folder: Path) -> None:
    lines = review_file.read_text().splitlines()
    review_file.write_text("\n".join([*lines, lines[1]]) + "\n")
    told = run("check", review_file, "--test", review_file, "--from", bert_folder, "--max-length", "5")
    assert told.code == 0, told.err
    assert "duplicate" in told.out.lower()
    assert "cut" in told.out.lower() or "longer" in told.out.lower()
    found = document(run("check", review_file, "--test", review_file, "--json"))
    assert found["train"]["rows"] == 81
    assert found["leaks"]


def test_check_tells_an_unknown_test_label(run: Run, review_file: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("text,label\nfine,positive\nmeh,neutral\n")
    told = run("check", review_file, "--test", test)
    assert "neutral" in told.out


@pytest.mark.parametrize("kind", ["models", "tokenizers", "tasks", "updates", "strategies", "sources"])
def test_list(kind: str, run: Run) -> None:
    rows = document(run("list", kind, "--json"))
    shown = run("list", kind)
    assert shown.code == 0
    assert rows
    assert all(row["name"][:12] in shown.out for row in rows)


def test_sources_tell_licence_and_restrictions(run: Run) -> None:
    rows = {row["name"]: row for row in document(run("list", "sources", "--json"))}
    assert "research only" in rows["m3e-small"]["licence"]
    assert rows["minilm"]["fetched"] is False


def test_fetching_an_unknown_name_brings_a_hint(run: Run) -> None:
    told = run("fetch", "minilmm")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "did you mean 'minilm'" in told.err


# ------------------------------------------------------------------ streams


def test_quiet_and_json_leave_nothing_on_standard_error(run: Run, review_file: Path, tmp_path: Path) -> None:
    words = ("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "m")
    told = run(*words, "--json", "-q")
    document(told)
    assert told.err == ""


def test_a_closed_pipe_is_no_error(made: Path, tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("a good film\n" * 20_000)
    command = f"{sys.executable} -m transferlm predict {made} --file {tmp_path / 'many.txt'} | head -1"
    told = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert told.stdout.count("\n") == 1
    assert "Traceback" not in told.stderr
    assert "Exception ignored" not in told.stderr


def test_main_takes_words_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "tasks", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["name"] == "classification"
