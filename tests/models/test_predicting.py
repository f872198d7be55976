"""Predictions by a forward pass of their own say what `transformers` says, whatever the batches and repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masked_folders import KINDS, TEXTS, write
from torch import nn

from transferlm import lifecycle
from transferlm.errors import SettingError
from transferlm.models import _predicting
from transferlm.models._packed_body import packed_weights
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.neural.int8_transformer import has_int8

PACKED = sorted(set(KINDS) - {"electra", "mpnet"})
LONG = " ".join(["the film was good and the room was dull"] * 9)
"""Beyond the 40 positions of these models."""


@pytest.fixture(scope="module", params=PACKED)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[MaskedTransformer, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    peer = write(request.param, folder)
    model = lifecycle.load(folder)
    assert isinstance(model, MaskedTransformer)
    return model, peer.base_model


def by_transformers(model: MaskedTransformer, peer: nn.Module, text: str) -> np.ndarray:
    """The mean of the top states of one text, alone in its batch."""
    ids = torch.from_numpy(model.tokenize([text])[0].ids.astype(np.int64))[None]
    with torch.inference_mode():
        states: np.ndarray = peer(input_ids=ids).last_hidden_state[0].mean(dim=0).numpy()
    return states


def test_fp32_is_what_transformers_computes(opened: tuple[MaskedTransformer, Any]) -> None:
    model, peer = opened
    texts = [*TEXTS, LONG, *TEXTS[:2], "", "film"]
    found = model.encode_quickly(texts, "fp32")
    expected = np.stack([by_transformers(model, peer, text) for text in texts])
    assert np.abs(found - expected).max() < 1e-5
    assert np.ptp(found, axis=0).max() > 0.1, "all texts look alike, so the comparison says nothing"


def test_the_first_token_is_pooled_where_the_model_says_so(opened: tuple[MaskedTransformer, Any]) -> None:
    model, peer = opened
    twin = model.copy()
    twin.adjust(pooling="cls")
    ids = torch.from_numpy(twin.tokenize([TEXTS[0]])[0].ids.astype(np.int64))[None]
    with torch.inference_mode():
        expected = peer(input_ids=ids).last_hidden_state[0, 0].numpy()
    assert np.abs(twin.encode_quickly([LONG, TEXTS[0]], "fp32")[1] - expected).max() < 1e-5


def test_pairs_and_long_texts_in_windows_are_what_the_usual_way_gives(opened: tuple[MaskedTransformer, Any]) -> None:
    from transferlm.models._gradient_trained import encode_windows
    from transferlm.models._inputs import means

    model, _ = opened
    for texts, whole in (([("the film", TEXTS[0]), ("was the room dull", "bad")], False), ([LONG, "bad"], True)):
        rows = model.windows(texts, whole)
        with torch.autocast("cpu", enabled=False):
            usual = means(encode_windows(model, rows, model.encoding_width), [row.text for row in rows], len(texts))
        quick = model.encode_quickly(texts, model.precisions[-1], whole)
        assert np.abs(quick - usual).max() < 0.05, "the usual way may be in bfloat16"


def test_every_token_is_scored_as_the_usual_way_scores_it(opened: tuple[MaskedTransformer, Any], in_fp32: None) -> None:
    model, _ = opened
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(model.token_width, 3)).astype(np.float32)
    bias = np.array([0.5, -1.0, 2.0], dtype=np.float32)
    rows = model.windows([*TEXTS, LONG, ("was the room dull", LONG), ""], whole=True)
    assert len(rows) > 7, "no text went on in a second row"
    usual = model.score_rows(rows, weights, bias)
    quick = model.score_quickly(rows, weights, bias, "fp32")
    assert [scores.shape for scores in quick] == [(len(row.ids), 3) for row in rows]
    for one, other in zip(usual, quick, strict=True):
        assert np.abs(one - other).max() < 1e-4
    assert model.score_quickly([], weights, bias, "fp32") == []


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_rougher_precisions_stay_near(opened: tuple[MaskedTransformer, Any], precision: str) -> None:
    model, _ = opened
    if precision not in model.precisions:
        pytest.skip(f"this machine has no {precision}")
    texts = [*TEXTS, LONG]
    exact, rough = (model.encode_quickly(texts, name) for name in ("fp32", precision))
    assert 0 < np.abs(exact - rough).max() < 0.15 * np.abs(exact).max()


def test_a_vector_depends_on_no_other_text(
    opened: tuple[MaskedTransformer, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = opened
    texts = [*TEXTS, LONG, *(f"{text} film" for text in TEXTS)]
    together = model.encode_quickly(texts, "fp32")
    monkeypatch.setattr(_predicting, "_TOKENS", 8)
    apart = model.encode_quickly(texts[::-1], "fp32")[::-1]
    assert np.abs(together - apart).max() < 1e-5


def test_batches_side_by_side_give_the_same_and_leave_the_threads_alone(
    opened: tuple[MaskedTransformer, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = opened
    alone = model.encode_quickly([*TEXTS, LONG], "fp32")
    monkeypatch.setattr(_predicting, "_TOKENS", 8)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert np.abs(model.encode_quickly([*TEXTS, LONG], "fp32") - alone).max() < 1e-5
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_changed_weights_are_noticed(opened: tuple[MaskedTransformer, Any]) -> None:
    model = opened[0].copy()
    before = model.encode_quickly(TEXTS, "fp32")
    with torch.no_grad():
        next(model.module.parameters()).mul_(1.5)
    assert np.abs(model.encode_quickly(TEXTS, "fp32") - before).max() > 1e-3


def test_an_unknown_precision_is_refused(opened: tuple[MaskedTransformer, Any]) -> None:
    with pytest.raises(SettingError, match=r"'fp8'.*fp32"):
        opened[0].encode_quickly(TEXTS, "fp8")


@pytest.mark.parametrize("kind", ["electra", "mpnet"])
def test_other_architectures_have_no_such_pass(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path)
    model = lifecycle.load(tmp_path)
    assert isinstance(model, MaskedTransformer)
    assert model.precisions == ()


def test_a_part_of_another_class_is_not_passed_by(bert_folder: Path) -> None:
    model = lifecycle.load(bert_folder)
    assert isinstance(model, MaskedTransformer)
    assert packed_weights(model.module) is not None

    class Adapted(nn.Linear):
        pass

    model.module.encoder.layer[0].output.dense.__class__ = Adapted
    assert packed_weights(model.module) is None


@pytest.mark.skipif(not has_int8(), reason="no 8-bit products here")
def test_large_activations_stay_finite_in_int8(bert_folder: Path) -> None:
    """erf's formula to the 16th power leaves fp32's range beyond 17."""
    model = lifecycle.load(bert_folder)
    assert isinstance(model, MaskedTransformer)
    with torch.no_grad():
        model.module.encoder.layer[0].intermediate.dense.bias[:3] = 40.0
    exact, rough = (model.encode_quickly(["the film was good"], name) for name in ("fp32", "int8"))
    assert np.abs(exact - rough).max() < 0.2 * np.abs(exact).max()
