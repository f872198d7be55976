"""Masked Transformers from scratch: learning, repeating, going on, transferring, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models._masked_shapes import SHAPES
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.neural import loop
from transferlm.text.tokenizers import BytePair, Character, Word


def tiny(**changes: Any) -> MaskedTransformer:
    settings = {"layers": 2, "heads": 2, "width": 32, "max_length": 24, "batch_size": 4, "dropout": 0.0, "steps": 40}
    return MaskedTransformer(**{"tokenizer": Word(), "learning_rate": 5e-3, **settings, **changes})


COUNTING = ["one two three four five six"] * 40
"""Seven tokens with the end of a text: windows of eight begin anywhere in them, so that no place tells its word."""
QUICK = {"max_length": 10, "width": 64, "batch_size": 8, "learning_rate": 3e-3, "steps": 200, "held_out": 0}


def loss(model: MaskedTransformer) -> float:
    with torch.inference_mode():
        return model.objective(tl.Corpus(COUNTING)).mean_loss()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_learns(shape: Any) -> None:
    model = tiny(shape=shape, **QUICK).fit(COUNTING)
    assert model.trained
    fresh = model.untrained(1)
    fresh.add_head(1)
    assert loss(fresh) == pytest.approx(np.log(len(fresh.tokenizer)), rel=0.2)  # type: ignore[arg-type]
    assert loss(model) < 0.5 * np.log(7), "words are known from their neighbours"


@pytest.mark.parametrize("shape", SHAPES)
def test_dropout_has_an_effect(shape: Any, review_texts: list[str]) -> None:
    one, other = (tiny(shape=shape, dropout=rate, steps=2).fit(review_texts) for rate in (0.0, 0.5))
    assert not torch.equal(one.embedding.weight, other.embedding.weight)


@pytest.mark.parametrize("tokenizer", [None, Word(), Character(), BytePair(vocabulary_size=280)], ids=str)
def test_any_tokenizer_will_do(tokenizer: Any, review_texts: list[str]) -> None:
    model = tiny(tokenizer=tokenizer, steps=1).fit(review_texts)
    reader = model.tokenizer
    assert reader is not None
    assert reader.kind == (tokenizer.kind if tokenizer is not None else "byte_pair")
    assert reader.mask_id == len(reader) - 1
    assert model.tokenize(["film"])[0].ids[0] == reader.begin_id
    assert tokenizer is None or tokenizer.mask_id is None, "the one given has learnt, and is as it was else"


def test_the_words_of_a_folders_tokenizer_are_kept(bert_folder: Path, review_texts: list[str]) -> None:
    model = tiny(tokenizer=tl.tokenizers.Pretrained(folder=str(bert_folder)), steps=1).fit(review_texts)
    assert model.tokenizer is not None
    assert model.embedding.num_embeddings == len(model.tokenizer)
    assert model.tokenizer.vocabulary[model.tokenizer.mask_id] == "[MASK]"  # type: ignore[index]


@pytest.mark.parametrize("masking", ["token", "whole_word"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    masking: Any, review_texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"masking": masking, "steps": 30, "evaluate_every": 7, "dropout": 0.1}
    wanted = tiny(**settings).fit(review_texts, seed=3)
    monkeypatch.setattr("transferlm.neural.checkpoint.Checkpoint.due", True)
    step, taken = loop._Run.step, 0

    def interrupted(run: Any) -> None:
        nonlocal taken
        taken += 1
        if taken == 20:
            raise KeyboardInterrupt
        step(run)

    monkeypatch.setattr(loop._Run, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny(**settings).fit(review_texts, 3, tmp_path)
    assert tiny(**settings).fit(review_texts, 3, tmp_path).fingerprint == wanted.fingerprint
    assert taken == 20 + 11
    assert tiny(**settings).fit(review_texts, seed=4).fingerprint != wanted.fingerprint


def test_masking_decides_what_is_learnt(review_texts: list[str]) -> None:
    one, other = (
        tiny(tokenizer=BytePair(vocabulary_size=280), masking=how, steps=2).fit(review_texts)
        for how in ("token", "whole_word")
    )
    assert not torch.equal(one.embedding.weight, other.embedding.weight)


@pytest.mark.parametrize("packed", [True, False])
def test_whole_words_are_hidden_in_pretraining_and_in_updates(
    packed: bool, bert_folder: Path, review_texts: list[str]
) -> None:
    texts = tl.Corpus([f"{text} unheardof warmthless" for text in review_texts])
    model: Any = tl.load(bert_folder)
    if packed:
        model = tiny(tokenizer=tl.tokenizers.Pretrained(folder=str(bert_folder)), steps=1).fit(texts)
    else:
        model.add_head()
    apart = {"token": 0, "whole_word": 0}
    for masking in apart:
        model.adjust(masking=masking)
        reader = model.objective(texts, seed=5)
        for row in (row for batch in reader.batches(0) for row in batch.rows.tolist()):
            whole, _, places = reader.hidden(row, 0)
            goes_on = [place for place, i in enumerate(whole) if model.tokenizer.vocabulary[i].startswith("##")]
            apart[masking] += sum((place in places) != (place - 1 in places) for place in goes_on if place > 1)
    assert apart["token"] > 100
    assert apart["whole_word"] == 0


def test_what_is_hidden_depends_on_seed_epoch_and_text_alone(review_texts: list[str]) -> None:
    model = tiny(steps=1).fit(review_texts)
    corpus = tl.Corpus(review_texts)
    one, other = model.objective(corpus, 1, batch_size=2), model.objective(corpus, 1, batch_size=7)
    for row in one.batches(0)[0].rows.tolist():
        assert all(np.array_equal(a, b) for a, b in zip(one.hidden(row, 0), other.hidden(row, 0), strict=True))
        others = [one.hidden(row, 1), model.objective(corpus, 2).hidden(row, 0), one.hidden(row + 1, 0)]
        assert all(one.hidden(row, 0)[2].tolist() != found[2].tolist() for found in others)


def test_continued_pretraining_goes_on_with_the_head_that_is_there() -> None:
    model = tiny(**{**QUICK, "steps": 60}).fit(COUNTING)
    made = tl.updates.ContinuedPretraining(steps=150, epochs=100, learning_rate=3e-3).update(model, COUNTING)
    assert isinstance(made, MaskedTransformer)
    assert loss(made) < 0.75 * loss(model)
    assert not any("head" in note for note in made.lineage.notes)


def test_a_pretrained_one_is_transferred(
    run: Callable[..., Any], review_texts: list[str], review_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(review_texts))
    small = ("--layers", 1, "--heads", 2, "--width", 16, "--max-length", 32, "--steps", 10, "--shape", "roberta")
    told = run("pretrain", "masked_transformer", tmp_path / "corpus.txt", *small, "--json", "-o", tmp_path / "lm")
    assert told.code == 0, told.err
    assert json.loads(told.out)["fingerprint"] == tl.load(tmp_path / "lm").fingerprint  # type: ignore[union-attr]
    told = run(
        "transfer", tmp_path / "lm", review_file, "--strategy", "fine_tuning", "--learning-rate", 0.01, "-o",
        tmp_path / "task",
    )  # fmt: skip
    assert told.code == 0, told.err
    told = run("evaluate", tmp_path / "task", review_file, "--json")
    assert json.loads(told.out)["scores"]["accuracy"] > 0.9


@pytest.mark.parametrize("name", MaskedTransformer.presets)
def test_every_preset_makes_a_model(name: str, review_texts: list[str]) -> None:
    model = MaskedTransformer.preset(name, layers=1, heads=2, width=8, max_length=16, steps=1)
    assert model.fit(review_texts).trained


# ------------------------------------------------------------------ what can't be


def test_before_any_text_it_says_so(review_texts: list[str]) -> None:
    for use in (
        lambda: MaskedTransformer().encode(["a"]),
        lambda: MaskedTransformer().pad_id,
        lambda: MaskedTransformer().layer_groups(),
        lambda: MaskedTransformer().pseudo_log_likelihoods(["a"]),
        lambda: MaskedTransformer().vocabulary,
        lambda: MaskedTransformer().add_head(),
    ):
        with pytest.raises(DataError, match="has seen no text yet"):
            use()
    with pytest.raises(SettingError, match="shape 'opened' has no weights to open: choose bert, roberta"):
        MaskedTransformer(shape="opened").fit(review_texts)
    with pytest.raises(DataError, match="empty"):
        tiny().fit([])
    with pytest.raises(DataError):
        tiny(tokenizer=BytePair(vocabulary_size=280)).fit(["", ""])


def test_a_tokenizer_without_a_mask_is_refused(bert_folder: Path, review_texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text((bert_folder / "vocab.txt").read_text().replace("[MASK]", "mask"))
    with pytest.raises(UnsupportedError, match="no mask token"):
        tiny(tokenizer=tl.tokenizers.Pretrained(folder=str(tmp_path))).fit(review_texts)


def test_chinese_words_without_their_segmenter_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from transferlm.text import word_starts

    monkeypatch.setitem(sys.modules, "rjieba", None)
    word_starts._segmenter.cache_clear()
    with pytest.raises(UnsupportedError, match=r"transferlm\[chinese\]"):
        tiny(masking="whole_word", tokenizer=Character()).fit(["房间很好", "酒店不好"])
    assert tiny(tokenizer=Character(), steps=1).fit(["房间很好", "酒店不好"]).trained


def test_a_folder_that_does_not_name_its_tokenizer_is_refused(review_texts: list[str], tmp_path: Path) -> None:
    tiny(steps=1).fit(review_texts).save(tmp_path / "m")
    place = tmp_path / "m" / "tokenizer_config.json"
    place.write_text(json.dumps({k: v for k, v in json.loads(place.read_text()).items() if k != "transferlm"}))
    with pytest.raises(ModelFolderError, match="does not name the tokenizer"):
        lifecycle.load(tmp_path / "m")
