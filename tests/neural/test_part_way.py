"""A pass begun part way up, from the states that entered there, ends where the whole pass does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masked_folders import write_llama

import transferlm as tl
from transferlm.neural.batching import Batch, collate
from transferlm.text.framing import Window

KINDS = ["bert", "roberta", "distilbert", "mpnet", "gpt2", "llama", "opened llama", "lstm", "awd_lstm"]


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, review_texts: list[str], tmp_path: Path) -> Any:
    kind, words = request.param, tl.tokenizers.Word()
    small: dict[str, Any] = {"layers": 3, "heads": 2, "width": 16, "max_length": 32, "steps": 1, "tokenizer": words}
    if kind == "opened llama":
        write_llama(tmp_path / "m")
        return tl.load(tmp_path / "m")
    if kind in ("gpt2", "llama"):
        return tl.models.CausalTransformer(shape=kind, **small).fit(review_texts)
    if kind.endswith("lstm"):
        sizes: dict[str, Any] = {"layers": 3, "width": 12, "embedding_width": 8, "steps": 1, "batch_size": 4}
        if kind == "awd_lstm":
            sizes |= {"tapered": True, "weight_drop": 0.5, "locked_dropout": True}
        return tl.models.Recurrent(**sizes, sequence_length=16).fit(review_texts)
    return tl.models.MaskedTransformer(shape=kind, **small).fit(review_texts)


def batch_of(model: Any, texts: list[str]) -> Batch:
    windows: list[Window] = model.windows(texts)
    ids = [window.ids for window in windows]
    return collate(ids, np.arange(len(ids)), model.pad_id, torch.device("cpu"), [w.types for w in windows])


@torch.no_grad()
def test_a_pass_from_any_layer_ends_in_the_same_states(model: Any) -> None:
    batch = batch_of(model, ["the film was good", "bad", "the room was cold and the staff awful"])
    assert batch.mask is not None, "rows of one length would not tell a lost mask"
    whole, layers = model.text_states(batch), model.part_way()
    assert layers.depth == len(model.layer_groups()) - 1 > 0
    seen = layers.entering(range(layers.depth + 1), lambda: model.text_states(batch))
    assert torch.equal(seen[layers.depth], whole)
    other = batch_of(model, ["a book", "a story that was told before"])
    for layer in range(layers.depth):
        with layers.begun(layer, seen[layer]):
            assert torch.allclose(model.text_states(batch), whole, atol=1e-6), layer
        with layers.begun(layer, seen[layer].flip(-1)):
            assert not torch.allclose(model.text_states(batch), whole, atol=1e-3), f"{layer} did not read its states"
    assert torch.equal(model.text_states(batch), whole), "nothing of it is left"
    assert model.text_states(other).isfinite().all()


def test_only_what_is_above_gets_gradients(model: Any) -> None:
    batch = batch_of(model, ["the film was good", "bad"])
    layers, top = model.part_way(), len(model.layer_groups()) - 1
    with torch.no_grad():
        states = layers.entering([top - 1], lambda: model.text_states(batch))[top - 1]
    with layers.begun(top - 1, states):
        model.text_states(batch).sum().backward()
    *below, above = model.layer_groups()
    assert all(p.grad is not None for p in above if p.ndim > 1)
    named = {id(p): name for name, p in model.module.named_parameters()}
    moved = [named[id(p)] for group in below for p in group if p.grad is not None and p.grad.abs().max() > 0]
    assert [name for name in moved if "relative_attention_bias" not in name] == []


def test_a_pass_ends_once_it_has_given_what_was_wanted(bert_folder: Path) -> None:
    model: Any = tl.load(bert_folder)
    batch, read = batch_of(model, ["the film was good"]), []
    upper = model.module.encoder.layer[1].attention
    handle = upper.register_forward_hook(lambda *_: read.append(1))
    model.part_way().entering([1], lambda: model.token_states(batch))
    assert read == []
    model.part_way().entering([2], lambda: model.token_states(batch))
    assert read == [1]
    handle.remove()


def test_layers_whose_matrices_adapters_attach_to(review_texts: list[str], model: Any) -> None:
    if not hasattr(model, "linear_layers"):
        pytest.skip("its layers are one kernel")
    inside = {id(p) for group in model.layer_groups()[1:] for p in group}
    matrices = {id(p) for name, p in model.module.named_parameters() if id(p) in inside and p.ndim == 2}
    assert {id(layer.weight) for layer in model.linear_layers().values()} == matrices
