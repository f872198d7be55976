"""Masked language modelling: what is hidden, how it is scored, and where the head comes from and goes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

import transferlm as tl
from transferlm.errors import ModelFolderError, UnsupportedError
from transferlm.models._masked_language import Hideable, hide
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.updates.continued_pretraining import ContinuedPretraining

ORDINARY = np.array([False] * 5 + [True] * 995)


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


# ------------------------------------------------------------------ hiding


def test_fifteen_per_cent_are_hidden_as_the_paper_says() -> None:
    draw = np.random.default_rng(0)
    rows = [np.concatenate([[2], draw.integers(5, 1000, 200), [3]]) for _ in range(200)]
    hidden, places = hide(rows, Hideable(4, 0, ORDINARY), np.random.default_rng(1))
    assert {len(chosen) for chosen in places} == {30}
    now = np.concatenate([h[c] for h, c in zip(hidden, places, strict=True)])
    was = np.concatenate([r[c] for r, c in zip(rows, places, strict=True)])
    assert (now == 4).mean() == pytest.approx(0.8, abs=0.02)
    assert (now == was).mean() == pytest.approx(0.1, abs=0.02)
    assert ((now != 4) & (now != was)).mean() == pytest.approx(0.1, abs=0.02)
    assert now[now != 4].min() >= 5, "a random token is an ordinary one"
    for row, ids, chosen in zip(rows, hidden, places, strict=True):
        others = np.delete(np.arange(len(row)), chosen)
        assert np.array_equal(row[others], ids[others])
        assert 0 not in chosen
        assert 201 not in chosen


def test_short_texts_have_one_token_hidden_and_marks_none() -> None:
    rows = [np.array([2, 9, 3]), np.array([2, 3])]
    _, places = hide(rows, Hideable(4, 0, ORDINARY), np.random.default_rng(0))
    assert [chosen.tolist() for chosen in places] == [[1], []]


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
    tokens = sum(len(t) - 2 for t in model.tokenizer.encode(review_texts))
    assert int((reader.rows.lengths - 2).sum()) == tokens
    assert reader.rows.lengths.max() == 8


def test_without_a_head_there_is_no_loss(bert_folder: Path, review_texts: list[str]) -> None:
    with pytest.raises(UnsupportedError, match="no masked-LM head"):
        opened(bert_folder).objective(tl.Corpus(review_texts))


# ------------------------------------------------------------------ the head


def test_a_published_head_gives_the_scores_of_the_library_that_wrote_it(bert_folder: Path, tmp_path: Path) -> None:
    theirs = with_head(bert_folder, tmp_path / "lm")
    ours = opened(tmp_path / "lm")
    assert not ours.lacks_head
    ids = torch.tensor([[2, 7, 4, 9, 3]])
    with torch.inference_mode():
        wanted = theirs(input_ids=ids).logits
        found = ours.head(ours.module(input_ids=ids).last_hidden_state, ours.embedding.weight)  # type: ignore[misc]
    assert torch.allclose(found, wanted, atol=1e-5)


def test_robertas_head_is_found_too(bert_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "roberta"
    opened(bert_folder).tokenizer.save(folder)
    count = len(opened(bert_folder).tokenizer)
    config = RobertaConfig(
        vocab_size=count,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        pad_token_id=0,
    )
    theirs = RobertaForMaskedLM(config).eval()
    theirs.save_pretrained(folder)
    ours = opened(folder)
    ids = torch.tensor([[2, 7, 4, 9, 3]])
    with torch.inference_mode():
        wanted = theirs(input_ids=ids).logits
        found = ours.head(ours.module(input_ids=ids).last_hidden_state, ours.embedding.weight)  # type: ignore[misc]
    assert torch.allclose(found, wanted, atol=1e-5)


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
    assert (tmp_path / "m" / "masked_head.safetensors").is_file()
    again = ContinuedPretraining(steps=3).update(opened(tmp_path / "m"), review_texts)
    assert not any("head" in note for note in again.lineage.notes)
    assert again.lineage.parents[0]["notes"] == made.lineage.notes


def test_a_lost_head_is_noticed(bert_folder: Path, tmp_path: Path) -> None:
    model = opened(bert_folder)
    model.add_head(0)
    model.save(tmp_path / "m")
    (tmp_path / "m" / "masked_head.safetensors").unlink()
    with pytest.raises(ModelFolderError, match="masked_head"):
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
