"""Pseudo-log-likelihood against `transformers`, token by token; texts of any length and number."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masked_folders import TEXTS, write
from transformers import AutoModelForMaskedLM, AutoTokenizer

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.measure.pseudo_likelihood import score_masked
from transferlm.models.masked_transformer import MaskedTransformer

Opened = tuple[MaskedTransformer, Path]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp(request.param)
    write(request.param, folder)
    model = tl.load(folder)
    assert isinstance(model, MaskedTransformer)
    return model, folder


def by_hand(folder: Path, text: str, words: bool = False, room: int | None = None) -> list[float]:
    """Each token's log-probability where it (and what is left of its word) is the mask, one text at a time."""
    reader: Any = AutoTokenizer.from_pretrained(folder)
    module = AutoModelForMaskedLM.from_pretrained(folder).eval()
    encoding = reader(text, add_special_tokens=False)
    ids, logs = encoding["input_ids"], []
    for place, token in enumerate(ids):
        word = encoding.word_ids()[place]
        later = [i for i in range(place, len(ids)) if encoding.word_ids()[i] == word]
        row = [reader.mask_token_id if i == place or (words and i in later) else own for i, own in enumerate(ids)]
        start = 0 if room is None else max(0, min(place - room // 2, len(ids) - room))
        row = row[start : start + (room or len(ids))]
        around = torch.tensor([[reader.cls_token_id, *row, reader.sep_token_id]])
        with torch.inference_mode():
            scores = module(input_ids=around).logits[0, place - start + 1].log_softmax(-1)
        logs.append(float(scores[token]))
    return logs


@pytest.mark.parametrize("words", [False, True])
def test_scores_are_those_of_transformers_token_by_token(opened: Opened, words: bool) -> None:
    model, folder = opened
    texts = [*TEXTS, "", "unheard filming"]
    found = list(model.pseudo_scores(texts, whole_words=words))
    for text, scores in zip(texts, found, strict=True):
        assert scores.log_probs.dtype == np.float64
        assert scores.log_probs.tolist() == pytest.approx(by_hand(folder, text, words), abs=1e-5)
        assert len(scores.ids) == len(scores.offsets) == len(scores.log_probs)
    sums = [scores.log_probs.sum() for scores in found]
    assert model.pseudo_log_likelihoods(texts, words).tolist() == sums


def test_words_in_pieces_are_not_given_away(opened: Opened) -> None:
    model, _ = opened
    plain, whole = (next(model.pseudo_scores(["unheard"], words)).log_probs for words in (False, True))
    assert len(plain) > 1
    assert not np.allclose(plain[:-1], whole[:-1], atol=1e-4)
    assert plain[-1] == pytest.approx(whole[-1], abs=1e-5), "nothing comes after a word's last piece"


@pytest.mark.parametrize("words", [False, True])
def test_a_long_text_is_read_whole_each_token_in_the_middle_of_what_fits(opened: Opened, words: bool) -> None:
    model, folder = opened
    short = model.copy()
    short.adjust(max_length=9)
    text = " ".join(TEXTS)
    scores = next(short.pseudo_scores([text], words))
    assert scores.log_probs.tolist() == pytest.approx(by_hand(folder, text, words, room=7), abs=1e-5)
    assert scores.offsets[-1, 1] == len(text)


def test_neither_company_nor_order_matters_and_texts_are_read_as_needed(opened: Opened) -> None:
    model, _ = opened
    alone = [model.pseudo_log_likelihoods([text])[0] for text in TEXTS]
    assert model.pseudo_log_likelihoods(TEXTS[::-1]).tolist()[::-1] == pytest.approx(alone, abs=1e-4)
    endless = model.pseudo_scores(itertools.cycle(TEXTS))
    assert [next(endless).log_probs.sum() for _ in TEXTS] == pytest.approx(alone, abs=1e-4)


def test_figures_are_bits_per_character_and_no_perplexity(opened: Opened) -> None:
    model, _ = opened
    found = lifecycle.evaluate(model, TEXTS)
    told = found.to_json()
    nats = -model.pseudo_log_likelihoods(TEXTS).sum()
    assert told["pseudo_log_likelihood"] == pytest.approx(-nats / math.log(2) / sum(map(len, TEXTS)))
    assert told["nats"] == pytest.approx(nats)
    assert told["texts"] == len(TEXTS)
    assert told["tokens"] == sum(len(t) - 2 for t in model.tokenize(TEXTS))
    assert told["hash"] == tl.Corpus(TEXTS).hash
    assert not any("perplexity" in name or "byte" in name for name in told)
    assert "perplexity" not in str(found)
    rare = tl.Corpus(["unheard filming"])
    whole = lifecycle.evaluate(model, rare, whole_words=True).to_json()
    assert whole["whole_words"]
    assert whole["nats"] != lifecycle.evaluate(model, rare).to_json()["nats"]


def test_unknown_tokens_are_counted(opened: Opened) -> None:
    model, _ = opened
    found = score_masked(model, ["film 房"])
    assert found.unknown_share == (0.5 if model.module.config.model_type == "bert" else 0)


def test_what_can_not_be_scored_is_refused(opened: Opened, recurrent: Any, bert_folder: Path) -> None:
    model, _ = opened
    with pytest.raises(DataError, match="no text to score"):
        lifecycle.evaluate(model, ["", ""])
    with pytest.raises(SettingError, match="leave context 'stream' out"):
        lifecycle.evaluate(model, TEXTS, "stream")
    with pytest.raises(SettingError, match="hides no words"):
        lifecycle.evaluate(recurrent, TEXTS, whole_words=True)
    with pytest.raises(UnsupportedError, match="no masked-LM head"):
        lifecycle.evaluate(tl.load(bert_folder), TEXTS)


def test_training_raises_it_and_the_command_line_tells_it(run: Callable[..., Any], tmp_path: Path) -> None:
    texts = ["one two three four five six"] * 40
    (tmp_path / "corpus.txt").write_text("\n".join(texts))
    small = ("--layers", 2, "--heads", 2, "--width", 64, "--max-length", 10, "--batch-size", 8)
    words = ("--tokenizer", "word", "--learning-rate", 0.003, "--steps", 200, "--held-out", 0, "--json")
    told = run("pretrain", "masked_transformer", tmp_path / "corpus.txt", *small, *words, "-o", tmp_path / "m")
    assert told.code == 0, told.err
    found = json.loads(run("evaluate", tmp_path / "m", tmp_path / "corpus.txt", "--json").out)["scores"]
    fresh: Any = lifecycle.untrained(tl.load(tmp_path / "m"))
    fresh.add_head()
    before = score_masked(fresh, texts)
    assert found["pseudo_log_likelihood"] > before.pseudo_log_likelihood / 2
    table = run("evaluate", tmp_path / "m", tmp_path / "corpus.txt", "--whole-words").out
    assert "pseudo-log-likelihood" in table
    assert "a token and the later ones of its word" in table
    assert "perplexity" not in table
