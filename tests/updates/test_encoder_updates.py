"""Contrastive pretraining and denoising: what they do to an encoder, and what they leave alone."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masked_folders import write, write_llama

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.models.recurrent import Recurrent
from transferlm.neural.batching import Batch, EpochBatch
from transferlm.updates._encoder_text import EncoderText
from transferlm.updates._text_decoder import TextDecoder
from transferlm.updates.contrastive_pretraining import ContrastivePretraining
from transferlm.updates.denoising import Denoising, _thinned

METHODS = [ContrastivePretraining(steps=4, batch_size=8), Denoising(steps=4, batch_size=8)]


def opened(folder: Path) -> MaskedTransformer:
    model = tl.load(folder)
    assert isinstance(model, MaskedTransformer)
    return model


def mean_cosine(model: Any, texts: list[str]) -> float:
    vectors = model.encode(texts).features
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    return float(cosines[~np.eye(len(texts), dtype=bool)].mean())


def test_contrastive_pretraining_spreads_the_texts(bert_folder: Path, review_texts: list[str]) -> None:
    model = opened(bert_folder)
    made = ContrastivePretraining(steps=60, epochs=20, learning_rate=1e-3).update(model, review_texts[:60])
    assert mean_cosine(made, review_texts[60:]) < mean_cosine(model, review_texts[60:]) - 0.05


def test_denoising_lowers_its_loss(bert_folder: Path, review_texts: list[str]) -> None:
    def loss(steps: int) -> float:
        method = Denoising(steps=steps, epochs=99, learning_rate=1e-3)
        return method.update(opened(bert_folder), review_texts).lineage.scores["train_loss"]

    assert loss(120) < loss(4) - 0.5


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_embedding_rows_that_no_text_uses_stay(method: Any, bert_folder: Path, review_texts: list[str]) -> None:
    model = opened(bert_folder)
    made: Any = method.update(model, review_texts)
    used = {int(i) for t in model.tokenize(review_texts) for i in t.ids} | {model.pad_id}
    unused = sorted(set(range(model.embedding.num_embeddings)) - used)
    assert unused
    assert torch.equal(made.embedding.weight[unused], model.embedding.weight[unused])
    assert made.embedding.weight.shape == model.embedding.weight.shape


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_texts_beyond_the_maximum_length_are_told(method: Any, bert_folder: Path, review_texts: list[str]) -> None:
    model = opened(bert_folder)
    model.adjust(max_length=6)
    notes = method.update(model, review_texts).lineage.notes
    assert notes == [
        "80 of 80 texts fill the maximum length of 6 tokens: what stands beyond it was not read",
    ]


def test_nothing_of_the_decoder_is_kept(bert_folder: Path, review_texts: list[str]) -> None:
    made: Any = METHODS[1].update(opened(bert_folder), review_texts)
    assert set(made.module.state_dict()) == set(opened(bert_folder).module.state_dict())
    assert made.head is None


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_padding_may_be_a_token_that_no_text_holds(method: Any, review_texts: list[str], tmp_path: Path) -> None:
    """And dropout may be a function's argument, not a layer."""
    write_llama(tmp_path / "m")
    assert method.update(tl.load(tmp_path / "m"), review_texts).lineage.scores["steps"] == 4


def test_rows_that_no_text_uses_change_nothing_where_padding_has_another_number_without_them(
    review_texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("camembert", tmp_path / "m")
    method = ContrastivePretraining(steps=4, batch_size=8, precision="fp32")
    small = method.update(tl.load(tmp_path / "m"), review_texts).lineage.scores["train_loss"]
    monkeypatch.setattr(
        "transferlm.updates.contrastive_pretraining.only_rows",
        lambda embedding, used: nullcontext(np.arange(embedding.num_embeddings)),
    )
    whole = method.update(tl.load(tmp_path / "m"), review_texts).lineage.scores["train_loss"]
    assert small == pytest.approx(whole, rel=1e-4)


def test_a_text_that_stands_twice_in_a_batch_is_no_negative_of_itself(bert_folder: Path, in_fp32: None) -> None:
    model = opened(bert_folder)
    vectors = model.encode(["the film was good", "the room"]).features
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    other = np.exp((vectors[0] @ vectors[1] - 1) / 0.05)
    for texts, wanted in (
        (["the film was good", "the room"], np.log(1 + other)),
        (["the film was good", "the room", "the room"], (np.log(1 + 2 * other) + 2 * np.log(1 + other)) / 3),
    ):
        text, every = EncoderText(model, tl.Corpus(texts)), np.arange(model.embedding.num_embeddings)
        batch = EpochBatch(0, 0, np.arange(len(texts)))
        found = ContrastivePretraining()._loss(model, text, batch, every).detach()
        assert float(found) == pytest.approx(wanted, rel=1e-3)


def test_unknown_tokens_are_deleted_like_others(bert_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, lengths = opened(bert_folder), []
    plain = EncoderText.laid_out

    def laid_out(text: EncoderText, ids: Any, renamed: Any) -> Batch:
        lengths.extend(map(len, ids))
        return plain(text, ids, renamed)

    monkeypatch.setattr(EncoderText, "laid_out", laid_out)
    Denoising(steps=1).update(model, ["房 间 很 好 " * 10])
    assert lengths[0] < 30 < lengths[1] == 42


def test_a_model_without_dropout_has_no_two_views(review_texts: list[str]) -> None:
    settings = {"width": 8, "embedding_width": 8, "epochs": 1, "batch_size": 4, "sequence_length": 16}
    model = Recurrent(dropout=0.0, **settings).fit(review_texts)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"needs dropout.* try denoising"):
        METHODS[0].update(model, review_texts)


def test_one_text_has_nothing_to_be_told_from(bert_folder: Path) -> None:
    with pytest.raises(DataError, match="give two or more"):
        METHODS[0].update(opened(bert_folder), ["the film was good"])


def test_a_model_that_has_seen_no_text_says_so(review_texts: list[str]) -> None:
    with pytest.raises(DataError, match="pretrain it first"):
        METHODS[1].update(Recurrent(), review_texts)


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        (ContrastivePretraining, "temperature", 0.0),
        (ContrastivePretraining, "batch_size", 1),
        (Denoising, "deleted", 1.0),
        (Denoising, "deleted", -0.1),
        (Denoising, "decoder_layers", 0),
    ],
)
def test_settings_that_make_no_sense_are_refused(method: Any, name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        method(**{name: value})


def test_three_fifths_of_a_text_are_deleted_in_order() -> None:
    draw = np.random.default_rng(0)
    row = np.array([2, *range(10, 1010), 3])
    kept = _thinned(row, np.array([0, 2, 3]), 0.6, draw)
    assert len(kept) == pytest.approx(402, abs=50)
    assert (kept[0], kept[-1]) == (2, 3)
    assert (np.diff(kept[1:-1]) > 0).all()


def test_at_least_one_token_stays() -> None:
    for seed in range(20):
        kept = _thinned(np.array([2, 10, 11, 3]), np.array([2, 3]), 0.99, np.random.default_rng(seed))
        assert len(kept) >= 3


def test_the_decoder_sees_the_vector_and_no_later_token() -> None:
    torch.manual_seed(0)
    table = torch.nn.Embedding(20, 16)
    decoder = TextDecoder(8, table, 1).eval()
    one, other = torch.randn(1, 8), torch.randn(1, 8)

    def total(vector: torch.Tensor, *ids: int) -> float:
        """Minus the log-probability of all tokens after the first."""
        batch = Batch(torch.tensor([ids]), None, np.arange(1))
        with torch.inference_mode():
            return float(decoder.loss(vector, batch, table.weight)) * (len(ids) - 1)

    assert abs(total(one, 1, 5, 6, 7) - total(other, 1, 5, 6, 7)) > 1e-3
    # Only where no token sees a later one are the chances of all next tokens what is left of the longer texts' own.
    known = total(one, 1, 5, 6)
    assert sum(np.exp(known - total(one, 1, 5, 6, token)) for token in range(20)) == pytest.approx(1, abs=1e-5)


def test_padding_does_not_change_the_decoders_loss() -> None:
    torch.manual_seed(0)
    table = torch.nn.Embedding(20, 16)
    decoder = TextDecoder(8, table, 1).eval()
    vector = torch.randn(1, 8)
    with torch.inference_mode():
        plain = decoder.loss(vector, Batch(torch.tensor([[1, 5, 2]]), None, np.arange(1)), table.weight)
    mask = torch.tensor([[True, True, True, False]])
    with torch.inference_mode():
        padded = decoder.loss(vector, Batch(torch.tensor([[1, 5, 2, 0]]), mask, np.arange(1)), table.weight)
    assert float(plain) == pytest.approx(float(padded), abs=1e-6)
