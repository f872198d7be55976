"""The Universal Sentence Encoder agrees with its formulas written out token by token, and opens only what is whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_sentence_encoder
from safetensors.numpy import load_file, save_file

from transferlm import storage
from transferlm.errors import ModelFolderError, UnsupportedError
from transferlm.models import _universal_sentence_encoder as network
from transferlm.models.base import GradientTrained, Trainable, require
from transferlm.models.universal_sentence_encoder import UniversalSentenceEncoder
from transferlm.sources.convert import convert

TEXTS = ["the singer", "a", "", "好的!!! the " * 30, "zebras eating other zebras", "☃☃☃"]


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    tiny_sentence_encoder.write_packaged(folder)
    convert("universal_sentence_encoder", folder)
    return folder


@pytest.fixture
def folder(fetched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fetched, tmp_path / "model"))


@pytest.fixture(scope="module")
def encoder(fetched: Path) -> UniversalSentenceEncoder:
    return UniversalSentenceEncoder.read(storage.open_folder(fetched))


def written_out(ids: list[int], weights: dict[str, np.ndarray]) -> np.ndarray:
    """One text's vector in float64, one token and one n-gram at a time."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}

    def norm(row, name):
        centred = row - row.mean()
        return centred / np.sqrt((centred**2).mean() + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    groups = len(w["embedding.scale"])
    embedded = [
        w["embedding.codes"][i] * w["embedding.scale"][i % groups] + w["embedding.offset"][i % groups] for i in ids
    ]
    shares = [norm(e @ w["ngram.projection.weight"] + w["ngram.projection.bias"], "ngram.norm") for e in embedded]
    width = len(shares[0]) // 3
    branches = []
    for place, (order, before) in enumerate(((2, 0), (3, 1), (5, 2))):
        states = [share[place * width : (place + 1) * width] for share in shares]
        for layer in (1, 2):
            name = f"ngram.{order}.convolution.{layer}"
            updates = []
            for token in range(len(ids)):
                total = w[f"{name}.bias"].copy()
                for offset in range(order):
                    neighbour = token - before + offset
                    if 0 <= neighbour < len(ids):
                        total += states[neighbour] @ w[f"{name}.weight"][offset]
                updates.append(np.maximum(total, 0))
            states = [state + update for state, update in zip(states, updates, strict=True)]
        branches.append(states)
    mixed = [norm(np.concatenate(row), "norm") for row in zip(embedded, *branches, strict=True)]
    pooled = sum(row @ w["pooling.weight"] + w["pooling.bias"] for row in mixed) / np.sqrt(len(ids))
    first = np.maximum(pooled @ w["dense.0.weight"], 0)
    second = np.maximum(first @ w["dense.1.weight"] + pooled @ w["dense.1.shortcut"], 0)
    third = np.maximum(second @ w["dense.2.weight"], 0)
    last = np.tanh(third @ w["dense.3.weight"] + second @ w["dense.3.shortcut"])
    return last / np.linalg.norm(last)


def test_vectors_agree_with_the_formulas_written_out(encoder, fetched):
    weights = load_file(fetched / "model.safetensors")
    found = encoder.encode(TEXTS)
    expected = [written_out(ids.ids, weights) for ids in encoder._tokenizer.encode_batch(TEXTS)]
    assert found.features.dtype == np.float32
    assert found.features.shape == (len(TEXTS), encoder.encoding_width) == (6, 9)
    np.testing.assert_allclose(found.features, expected, atol=2e-6)
    assert found.read.tolist() == [1.0] * len(TEXTS)


@pytest.mark.parametrize("block", [1, 3, 16])
def test_where_blocks_are_cut_changes_nothing(encoder, monkeypatch, block):
    whole = encoder.encode(TEXTS).features
    monkeypatch.setattr(network, "BLOCK", block)
    np.testing.assert_allclose(encoder.encode(TEXTS).features, whole, atol=2e-6)


def test_a_text_has_the_same_vector_in_any_company(encoder, monkeypatch):
    together = encoder.encode(TEXTS * 100).features
    alone = np.concatenate([encoder.encode([text]).features for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (100, 1)), atol=2e-6)


def test_no_texts_are_no_vectors(encoder):
    assert encoder.encode([]).features.shape == (0, 9)


def test_a_saved_model_gives_the_same_vectors_to_the_bit(encoder, tmp_path):
    encoder.save(tmp_path / "saved")
    again = UniversalSentenceEncoder.read(storage.open_folder(tmp_path / "saved"))
    assert np.array_equal(again.encode(TEXTS).features, encoder.encode(TEXTS).features)
    assert again.fingerprint == encoder.fingerprint == encoder.copy().fingerprint


def test_other_weights_have_another_fingerprint(encoder, folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["dense.0.weight"][0, 0] += 1
    save_file(tensors, folder / "model.safetensors")
    assert UniversalSentenceEncoder.read(storage.open_folder(folder)).fingerprint != encoder.fingerprint


@pytest.mark.parametrize("capability", [Trainable, GradientTrained])
def test_it_cannot_be_trained_and_says_so(encoder, capability):
    with pytest.raises(UnsupportedError, match="which universal_sentence_encoder is not"):
        require(encoder, [capability], "fine_tuning")


def test_without_weights_it_says_where_they_come_from():
    with pytest.raises(ModelFolderError, match="transferlm fetch use-multilingual"):
        UniversalSentenceEncoder().encode(["text"])


def _drop(tensors):
    del tensors["pooling.bias"]


def _reshape(tensors):
    tensors["norm.bias"] = tensors["norm.bias"][:-1]


def _retype(tensors):
    tensors["embedding.codes"] = tensors["embedding.codes"].astype(np.float32)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop, r"tensor pooling\.bias is missing"),
        (_reshape, r"tensor norm\.bias is float32\(19,\), config\.json says float32\(20,\)"),
        (_retype, r"tensor embedding\.codes is float32.*, config\.json says uint8"),
    ],
)
def test_tensors_that_do_not_fit_are_one_clear_line(folder, damage, message):
    tensors = load_file(folder / "model.safetensors")
    damage(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelFolderError, match=message) as error:
        UniversalSentenceEncoder.read(storage.open_folder(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "{}", r"does not give the sizes of this network \('vocab_size'\)"),
        ("config.json", "[", "is no JSON"),
        ("tokenizer.json", "{}", r"tokenizer\.json is damaged"),
        ("model.safetensors", "xxxxxxxxxx", "can't be read"),
    ],
)
def test_a_damaged_file_is_one_clear_line(folder, name, content, message):
    (folder / name).write_text(content)
    with pytest.raises(ModelFolderError, match=message) as error:
        UniversalSentenceEncoder.read(storage.open_folder(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("size", "value"), [("dense_sizes", [1, 2]), ("ngram_orders", []), ("hidden_size", -8)])
def test_sizes_that_make_no_network_are_one_clear_line(folder, size, value):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {size: value}))
    with pytest.raises(ModelFolderError) as error:
        UniversalSentenceEncoder.read(storage.open_folder(folder))
    assert "\n" not in str(error.value)


def test_a_tokenizer_larger_than_the_table_is_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    tensors["embedding.codes"] = tensors["embedding.codes"][:10]
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 10}))
    with pytest.raises(ModelFolderError, match="they don't belong together"):
        UniversalSentenceEncoder.read(storage.open_folder(folder))
