"""Bad input: one clear line and exit code 1, or a stated repair; and nothing half-written at the output path."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
ROWS = [
    ("a good film", "positive"),
    ("a bad room", "negative"),
    ("a fine meal", "positive"),
    ("poor staff", "negative"),
]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "model"


@pytest.fixture
def transfer(run: Run, out: Path) -> Run:
    """`transfer(data, *flags)`: tfidf with feature extraction, written to `out`."""

    def ran(data: Path | str, *flags: str | Path, source: Path | str = "tfidf") -> Any:
        return run("transfer", source, data, "--strategy", "feature_extraction", "-o", out, *flags)

    return ran


def refused(told: Any, out: Path, *parts: str) -> None:
    """Exit code 1, one line on standard error that holds `parts`, nothing on standard output and nothing written."""
    assert told.code == 1, (told.out, told.err)
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    assert told.err.startswith("transferlm: ")
    for part in parts:
        assert part in told.err
    assert len(told.err) < 600, "one clear line is not a page"
    assert not out.exists()
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


def table(path: Path, rows: list[tuple[str, str]] = ROWS, header: str = "text,label") -> Path:
    path.write_text(header + "\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


# ------------------------------------------------------------------ labelled data


def test_a_missing_file(transfer: Run, out: Path, review_file: Path) -> None:
    told = transfer(review_file.with_name("revews.csv"))
    refused(told, out, "revews.csv", "no such file", "did you mean 'reviews.csv'")


def test_a_folder_in_place_of_a_file(transfer: Run, out: Path, tmp_path: Path) -> None:
    refused(transfer(tmp_path), out, "a folder")


def test_an_unknown_format(transfer: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "reviews.docx").write_bytes(b"PK\x03\x04")
    refused(transfer(tmp_path / "reviews.docx"), out, "reviews.docx", ".csv")


def test_a_wrong_encoding(transfer: Run, out: Path, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_bytes("text,label\n这个房间很好,positive\n房间很差,negative\n".encode("gb18030"))
    refused(transfer(file), out, "reviews.csv", "line 2", "utf-8", "gb18030")
    file.write_bytes(("text,label\n" + "房间很好,正\n房间很差,负\n" * 2).encode("gb18030"))
    assert transfer(file, "--encoding", "gb18030").code == 0


def test_an_encoding_that_does_not_exist(transfer: Run, out: Path, review_file: Path) -> None:
    refused(transfer(review_file, "--encoding", "utf-9"), out, "utf-9")


def test_a_missing_column_names_those_there_are(transfer: Run, out: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "reviews.csv", header="review,label")
    refused(transfer(file), out, "reviews.csv", "'text'", "review")


def test_an_unknown_label_in_the_test_part(transfer: Run, out: Path, review_file: Path, tmp_path: Path) -> None:
    test = table(tmp_path / "test.csv", [("fine", "positive"), ("so so", "neutral")])
    refused(transfer(review_file, "--test", test), out, "test.csv, line 3", "'neutral'", "'negative', 'positive'")


def test_one_class_only(transfer: Run, out: Path, tmp_path: Path) -> None:
    refused(transfer(table(tmp_path / "r.csv", [("a", "positive"), ("b", "positive")])), out, "only one", "'positive'")


def test_no_rows(transfer: Run, out: Path, tmp_path: Path) -> None:
    refused(transfer(table(tmp_path / "r.csv", [])), out, "r.csv")


def test_an_empty_file(transfer: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"")
    refused(transfer(tmp_path / "r.csv"), out, "r.csv", "empty")


@pytest.mark.parametrize("text", ["", "   ", '"\t"'])
def test_an_empty_text(transfer: Run, out: Path, tmp_path: Path, text: str) -> None:
    told = transfer(table(tmp_path / "r.csv", [*ROWS, (text, "positive")]))
    refused(told, out, "r.csv, line 6", "'text'", "empty")


def test_an_empty_label(transfer: Run, out: Path, tmp_path: Path) -> None:
    refused(transfer(table(tmp_path / "r.csv", [*ROWS, ("fine", "")])), out, "line 6", "'label'", "empty")


def test_a_row_with_too_many_fields(transfer: Run, out: Path, tmp_path: Path) -> None:
    refused(transfer(table(tmp_path / "r.csv", [*ROWS, ("good, really", "positive")])), out, "line 6", "3 fields")


def test_a_quote_that_is_never_closed(transfer: Run, out: Path, tmp_path: Path) -> None:
    refused(transfer(table(tmp_path / "r.csv", [*ROWS, ('"good', "positive")])), out, "line 6", "never closed")


@pytest.mark.parametrize("missing", [float("nan"), None])
def test_not_a_number_in_parquet(transfer: Run, out: Path, tmp_path: Path, missing: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = pa.array([1.0, 0.0, missing], from_pandas=False)
    pq.write_table(pa.table({"text": ["good", "bad", "fine"], "label": labels}), tmp_path / "r.parquet")
    refused(transfer(tmp_path / "r.parquet"), out, "r.parquet, line 3", "'label'", "empty")


@pytest.mark.parametrize("missing", ["NaN", "null"])
def test_not_a_number_in_json_lines(transfer: Run, out: Path, tmp_path: Path, missing: str) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    (tmp_path / "r.jsonl").write_text("\n".join([*lines, f'{{"text": {missing}, "label": "positive"}}']))
    refused(transfer(tmp_path / "r.jsonl"), out, "r.jsonl, line 5", "'text'", "empty")


def test_broken_json_lines(transfer: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"text": "good", "label": "positive"}\n{"text": "bad", "label"\n')
    refused(transfer(tmp_path / "r.jsonl"), out, "r.jsonl, line 2", "JSON")


def test_a_parquet_file_cut_off(transfer: Run, out: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["good", "bad"], "label": ["p", "n"]}), tmp_path / "r.parquet")
    content = (tmp_path / "r.parquet").read_bytes()
    (tmp_path / "r.parquet").write_bytes(content[:-10])
    refused(transfer(tmp_path / "r.parquet"), out, "r.parquet", "copy it again")


def test_a_truncated_archive(transfer: Run, out: Path, review_file: Path, tmp_path: Path) -> None:
    whole = gzip.compress(review_file.read_bytes())
    (tmp_path / "r.csv.gz").write_bytes(whole[: len(whole) // 2])
    refused(transfer(tmp_path / "r.csv.gz"), out, "r.csv.gz", "cut off", "copy it again")
    (tmp_path / "r.csv.gz").write_bytes(whole)
    assert transfer(tmp_path / "r.csv.gz").code == 0


def test_an_archive_that_is_none(transfer: Run, out: Path, review_file: Path, tmp_path: Path) -> None:
    shutil.copy(review_file, tmp_path / "r.csv.gz")
    refused(transfer(tmp_path / "r.csv.gz"), out, "r.csv.gz", "gzip")


def test_a_line_of_ten_million_characters_works(transfer: Run, out: Path, tmp_path: Path) -> None:
    long = "a good film and a warm room " * 357_143
    started = time.monotonic()
    told = transfer(table(tmp_path / "r.csv", [*ROWS, (long, "positive")]))
    assert told.code == 0, told.err
    assert (out / "head.safetensors").is_file()
    assert time.monotonic() - started < 20


def test_one_word_of_ten_million_characters_works(transfer: Run, out: Path, tmp_path: Path) -> None:
    told = transfer(table(tmp_path / "r.csv", [*ROWS, ("x" * 10_000_000, "positive")]))
    assert told.code == 0, told.err


def test_fewer_examples_than_asked(run: Run, review_file: Path, out: Path) -> None:
    told = run(
        *("compare", review_file, "--from", "tfidf", "--strategy", "feature_extraction"),
        *("--sizes", "8,5000", "--seeds", "2", "--report", out),
    )
    refused(told, out, "5000 labels a class asked for", "lower --sizes")


def test_a_class_with_few_rows_is_capped_and_that_is_said(run: Run, tmp_path: Path) -> None:
    rows = [(f"a good film number {n} {n * n}", "positive") for n in range(20)]
    rows += [(f"some bad room called {n} {n * 7}", "negative") for n in range(6)]
    test = table(tmp_path / "test.csv")
    told = run(
        *("compare", table(tmp_path / "r.csv", rows), "--test", test, "--from", "tfidf"),
        *("--strategy", "feature_extraction", "--sizes", "10", "--seeds", "2", "--json"),
    )
    assert told.code == 0, told.err
    assert "10 labels a class: negative has only 6" in told.err


# ------------------------------------------------------------------ models and sources


def test_a_wrong_source_name(transfer: Run, out: Path, review_file: Path) -> None:
    refused(transfer(review_file, source="minilmm"), out, "'minilmm'", "did you mean 'minilm'")


def test_a_source_that_is_not_fetched(transfer: Run, out: Path, review_file: Path) -> None:
    refused(transfer(review_file, source="minilm"), out, "transferlm fetch minilm")


def test_a_path_that_is_not_there(transfer: Run, out: Path, review_file: Path, tmp_path: Path) -> None:
    refused(transfer(review_file, source=tmp_path / "no" / "model"), out, "does not exist")


def test_an_empty_folder_as_a_model(transfer: Run, out: Path, review_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(transfer(review_file, source=tmp_path / "empty"), out, "holds no model")


def test_a_file_as_a_model(transfer: Run, out: Path, review_file: Path) -> None:
    refused(transfer(review_file, source=review_file), out, "is no folder")


@pytest.fixture
def broken(bert_folder: Path, tmp_path: Path) -> Path:
    """A model folder that a test may break."""
    return Path(shutil.copytree(bert_folder, tmp_path / "bert"))


def test_a_model_with_only_a_pickle(transfer: Run, out: Path, review_file: Path, broken: Path) -> None:
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    refused(transfer(review_file, source=broken), out, "only a pickle (pytorch_model.bin)")


def test_a_model_with_a_wrong_shape(transfer: Run, out: Path, review_file: Path, broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    refused(transfer(review_file, source=broken), out, "shape")


def test_truncated_weights(transfer: Run, out: Path, review_file: Path, broken: Path) -> None:
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    refused(transfer(review_file, source=broken), out, str(broken))


def test_a_model_with_a_path_that_climbs_out(
    transfer: Run, out: Path, review_file: Path, broken: Path, tmp_path: Path
) -> None:
    (broken / "vocab.txt").rename(tmp_path / "vocab.txt")
    (broken / "vocab.txt").symlink_to(tmp_path / "vocab.txt")
    refused(transfer(review_file, source=broken), out, "leads out of the model folder")


def test_a_model_that_asks_to_run_code(transfer: Run, out: Path, review_file: Path, broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Evil"}}))
    refused(transfer(review_file, source=broken), out, "code of its own")


def test_a_later_format(run: Run, review_file: Path, transfer: Run, out: Path) -> None:
    assert transfer(review_file).code == 0
    manifest = json.loads((out / "transferlm.json").read_text())
    (out / "transferlm.json").write_text(json.dumps({**manifest, "format": 99}))
    told = run("predict", out, "text")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "format 99" in told.err


def test_a_maximum_length_over_the_models_positions(
    transfer: Run, out: Path, broken: Path, review_file: Path, tmp_path: Path
) -> None:
    long = [(("good " if label == "positive" else "bad ") * 100 + str(n), label) for n, (_, label) in enumerate(ROWS)]
    told = transfer(table(tmp_path / "long.csv", long), "--max-length", "500", source=broken)
    refused(told, out, "64")


@pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tuning"])
@pytest.mark.parametrize("family", ["masked_transformer", "recurrent", "universal_sentence_encoder"])
def test_a_family_that_has_no_weights_yet(family: str, strategy: str, run: Run, out: Path, review_file: Path) -> None:
    told = run("transfer", family, review_file, "--strategy", strategy, "-o", out)
    refused(told, out, family if strategy == "feature_extraction" else "")


def test_a_flag_that_the_source_does_not_have(transfer: Run, out: Path, review_file: Path) -> None:
    refused(transfer(review_file, "--max-length", "9"), out, "tfidf", "max_length")


@pytest.mark.parametrize("source", ["masked_transformer", "recurrent"])
def test_checking_lengths_with_a_source_that_has_no_tokens(run: Run, review_file: Path, source: str) -> None:
    told = run("check", review_file, "--from", source)
    assert (told.code, told.err.count("\n")) == (1, 1)


@pytest.mark.parametrize("weights", ["positive=-2", "positive=0,negative=0", "positive=nan", "positive=inf"])
def test_senseless_class_weights(transfer: Run, out: Path, review_file: Path, weights: str) -> None:
    refused(transfer(review_file, "--class-weights", weights), out, "class_weights")


def test_a_solver_without_steps(transfer: Run, out: Path, review_file: Path) -> None:
    refused(transfer(review_file, "--steps", "0"), out, "steps 0")


def test_what_stands_at_the_output_is_never_overwritten(run: Run, review_file: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    told = run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "thesis")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "is no model folder" in told.err
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


@pytest.mark.parametrize("command", ["transfer", "pretrain"])
def test_an_output_that_is_taken_is_refused_before_any_work(
    command: str, run: Run, review_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transferlm import lifecycle

    def work(*_: object, **__: object) -> None:
        raise AssertionError("hours of training, for nothing")

    monkeypatch.setattr(lifecycle, command, work)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    words = {
        "transfer": ("transfer", "tfidf", review_file, "--strategy", "feature_extraction"),
        "pretrain": ("pretrain", "recurrent", review_file, "--column", "text"),
    }[command]
    told = run(*words, "-o", tmp_path / "thesis")
    assert told.code == 1
    assert "is no model folder" in told.err


def test_an_output_that_can_not_be_made(run: Run, review_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    told = run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", tmp_path / "file" / "m")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "Traceback" not in told.err


# ------------------------------------------------------------------ corpora


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.txt", b"", "empty"),
        ("blank.txt", b"\n \n", "empty"),
        ("binary.txt", b"\x00\x01\x02", "NUL"),
        ("latin.txt", "caf\xe9\n".encode("latin-1"), "latin-1"),
        ("cut.txt.gz", gzip.compress(b"some words\n" * 500)[:-20], "cut off"),
        ("short.txt", b"two words\n", "too few to read in 32 lanes"),
        ("table.csv", b"text,label\na,b\n", "--column"),
    ],
)
def test_a_corpus_that_can_not_be_read(
    name: str, content: bytes, told: str, run: Run, out: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    refused(run("pretrain", "recurrent", tmp_path / name, "-o", out), out, told)


RESERVED = "this text holds <s> or </s> as a word"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the corpus is empty: text.txt holds no text"),
        (b"\n \n\t\n", "the corpus is empty: text.txt holds no text"),
        (b"some words\nsome\0 more\n", "text.txt, line 2: a NUL byte"),
        ("some words\n\ncaf\xe9\n".encode("latin-1"), "text.txt, line 3: byte 0xE9 at offset 15 is no utf-8"),
        (b"some words\n\nand </s> more\n", f"text.txt, line 3: {RESERVED}"),
        (b"<s> some words </s>\n", f"text.txt, line 1: {RESERVED}"),
    ],
)
def test_a_corpus_that_can_not_be_counted(content: bytes, told: str, run: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    refused(run("pretrain", "kneser_ney", tmp_path / "text.txt", "-o", out), out, told)


def test_where_a_reserved_word_stands_is_told_for_tables_pipes_and_updates(run: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,n\n"two\nlines",1\n,2\na <s> b,3\n')
    told = run("pretrain", "witten_bell", tmp_path / "t.csv", "--column", "text", "-o", out)
    refused(told, out, f"t.csv, line 5: {RESERVED}")
    refused(
        run("pretrain", "witten_bell", "-", "-o", out, stdin=b"a\n<s>\n"), out, f"standard input, line 2: {RESERVED}"
    )
    (tmp_path / "old.txt").write_text("some words\n")
    (tmp_path / "new.txt").write_text("words\n" * 50 + "\nand <s>\n")
    assert run("pretrain", "witten_bell", tmp_path / "old.txt", "-o", tmp_path / "m").code == 0
    told = run("update", tmp_path / "m", tmp_path / "new.txt", "--method", "count_merging", "-o", out)
    refused(told, out, f"new.txt, line 52: {RESERVED}")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--order", "0"), "order 0: give 1 to 10"),
        (("--order", "11"), "order 11: give 1 to 10"),
        (("--memory", "1K"), "memory '1K': give a size such as 512M or 2G, 16M or more"),
        (("--memory", "1M"), "memory '1M'"),
    ],
)
def test_counting_with_senseless_settings(
    flags: tuple[str, str], told: str, run: Run, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("some words\n")
    refused(run("pretrain", "kneser_ney", tmp_path / "text.txt", "-o", out, *flags), out, told)


def test_a_word_of_a_million_characters_goes_all_the_way(run: Run, out: Path, tmp_path: Path) -> None:
    text, arpa = tmp_path / "text.txt", tmp_path / "m.arpa"
    text.write_text("é" * 1_000_000 + " b\nb c\n", encoding="utf-8")
    assert run("pretrain", "kneser_ney", text, "--order", "3", "-o", out).code == 0
    ours = run("evaluate", out, text, "--json")
    assert run("export", out, arpa).code == 0
    imported = run("evaluate", arpa, text, "--json")
    found = [json.loads(told.out)["scores"] for told in (ours, imported)]
    assert found[0]["tokens"] == 6
    assert found[0]["nats"] == pytest.approx(found[1]["nats"], abs=1e-4)
    text.write_text("é" * 1_000_001 + " b\n", encoding="utf-8")
    unknown = json.loads(run("evaluate", out, text, "--json").out)["scores"]
    assert unknown["unknown_share"] == pytest.approx(1 / 3)
    assert unknown["bits_per_byte"] > 0


@pytest.mark.parametrize("unit", ["word", "character"])
def test_a_line_of_ten_million_characters_is_a_text(unit: str, run: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("ab " * 3_400_000 + "\nx y\n")
    told = run("pretrain", "witten_bell", tmp_path / "text.txt", "--unit", unit, "-o", out, "--json")
    assert (told.code, told.err) == (0, ""), told.err


INTERRUPTED = """
import os, signal, sys
from transferlm.cli import main
from transferlm.counts import counting
from transferlm.text._numbering import SymbolStream

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that started this in the background ignores it
sent = False

def interrupted_after(work):
    def done(*given):
        global sent
        found = work(*given)
        if not sent:
            sent = True
            os.kill(os.getpid(), signal.SIGINT)
        return found
    return done

if sys.argv[3] == "symbols":
    SymbolStream._write = interrupted_after(SymbolStream._write)
else:
    counting.write_run = interrupted_after(counting.write_run)
main(["pretrain", "kneser_ney", sys.argv[1], "--memory", "16M", "-o", sys.argv[2], "-q"])
"""


@pytest.mark.parametrize("written", ["symbols", "runs"])
def test_counting_on_disk_that_is_interrupted_leaves_nothing(written: str, out: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{i * 7919 % 99991} {i % 4093} {i % 31}\n" for i in range(1_200_000)))
    words = [sys.executable, "-c", INTERRUPTED, str(text), str(out), written]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert list(out.parent.iterdir()) == []


# ------------------------------------------------------------------ ARPA files

ARPA = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-99 <s> -0.3
-1 </s>
-1 a -0.2
-1 b

\\2-grams:
-0.5 a b

\\end\\
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ngram 2=1\n", "", "line 5: an n-gram of the highest order has a back-off weight: does the header count"),
        ("1=4", "1=5", "line 10: the header counts 5 n-grams of order 1, and there are 4"),
        ("1=4", "1=3", "line 9: '-1 b' stands where \\2-grams: is due"),
        ("-1 a", "nan a", "line 8: a log-probability that is not a number"),
        ("-1 a", "+inf a", "line 8: a log-probability above 0"),
        ("-1 b", "-1 a", "line 9: n-gram 'a' stands on line 8 already"),
        ("a b\n", "a c\n", "line 12: 'c' is not among the unigrams"),
        ("a b\n", "a b 0 0\n", "line 12: '-0.5 a b 0 0' is no n-gram of order 2"),
        ("\n\\end\\\n", "", "line 12: the file is cut short: \\end\\ is due"),
        (" b\n", " \udce9\n", "line 9: the word '\ufffd' is no UTF-8"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "generate"])
def test_an_arpa_file_that_can_not_be_read(
    command: str, old: str, new: str, told: str, run: Run, tmp_path: Path
) -> None:
    arpa, text = tmp_path / "m.arpa", tmp_path / "text.txt"
    text.write_text("a b\n")
    words = {"evaluate": (arpa, text), "generate": (arpa,)}[command]
    arpa.write_text(ARPA)
    assert run(command, *words).code == 0
    assert old in ARPA
    arpa.write_bytes(ARPA.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    failed = run(command, *words)
    assert (failed.code, failed.out, failed.err.count("\n")) == (1, "", 1)
    assert f"{arpa}, {told}" in failed.err


def test_an_arpa_archive_that_is_cut_off(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a b\n")
    (tmp_path / "m.arpa.gz").write_bytes(gzip.compress(ARPA.encode())[:-12])
    failed = run("evaluate", tmp_path / "m.arpa.gz", tmp_path / "text.txt")
    assert (failed.code, failed.out, failed.err.count("\n")) == (1, "", 1)
    assert f"{tmp_path / 'm.arpa.gz'}, line " in failed.err


def test_a_probability_of_0_is_no_figure_and_no_crash(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("".join(f"some words {i % 7}\n" for i in range(60)))
    (tmp_path / "new.txt").write_text("".join(f"never seen {i}\n" for i in range(60)))
    model, new, old = tmp_path / "m", tmp_path / "new.txt", tmp_path / "old.txt"
    assert run("pretrain", "maximum_likelihood", old, "-o", model).code == 0
    told = json.loads(run("evaluate", model, new, "--json").out)["scores"]
    assert [told[name] for name in ("perplexity", "bits_per_byte", "bits_per_token", "nats")] == [None] * 4
    assert "inf a token" in run("evaluate", model, new).out
    told = run("update", model, new, "--method", "count_merging", "-o", tmp_path / "n", "--json")
    assert json.loads(told.out)["new"]["before"] is None, told.err
    assert "new text before: the loss was infinite" in run("show", tmp_path / "n").out
    limited = ("--old", tmp_path / "new.txt", "--max-forgetting", "0.5")
    told = run("update", model, old, "--method", "count_merging", "-o", tmp_path / "o", *limited)
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "the old text has probability 0 before the update already" in told.err


def test_a_missing_corpus(run: Run, out: Path, tmp_path: Path) -> None:
    refused(run("pretrain", "recurrent", tmp_path / "nothing.txt", "-o", out), out, "nothing.txt", "no such file")


def test_a_senseless_hyper_parameter(run: Run, out: Path, review_file: Path) -> None:
    told = run("pretrain", "recurrent", review_file, "--column", "text", "--dropout", "1.5", "-o", out)
    refused(told, out, "dropout 1.5")


# ------------------------------------------------------------------ compressing


@pytest.fixture
def unsmoothed(run: Run, tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("a good film\na warm room\n", encoding="utf-8")
    (tmp_path / "new.txt").write_text("a cold room\n", encoding="utf-8")
    made = run("pretrain", "maximum_likelihood", tmp_path / "text.txt", "--order", 2, "-o", tmp_path / "m")
    assert made.code == 0, made.err
    return tmp_path / "m"


def test_a_test_text_of_probability_0_is_told_as_infinite(run: Run, unsmoothed: Path, out: Path) -> None:
    asked = "compress", unsmoothed, "-o", out, "--test", unsmoothed.parent / "new.txt"
    told = run(*asked)
    assert told.code == 0, told.err
    assert told.out.endswith("perplexity: infinite -> infinite\n")
    assert "perplexity after: infinite, some token of new.txt has probability 0" in told.err
    document = json.loads(run(*asked, "--json").out)
    assert document["perplexity"] == {"before": None, "after": None, "rise": None}
    assert "some token" in run("show", out).out


def test_a_model_is_not_compressed_onto_itself(run: Run, unsmoothed: Path) -> None:
    told = run("compress", unsmoothed, "-o", unsmoothed.parent / "x" / ".." / "m")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "give another folder" in told.err
    assert "maximum_likelihood" in run("show", unsmoothed).out


def test_a_cache_is_not_fitted_to_what_has_no_probability(run: Run, unsmoothed: Path) -> None:
    text = unsmoothed.parent / "new.txt"
    other = unsmoothed.parent / "other.txt"
    other.write_text("the film was good\n")
    told = run("evaluate", unsmoothed, other, "--cache", "--tune", text)
    assert (told.code, told.out) == (1, "")
    assert "token 2 of new.txt has no probability" in told.err
    assert "Warning" not in told.err


def test_a_prompt_that_is_no_utf_8(run: Run, unsmoothed: Path) -> None:
    told = run("generate", unsmoothed, "a \udcff film")
    assert (told.code, told.out) == (1, "")
    assert "half a surrogate pair (U+DCFF) at character 3" in told.err
