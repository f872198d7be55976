"""Causal Transformers from scratch: packed windows, learning, folders that both libraries open, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.measure.language import score
from transferlm.models._packed import PackedReader
from transferlm.models.causal_transformer import CausalTransformer
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers.byte_pair import BytePair

TEXTS = ["the film was good and warm", "the room was bad", "房间 很好", ""]


def tiny(**changes: Any) -> CausalTransformer:
    settings = {"layers": 2, "heads": 2, "width": 16, "max_length": 32, "epochs": 2, "batch_size": 4, "dropout": 0.0}
    tokenizer = BytePair(vocabulary_size=300)
    return CausalTransformer(**{"tokenizer": tokenizer, "learning_rate": 1e-2, **settings, **changes})


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def trained(request: pytest.FixtureRequest, review_texts: list[str]) -> CausalTransformer:
    """One model a shape, trained on the reviews."""
    return tiny(shape=request.param).fit(review_texts)


# ------------------------------------------------------------------ packing


class Echo(torch.nn.Module):
    """Scores that are known: token t is followed by t + 1 with logit t."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.rows = torch.nn.Parameter(torch.randn(tokens, tokens, generator=torch.Generator().manual_seed(0)))

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        class Output:
            logits = functional.embedding(input_ids, self.rows)

        return Output


def packed(length: int, window: int = 5, batch_size: int = 2) -> PackedReader:
    return PackedReader(Echo(length), np.arange(length, dtype=np.uint16), window, batch_size, seed=3)


@pytest.mark.parametrize("length", [2, 4, 6, 11, 14, 29])
def test_an_epoch_reads_the_stream_in_full_windows_once(length: int) -> None:
    reader = packed(length)
    placed = set()
    for epoch in range(4):
        batches = reader.batches(epoch)
        starts = np.sort(np.concatenate([batch.rows for batch in batches]))
        assert (np.diff(starts) == reader.window).all()
        assert starts[0] >= 0
        assert starts[-1] + reader.window < length
        assert len(starts) == (length - 1) // reader.window
        assert sum(map(reader.tokens, batches)) == len(starts) * reader.window
        assert [b.rows.tolist() for b in batches] == [b.rows.tolist() for b in reader.batches(epoch)]
        placed.add(int(starts[0]))
    assert len(placed) > 1 or (length - 1) % reader.window < 2, "what is left over is not always the same"


def test_the_mean_loss_is_that_of_every_token_once() -> None:
    for length in (2, 6, 11, 14):
        reader = packed(length)
        rows = reader.module.rows.detach()
        wanted = functional.cross_entropy(rows[:-1], torch.arange(1, length))
        with torch.inference_mode():
            found = reader.mean_loss()
        assert found == pytest.approx(float(wanted), rel=1e-5)


def test_epochs_differ_in_order() -> None:
    orders = {str([batch.rows.tolist() for batch in packed(60).batches(epoch)]) for epoch in range(3)}
    assert len(orders) == 3


# ------------------------------------------------------------------ learning


def test_it_learns_and_its_bits_per_byte_are_told(review_texts: list[str]) -> None:
    model = tiny(max_length=64, epochs=8)
    untrained = model.untrained()
    assert not untrained.trained
    model.fit(review_texts)
    fresh = model.untrained(1)
    before, after = score(fresh, review_texts), score(model, review_texts)
    assert after.perplexity < before.perplexity / 10
    assert after.bits_per_byte is not None
    assert after.bits_per_byte < 3
    assert model.vocabulary.name == "byte_pair, 300 types, open"


def test_probabilities_are_of_all_strings(trained: CausalTransformer) -> None:
    assert np.exp(trained.next_log_probs(TEXTS)).sum(axis=1) == pytest.approx(1.0, abs=1e-9)
    found = list(trained.token_scores(TEXTS))
    for text, scores in zip(TEXTS, found, strict=True):
        assert trained.tokenizer is not None
        assert trained.tokenizer.decode(scores.ids.tolist()) == text
        assert np.isfinite(scores.log_probs).all()
    assert len(found[-1].ids) == 1, "the empty text is its end"


def test_dropout_has_an_effect_in_both_shapes(review_texts: list[str]) -> None:
    for shape in ("gpt2", "llama"):
        one, other = (tiny(shape=shape, dropout=rate, steps=2).fit(review_texts) for rate in (0.0, 0.5))
        assert not torch.equal(one.embedding.weight, other.embedding.weight), shape


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_attention_with_dropout_looks_at_nothing_later(shape: Any, review_texts: list[str]) -> None:
    module = tiny(shape=shape, dropout=0.5, steps=1).fit(review_texts).module.train()
    ids = torch.randint(3, 290, (2, 12))
    later = ids.clone()
    later[:, 6:] = 7
    with torch.no_grad():
        found = []
        for given in (ids, later):
            torch.manual_seed(0)
            found.append(module(input_ids=given, use_cache=False).logits[:, :6])
    assert torch.allclose(*found, atol=1e-5)


def test_continued_pretraining_lowers_the_loss_on_new_text(trained: CausalTransformer) -> None:
    new = [f"a bright new phone of the year {number}" for number in range(60)]
    made = tl.update(trained, new, tl.updates.ContinuedPretraining(steps=30, learning_rate=3e-3)).model
    assert isinstance(made, CausalTransformer)
    assert score(made, new).perplexity < score(trained, new).perplexity / 2


def test_layer_groups_hold_every_parameter_from_the_input_up(trained: CausalTransformer) -> None:
    groups = trained.layer_groups()
    body = [id(p) for p in trained.module.base_model.parameters()]
    assert sorted(id(p) for group in groups for p in group) == sorted(body)
    assert len(groups) == 1 + trained.layers
    assert id(trained.embedding.weight) in {id(p) for p in groups[0]}
    assert body[-1] in {id(p) for p in groups[-1]}, "the closing norm is above the layers"


# ------------------------------------------------------------------ folders


def test_our_folder_opens_in_transformers(trained: CausalTransformer, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trained.save(tmp_path / "m")
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tmp_path / "m"),
        AutoTokenizer.from_pretrained(tmp_path / "m"),
    )
    assert model.config.model_type == trained.shape
    for text, scores in zip(TEXTS, trained.token_scores(TEXTS), strict=True):
        ids = torch.tensor([[model.config.eos_token_id, *tokenizer(text)["input_ids"], model.config.eos_token_id]])
        assert ids[0, 1:].tolist() == scores.ids.tolist()
        with torch.inference_mode():
            logs = torch.log_softmax(model(ids[:, :-1]).logits[0].double(), dim=-1)
        assert scores.log_probs == pytest.approx(logs.gather(1, ids[0, 1:, None])[:, 0].numpy(), abs=1e-5)


def test_weights_and_tokenizer_that_do_not_belong_together_are_refused(
    trained: CausalTransformer, tmp_path: Path
) -> None:
    trained.save(tmp_path / "m")
    BytePair(vocabulary_size=400).fit(
        ["the film was good and warm and bright"] * 9 + ["".join(map(chr, range(999)))]
    ).save(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="don't belong together"):
        tl.load(tmp_path / "m")


def test_a_model_that_looks_ahead_is_refused(tmp_path: Path, trained: CausalTransformer) -> None:
    from transformers import GemmaConfig, GemmaForCausalLM

    trained.save(tmp_path / "words")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes["num_key_value_heads"] = 2
    config = GemmaConfig(vocab_size=300, head_dim=8, initializer_range=0.5, **sizes)
    GemmaForCausalLM(config).save_pretrained(tmp_path / "m")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "m" / name).write_bytes((tmp_path / "words" / name).read_bytes())
    assert isinstance(tl.load(tmp_path / "m"), CausalTransformer)
    changed = {**json.loads((tmp_path / "m" / "config.json").read_text()), "is_causal": False}
    (tmp_path / "m" / "config.json").write_text(json.dumps(changed))
    with pytest.raises(ModelFolderError, match="no causal model"):
        tl.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"is_encoder_decoder": True}, "an encoder and a decoder"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "code of its own"),
        ({"n_embd": 8, "hidden_size": 8}, "than config.json says"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_line(
    change: dict[str, Any], told: str, trained: CausalTransformer, tmp_path: Path
) -> None:
    trained.save(tmp_path / "m")
    (tmp_path / "m" / "transferlm.json").unlink()
    config = {**json.loads((tmp_path / "m" / "config.json").read_text()), **change}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFolderError, match=told) as error:
        tl.load(tmp_path / "m")
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"shape": "gpt3"}, "shape 'gpt3': choose gpt2, llama"),
        ({"pooling": "cls"}, "pooling 'cls'"),
        ({"layers": 0}, "layers 0"),
        ({"width": 18, "heads": 2}, "width 18: give a multiple of 4"),
        ({"max_length": 1}, "max_length 1"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"learning_rate": 0.0}, "learning_rate 0"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        CausalTransformer(**settings)


def test_only_a_folder_has_the_shape_opened(review_texts: list[str]) -> None:
    with pytest.raises(SettingError, match="shape 'opened' has no weights to open: choose gpt2 or llama"):
        tiny(shape="opened").fit(review_texts)


def test_more_tokens_than_there_are_positions_are_refused(trained: CausalTransformer, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="max_length 33: the weights know 32 positions"):
        trained.copy().adjust(max_length=33)
    trained.save(tmp_path / "m")
    assert tl.load(tmp_path / "m", max_length=16).max_length == 16  # type: ignore[union-attr]


def test_without_text_it_says_what_to_do() -> None:
    for call in (lambda m: next(m.token_scores(["a"])), lambda m: m.next_log_probs(["a"]), lambda m: m.vocabulary):
        with pytest.raises(DataError, match="pretrain it first, or open a folder"):
            call(lifecycle.empty("causal_transformer"))
    with pytest.raises(DataError, match="empty"):
        tl.pretrain(tiny(), Corpus([""]))
