"""One-time conversions: the content survives to the letter, and what could run code never does."""

from __future__ import annotations

import csv
import json
import pickle

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tiny_sentence_encoder
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from transferlm.errors import SourceError
from transferlm.sources import convert as conversions
from transferlm.sources.convert import convert
from transferlm.sources.sentencepiece import to_tokenizer


def files(folder) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_pickle_of_tensors_becomes_safetensors(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    weights = {"a": shared, "b": shared, "c": shared.T, "embeddings.position_ids": torch.arange(4)}
    torch.save(weights, tmp_path / "pytorch_model.bin")
    convert("pickle", tmp_path)
    assert files(tmp_path) == ["model.safetensors"]
    found = load_file(tmp_path / "model.safetensors")
    assert sorted(found) == ["a", "b", "c"]
    assert found["c"].tolist() == shared.T.tolist()


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "was-run"), "w"))

    with (tmp_path / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"a": Evil()}, file, protocol=2)
    with pytest.raises(SourceError, match="holds more than tensors: refused") as error:
        convert("pickle", tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "was-run").exists()


def test_word_vectors_keep_their_words_and_order(tmp_path):
    words, vectors = ["the", ",", "\u00a0", "naïve"], np.arange(8, dtype=np.float32).reshape(4, 2)
    write_vectors(tmp_path, words, vectors)
    convert("word_vectors", tmp_path)
    assert files(tmp_path) == ["vectors.safetensors", "words.txt"]
    assert (tmp_path / "words.txt").read_bytes().decode().split("\n") == [*words, ""]
    assert np.array_equal(load_file(tmp_path / "vectors.safetensors")["vectors"], vectors)


@pytest.mark.parametrize("words", [["a", "b"], ["a", "a", "b"], ["a", "b\nc", "d"]])
def test_word_vectors_that_do_not_fit_their_words_are_refused(tmp_path, words):
    write_vectors(tmp_path, words, np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(SourceError):
        convert("word_vectors", tmp_path)


def test_vectors_that_hold_objects_are_not_unpickled(tmp_path):
    write_vectors(tmp_path, ["a"], np.array([{"an": "object"}], dtype=object))
    with pytest.raises(SourceError, match="allow_pickle=False"):
        convert("word_vectors", tmp_path)


def write_vectors(folder, words, vectors):
    np.save(folder / "vectors.npy", vectors)
    pyarrow.parquet.write_table(pyarrow.table({"index": words}), folder / "words.parquet")


@pytest.fixture
def any_count(monkeypatch):
    """Let a handful of reviews stand for the full set, and hand their counts back."""
    counted = []
    monkeypatch.setattr(conversions, "_expect", lambda found, expected: counted.append((found, expected)))
    return counted


def test_imdb_keeps_the_text_to_the_letter(tmp_path, any_count):
    text = 'He said "no".<br /><br />Then,  it ends '
    with (tmp_path / "raw.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("review", "sentiment"), (text, "negative"), ("fine\nfilm", "positive")])
    convert("imdb", tmp_path)
    assert files(tmp_path) == ["imdb.csv"]
    with (tmp_path / "imdb.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["text", "label"], [text, "negative"], ["fine\nfilm", "positive"]]
    assert any_count[0][0] == {"negative": 1, "positive": 1}


def test_a_review_set_of_another_size_is_refused(tmp_path):
    (tmp_path / "raw.csv").write_text("review,sentiment\nfine,positive\n")
    with pytest.raises(SourceError, match=r"\{'positive': 1\}, not"):
        convert("imdb", tmp_path)


def test_chinese_reviews_are_lines_with_a_label(tmp_path, any_count):
    (tmp_path / "positive.txt").write_bytes("很好，\u2028 不错 \n好\n".encode())
    (tmp_path / "negative.txt").write_bytes("差\n\n".encode())
    convert("chinese_reviews", tmp_path)
    assert files(tmp_path) == ["chinese-reviews.csv"]
    with (tmp_path / "chinese-reviews.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert rows == [["很好，\u2028 不错 ", "positive"], ["好", "positive"], ["差", "negative"]]


def test_the_sentence_encoder_keeps_its_table_in_codes(tmp_path):
    tiny_sentence_encoder.write_packaged(tmp_path)
    with np.load(tmp_path / "weights.npz") as given:
        block, kernel = given["q2"], given["w1_3"]
    convert("universal_sentence_encoder", tmp_path)
    assert files(tmp_path) == ["config.json", "model.safetensors", "tokenizer.json"]
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors["embedding.codes"].dtype == np.uint8
    assert np.array_equal(tensors["embedding.codes"][1::3], block)
    assert np.array_equal(tensors["ngram.3.convolution.1.weight"][1], kernel[4:8])
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["dense_sizes"] == [5, 6, 7, 9]
    assert config["model_type"] == "universal_sentence_encoder"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the cat", ["▁the", "▁", "c", "a", "t"]),
        ("  singing \t\n", None),
        ("好的!", ["▁", "好", "的", "!"]),
        ("the ☃☃☃ b", ["▁the", "▁", "<unk>", "▁", "b"]),
        ("", []),
        ("   ", []),
    ],
)
def test_a_sentencepiece_model_becomes_a_tokenizer(tmp_path, text, pieces):
    (tmp_path / "sp.model").write_bytes(tiny_sentence_encoder.sentencepiece_model())
    to_tokenizer(tmp_path / "sp.model", tmp_path / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = tokenizer.encode(text).ids
    expected = pieces if pieces is not None else ["▁", "s", "ing", "ing"]
    assert [tiny_sentence_encoder.PIECES[i] for i in ids] == ["<s>", *expected, "</s>"]


@pytest.mark.parametrize(
    "content", [b"", b"\x0a\xff\xff", b"not a model", tiny_sentence_encoder.sentencepiece_model()[:50]]
)
def test_what_is_no_sentencepiece_model_is_one_clear_line(tmp_path, content):
    (tmp_path / "sp.model").write_bytes(content)
    with pytest.raises(SourceError, match=r"sp\.model is no sentencepiece model"):
        to_tokenizer(tmp_path / "sp.model", tmp_path / "tokenizer.json")
