"""Masked language modelling: what is hidden, how it is scored, and where the head comes from and goes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM

import transferlm as tl
from transferlm.errors import ModelFolderError, UnsupportedError
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.updates.continued_pretraining import ContinuedPretraining


def opened(folder: Path) -> MaskedTransformer:
    model = tl.load(folder)
    assert isinstance(model, MaskedTransformer)
    return model


def with_head(bert_folder: Path, place: Path) -> BertForMaskedLM:
    """The same little BERT with a masked-LM head, written by the library that others use."""
    place.mkdir()
    (place / "vocab.txt").write_text((bert_folder / "vocab.txt").read_text())
    config = BertConfig.from_pretrained(bert_folder)
    torch.manual_seed(1)
    made = BertForMaskedLM(config)
    with torch.no_grad():
        made.cls.predictions.bias.normal_()
    made.save_pretrained(place)
    return made.eval()


# ------------------------------------------------------------------ the loss


def test_masks_change_from_epoch_to_epoch_and_are_the_same_whenever_asked(
    bert_folder: Path, review_texts: list[str]
) -> None:
    model = opened(bert_folder)
    model.add_head(0)
    reader = model.objective(tl.Corpus(review_texts), seed=3, batch_size=8)
    with torch.inference_mode():
        first = [float(reader.loss(batch)) for batch in reader.batches(0)]
        again = [float(reader.loss(batch)) for batch in model.objective(tl.Corpus(review_texts), 3, 8).batches(0)]
        later = [float(reader.loss(batch)) for batch in reader.batches(1)]
        assert reader.mean_loss() == reader.mean_loss()
    assert first == again
    assert first != later
    assert len(first) == len(later) == 10
    rows = np.concatenate([batch.rows for batch in reader.batches(1)])
    assert sorted(rows.tolist()) == list(range(80))


def test_an_untrained_head_knows_nothing(bert_folder: Path, review_texts: list[str]) -> None:
    model = opened(bert_folder)
    model.add_head(0)
    with torch.inference_mode():
        loss = model.objective(tl.Corpus(review_texts)).mean_loss()
    assert loss == pytest.approx(np.log(model.embedding.num_embeddings), rel=0.1)


def test_long_texts_are_read_to_their_end(bert_folder: Path, review_texts: list[str]) -> None:
    model = opened(bert_folder)
    model.adjust(max_length=8)
    model.add_head(0)
    reader = model.objective(tl.Corpus(review_texts))
    tokenizer: Any = model.tokenizer
    tokens = sum(len(t) - 2 for t in tokenizer.encode(review_texts))
    rows = [reader.hidden(row, 0)[0] for batch in reader.batches(0) for row in batch.rows.tolist()]
    assert sum(len(row) - 2 for row in rows) == tokens
    assert max(map(len, rows)) == 8
    assert all((row[0], row[-1]) == (tokenizer.begin_id, tokenizer.end_id) for row in rows)


def test_without_a_head_there_is_no_loss(bert_folder: Path, review_texts: list[str]) -> None:
    with pytest.raises(UnsupportedError, match="no masked-LM head"):
        opened(bert_folder).objective(tl.Corpus(review_texts))


# ------------------------------------------------------------------ the head


def test_a_published_head_is_used_and_not_warmed_up(bert_folder: Path, tmp_path: Path, review_texts: list[str]) -> None:
    with_head(bert_folder, tmp_path / "lm")
    made = ContinuedPretraining(steps=2).update(opened(tmp_path / "lm"), review_texts)
    assert not any("head" in note for note in made.lineage.notes)


def test_a_new_head_is_warmed_up_with_the_body_frozen_and_the_card_says_so(
    bert_folder: Path, review_texts: list[str], tmp_path: Path
) -> None:
    model = opened(bert_folder)
    seen: list[Any] = []
    made = ContinuedPretraining(steps=3, head_steps=30, head_learning_rate=1e-2).update(
        model, review_texts, measure=lambda now: seen.append((now.fingerprint, now.copy()))
    )
    warmed = seen[0][1]
    body, start = warmed.module.state_dict(), model.module.state_dict()
    assert all(torch.equal(body[name], start[name]) for name in start)
    assert all(p.requires_grad for p in made.module.parameters())  # type: ignore[attr-defined]
    fresh = opened(bert_folder)
    fresh.add_head(0)
    with torch.inference_mode():
        before = fresh.objective(tl.Corpus(review_texts)).mean_loss()
        after = warmed.objective(tl.Corpus(review_texts)).mean_loss()
    assert after < before - 0.5
    assert any("trained for 30 steps with the body frozen" in note for note in made.lineage.notes)
    made.save(tmp_path / "m")
    assert "trained for 30 steps with the body frozen" in (tmp_path / "m" / "README.md").read_text()


def test_a_second_update_goes_on_with_the_saved_head(
    bert_folder: Path, review_texts: list[str], tmp_path: Path
) -> None:
    made = ContinuedPretraining(steps=3, head_steps=3).update(opened(bert_folder), review_texts)
    made.save(tmp_path / "m")
    again = ContinuedPretraining(steps=3).update(opened(tmp_path / "m"), review_texts)
    assert not any("head" in note for note in again.lineage.notes)
    assert again.lineage.parents[0]["notes"] == made.lineage.notes


def test_a_lost_head_is_noticed(bert_folder: Path, tmp_path: Path) -> None:
    model = opened(bert_folder)
    model.add_head(0)
    model.save(tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    body = {name: tensor for name, tensor in weights.items() if name.startswith("bert.")}
    save_file(body, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelFolderError, match="the masked-LM head is missing"):
        tl.load(tmp_path / "m")


def test_the_whole_embedding_table_is_trained(bert_folder: Path, review_texts: list[str]) -> None:
    """Every row is an output: those that no text uses learn that they are not used."""
    model = opened(bert_folder)
    made: Any = ContinuedPretraining(steps=4, head_steps=2, learning_rate=1e-3).update(model, review_texts)
    moved = (made.embedding.weight != model.embedding.weight).any(dim=1)
    assert moved.float().mean() > 0.95


def test_it_learns_words_from_their_neighbours(bert_folder: Path, review_texts: list[str]) -> None:
    method = ContinuedPretraining(steps=150, head_steps=20, learning_rate=3e-3)
    _, report = tl.update(opened(bert_folder), review_texts, method)
    assert report.new is not None
    assert report.new.after.nats < 0.6 * report.new.before.nats
    assert report.new.after.bits_per_byte is None, "a pseudo-loss is no code length"
