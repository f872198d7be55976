"""Every bidirectional architecture against `transformers` itself, opened, saved and trained from scratch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masked_folders import KINDS, TEXTS, write
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

import transferlm as tl
from transferlm.errors import ModelFolderError, SettingError
from transferlm.models._masked_shapes import SHAPES
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.neural.batching import collate
from transferlm.neural.embedding import only_rows

Both = tuple[MaskedTransformer, Any, Path]


def opened(folder: Path) -> MaskedTransformer:
    model = tl.load(folder)
    assert isinstance(model, MaskedTransformer)
    return model


@pytest.fixture(params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path: Path, in_fp32: None) -> Both:
    """A folder, opened by us and by the library that wrote it."""
    theirs = write(request.param, tmp_path / "theirs")
    return opened(tmp_path / "theirs"), theirs, tmp_path / "theirs"


def theirs_of(folder: Path, module: Any, texts: list[str]) -> tuple[Any, torch.Tensor]:
    """Their tokens, padded, and their outputs."""
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return tokens, module(**tokens, output_hidden_states=True)


def ours_of(model: MaskedTransformer, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Our states and scores of the same padded batch."""
    ids = [tokens.ids for tokens in model.tokenize(texts)]
    batch = collate(ids, np.arange(len(ids)), model.pad_id, torch.device("cpu"))
    assert model.head is not None
    with torch.inference_mode():
        states = model.token_states(batch)
        return states, model.head(states, model.embedding.weight)


def test_states_and_scores_are_those_of_transformers(both: Both) -> None:
    model, theirs, folder = both
    tokens, wanted = theirs_of(folder, theirs, TEXTS)
    states, scores = ours_of(model, TEXTS)
    for row, mask in enumerate(tokens["attention_mask"].bool()):
        assert model.tokenize(TEXTS)[row].ids.tolist() == tokens["input_ids"][row][mask].tolist()
        assert torch.allclose(states[row][mask], wanted.hidden_states[-1][row][mask], atol=1e-5)
        assert torch.allclose(scores[row][mask], wanted.logits[row][mask], atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooled_vectors_do_not_depend_on_padding_and_order(both: Both, pooling: str) -> None:
    model, theirs, folder = both
    model.adjust(pooling=pooling)
    found = model.encode(TEXTS).features
    for text, vector in zip(TEXTS, found, strict=True):
        states = theirs_of(folder, theirs, [text])[1].hidden_states[-1][0]
        wanted = states[0] if pooling == "cls" else states.mean(dim=0)
        assert np.allclose(vector, wanted.numpy(), atol=1e-5)
    assert np.allclose(model.encode(TEXTS[::-1]).features[::-1], found, atol=1e-5)


def test_what_is_saved_opens_in_transformers_with_its_head(both: Both, tmp_path: Path) -> None:
    model, theirs, folder = both
    model.save(tmp_path / "ours")
    module = AutoModelForMaskedLM.from_pretrained(tmp_path / "ours").eval()
    _, wanted = theirs_of(folder, theirs, TEXTS)
    tokens, found = theirs_of(tmp_path / "ours", module, TEXTS)
    mask = tokens["attention_mask"].bool()
    assert torch.allclose(found.logits[mask], wanted.logits[mask], atol=1e-5)
    assert opened(tmp_path / "ours").fingerprint == model.fingerprint


def test_the_longest_text_fits_the_positions_and_no_longer_one(both: Both) -> None:
    model, theirs, _ = both
    longest = model.max_length
    assert longest == (40 if model.module.config.model_type in ("bert", "distilbert", "electra") else 38)
    text = " ".join(["film"] * 60)
    (ids,) = (tokens.ids for tokens in model.tokenize([text]))
    assert len(ids) == longest
    with torch.inference_mode():
        wanted = theirs(input_ids=torch.tensor(ids[None].astype(np.int64)), output_hidden_states=True)
    assert np.allclose(model.encode([text]).features[0], wanted.hidden_states[-1][0].mean(dim=0).numpy(), atol=1e-5)
    with pytest.raises(SettingError, match=f"know {longest} positions"):
        model.adjust(max_length=longest + 1)


def test_renamed_rows_give_the_same_states(both: Both) -> None:
    """The padding's number changes, too: a CamemBERT uses no number below it."""
    model, *_ = both
    tokens = [t.ids for t in model.tokenize(TEXTS)]
    wanted = ours_of(model, TEXTS)[0]
    with only_rows(model.embedding, tokens) as renamed:
        pad = int(renamed[model.pad_id])
        batch = collate([renamed[ids] for ids in tokens], np.arange(len(tokens)), pad, torch.device("cpu"))
        with torch.inference_mode():
            found = model.token_states(batch)
    for row, ids in enumerate(tokens):
        assert torch.allclose(found[row, : len(ids)], wanted[row, : len(ids)], atol=1e-5)


def test_attention_with_dropout_looks_both_ways(both: Both) -> None:
    model, *_ = both
    (ids,) = (tokens.ids for tokens in model.tokenize(TEXTS[:1]))
    last = ids.copy()
    last[-2] = ids[1]
    states = []
    for row in (ids, last):
        torch.manual_seed(0)
        batch = collate([row], np.arange(1), model.pad_id, torch.device("cpu"))
        with torch.no_grad():
            states.append(model.module.train() and model.token_states(batch)[0, 0])
    assert not torch.allclose(*states, atol=1e-4)


def test_one_token_type_or_none_will_do(tmp_path: Path) -> None:
    """A text on its own is of the first type: what BERT's file says of others changes nothing."""
    write("bert", tmp_path / "m")
    two = opened(tmp_path / "m").encode(TEXTS).features
    weights = load_file(tmp_path / "m" / "model.safetensors")
    name = "bert.embeddings.token_type_embeddings.weight"
    save_file({**weights, name: weights[name][:1].clone()}, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**config, "type_vocab_size": 1}))
    assert np.array_equal(opened(tmp_path / "m").encode(TEXTS).features, two)


def test_a_head_with_a_table_of_its_own_is_not_taken(tmp_path: Path) -> None:
    write("roberta", tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    table = weights["roberta.embeddings.word_embeddings.weight"]
    other = {**weights, "lm_head.decoder.weight": table + 1}
    save_file(other, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    assert opened(tmp_path / "m").lacks_head
    save_file(
        {**other, "lm_head.decoder.weight": table.clone()}, tmp_path / "m" / "model.safetensors", {"format": "pt"}
    )
    assert not opened(tmp_path / "m").lacks_head


def test_a_head_in_shards_is_found(tmp_path: Path, in_fp32: None) -> None:
    theirs = write("bert", tmp_path / "m")
    whole = ours_of(opened(tmp_path / "m"), TEXTS)[1]
    (tmp_path / "m" / "model.safetensors").unlink()
    theirs.save_pretrained(tmp_path / "m", max_shard_size="20KB")
    assert len(list((tmp_path / "m").glob("model-*.safetensors"))) > 1
    assert torch.equal(ours_of(opened(tmp_path / "m"), TEXTS)[1], whole)


@pytest.mark.parametrize("activation", ["relu", "gelu_new"])
def test_a_berts_head_has_the_activation_that_its_configuration_names(
    activation: str, tmp_path: Path, in_fp32: None
) -> None:
    write("bert", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**config, "hidden_act": activation}))
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path / "m").eval()
    tokens, wanted = theirs_of(tmp_path / "m", theirs, TEXTS)
    mask = tokens["attention_mask"].bool()
    assert torch.allclose(ours_of(opened(tmp_path / "m"), TEXTS)[1][mask], wanted.logits[mask], atol=1e-5)


def test_an_albert_is_refused_by_name(tmp_path: Path) -> None:
    from transformers import AlbertConfig, AlbertModel

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    AlbertModel(AlbertConfig(vocab_size=20, embedding_size=8, **small)).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="no family opens model_type 'albert'; known are apertus, ") as error:
        tl.load(tmp_path / "m")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_trained_from_scratch_opens_in_transformers(
    shape: Any, review_texts: list[str], tmp_path: Path, in_fp32: None
) -> None:
    """Their tokenizer writes the same marks, and what they find under a mask has our scores."""
    settings = {"layers": 2, "heads": 2, "width": 16, "max_length": 32, "batch_size": 4, "steps": 3}
    tokenizer = tl.tokenizers.BytePair(vocabulary_size=300)
    model = MaskedTransformer(shape=shape, tokenizer=tokenizer, **settings).fit(review_texts)  # type: ignore[arg-type]
    model.save(tmp_path / "m")
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path / "m").eval()
    assert type(theirs).__name__.lower() == f"{shape}formaskedlm"
    tokens, wanted = theirs_of(tmp_path / "m", theirs, TEXTS[:2])
    mask = tokens["attention_mask"].bool()
    assert [t.ids.tolist() for t in model.tokenize(TEXTS[:2])] == [
        row[m].tolist() for row, m in zip(tokens["input_ids"], mask, strict=True)
    ]
    assert torch.allclose(ours_of(model, TEXTS[:2])[1][mask], wanted.logits[mask], atol=1e-5)
    reader = AutoTokenizer.from_pretrained(tmp_path / "m")
    assert (reader.mask_token_id, reader.pad_token_id) == (model.tokenizer.mask_id, model.pad_id)  # type: ignore[union-attr]
    assert model.max_length == 32
    assert model.encode([" ".join(["film"] * 60)]).read[0] < 1
