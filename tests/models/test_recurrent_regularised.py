"""The AWD-LSTM's settings of the recurrent family: each does what its paper says, and none is on by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import transferlm as tl
from transferlm.errors import SettingError
from transferlm.models._recurrent_network import Network
from transferlm.models._stream import RegularisedReader, random_spans
from transferlm.models.recurrent import Recurrent
from transferlm.neural.recurrence import Dropouts

SMALL = {"width": 10, "embedding_width": 6, "epochs": 1, "batch_size": 4, "sequence_length": 8}


def small(**changes: Any) -> Recurrent:
    return Recurrent(**{**SMALL, **changes})


def network(**dropouts: Any) -> Network:
    torch.manual_seed(0)
    return Network(20, "lstm", [6, 10, 6], tied=True, dropouts=Dropouts(**dropouts))


def reader(net: nn.Module, **changes: Any) -> RegularisedReader:
    settings = {"seed": 0, "random_lengths": False, "activation": 0.0, "slowness": 0.0}
    stream = np.random.default_rng(0).integers(0, 20, 801).astype(np.int32)
    return RegularisedReader(net, stream, 4, 10, **{**settings, **changes})  # type: ignore[arg-type]


REGULARISED: dict[str, Any] = {
    "weight_drop": 0.5,
    "locked_dropout": True,
    "embedding_dropout": 0.3,
    "input_dropout": 0.6,
    "layer_dropout": 0.6,
    "activation_penalty": 20.0,
    "slowness_penalty": 20.0,
    "random_lengths": True,
    "optimizer": "sgd",
    "schedule": "linear",
    "warmup": 0.5,
    "precision": "fp32",
    "tapered": True,
}


@pytest.fixture(scope="module")
def plain() -> Any:
    """Log-probabilities of a text by a model with these changes from the defaults."""
    texts = [f"the {a} was {b} and {a}" for a in ("film", "room", "meal", "staff") for b in ("good", "bad", "dull")] * 6

    def trained(**changes: Any) -> float:
        return float(small(layers=2, **changes).fit(texts, 1).log_probs(["the film was good"])[0])

    return trained


@pytest.mark.parametrize("name", REGULARISED)
def test_every_setting_has_an_effect(name: str, plain: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    from transferlm.neural import precision

    monkeypatch.setattr(precision, "has_bfloat16", lambda device_type: True)
    assert plain(**{name: REGULARISED[name]}) != plain()


def test_a_word_left_out_is_left_out_everywhere() -> None:
    net = network(words=0.5).train()
    ids = torch.arange(20).repeat(2, 3)
    vectors = net._without_words(net.embedding(ids), ids)
    gone = (vectors == 0).all(dim=-1)
    assert torch.equal(gone[0, :20], gone[1, 40:])
    assert 3 <= int(gone[0, :20].sum()) <= 17
    assert torch.allclose(vectors[~gone], 2 * net.embedding(ids)[~gone])


def test_dropouts_stand_where_the_paper_has_them_and_leave_scores_alone() -> None:
    ids = torch.arange(20)[None]
    exact = network()
    wanted = exact.logits(exact.states(ids)[0])
    for where in ("words", "inputs", "between", "outputs", "recurrent"):
        net = network(**{where: 0.5})
        assert torch.allclose(net.eval().logits(net.states(ids)[0]), wanted, atol=1e-6)
        assert not torch.allclose(net.train().logits(net.states(ids)[0]), wanted, atol=1e-3), where


def test_the_penalties_are_those_of_the_paper() -> None:
    net = network(outputs=0.5).train()
    part = range(10)
    for activation, slowness in ((2.0, 0.0), (0.0, 3.0)):
        stream = reader(net, activation=activation, slowness=slowness)
        torch.manual_seed(4)
        stream.loss(part)
        found = stream.penalty()
        torch.manual_seed(4)
        states, _ = net.states(torch.from_numpy(stream.inputs[:, :10].astype(np.int64)))
        outputs = net.outputs(states)
        wanted = activation * (outputs**2).mean() + slowness * ((states[:, 1:] - states[:, :-1]) ** 2).mean()
        assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
        assert found.requires_grad


def test_one_token_has_no_slowness() -> None:
    stream = reader(network(), slowness=1.0)
    stream.loss(range(1))
    assert stream.penalty().item() == 0


@pytest.mark.parametrize(("length", "steps"), [(1000, 70), (1000, 3), (5, 70), (3, 1)])
def test_random_lengths_fill_the_stream_equally_often(length: int, steps: int) -> None:
    epochs = [random_spans(length, steps, np.random.default_rng(epoch)) for epoch in range(5)]
    for spans in epochs:
        assert [place for span in spans for place in span] == list(range(length))
        assert all(spans)
    assert len({len(spans) for spans in epochs}) == 1
    if steps < length and steps > 1:
        assert len({tuple(spans) for spans in epochs}) == 5


def test_random_lengths_are_around_what_was_asked_or_half_of_it() -> None:
    lengths = np.array([len(span) for span in random_spans(200_000, 70, np.random.default_rng(0))])
    assert np.mean(np.abs(lengths - 70) < 16) == pytest.approx(0.95, abs=0.015)
    assert np.mean(np.abs(lengths - 35) < 16) == pytest.approx(0.05, abs=0.015)


def test_a_short_step_moves_less() -> None:
    stream = reader(network(), random_lengths=True)
    assert [stream.pace(range(n)) for n in (5, 10, 12)] == [0.5, 1.0, 1.2]
    assert reader(network()).pace(range(5)) == 1.0


def test_evaluation_reads_equal_steps_and_adds_no_penalty() -> None:
    net = network().eval()
    with torch.inference_mode():
        assert reader(net, random_lengths=True, activation=5.0).mean_loss() == reader(net).mean_loss()


def test_a_tapered_model_is_saved_encodes_and_is_not_projected(review_texts: list[str], tmp_path: Path) -> None:
    model = small(layers=2, tapered=True).fit(review_texts)
    assert isinstance(model.module.projection, nn.Identity)
    assert model.encode(["a film"]).features.shape == (1, model.encoding_width) == (1, 18)
    model.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert np.array_equal(opened.log_probs(review_texts[:3]), model.log_probs(review_texts[:3]))
    streamed = [s.log_probs.sum() for s in model.token_scores(review_texts[:3], "stream")]
    assert streamed[0] == pytest.approx(model.log_probs(review_texts[:1])[0], abs=1e-4)


def test_a_preset_is_where_one_begins() -> None:
    model = Recurrent.preset("awd_lstm")
    assert (model.layers, model.width, model.embedding_width, model.weight_drop) == (3, 1150, 400, 0.5)
    assert (model.optimizer, model.learning_rate, model.clip) == ("nt_averaged_sgd", 30.0, 0.25)
    assert Recurrent.preset("awd_lstm", layers=1, dropout=0.2).layers == 1, "even where that is the default"
    with pytest.raises(SettingError, match=r"recurrent has no preset 'awd_lst': did you mean 'awd_lstm'\?"):
        Recurrent.preset("awd_lst")
    with pytest.raises(SettingError, match="kneser_ney has no preset 'awd_lstm': there are none"):
        tl.models.KneserNey.preset("awd_lstm")


@pytest.mark.parametrize("name", Recurrent.presets)
def test_every_preset_makes_a_model(name: str, review_texts: list[str]) -> None:
    model = Recurrent.preset(name, width=8, embedding_width=6, batch_size=2, sequence_length=20, epochs=1)
    assert model.fit(review_texts).trained


def test_presets_on_the_command_line(run: Callable[..., Any], review_texts: list[str], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(review_texts) + "\n")
    sizes = ["--width", 8, "--embedding-width", 6, "--batch-size", 2, "--epochs", 1]
    told = run("pretrain", "recurrent", corpus, "--preset", "awd_lstm", *sizes, "--layers", 1, "-o", tmp_path / "m")
    assert told.code == 0, told.err
    settings = json.loads((tmp_path / "m" / "transferlm.json").read_text())["model"]["hyper_parameters"]
    assert (settings["weight_drop"], settings["layers"], settings["width"]) == (0.5, 1, 8)
    for model, words in (("recurrent", "zaremba_medium"), ("tfidf", "there are none")):
        told = run("pretrain", model, corpus, "--preset", "nothing", "-o", tmp_path / "n")
        assert told.code == 1
        assert words in told.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_drop", 1.0),
        ("embedding_dropout", -0.1),
        ("input_dropout", 1.0),
        ("layer_dropout", 2.0),
        ("activation_penalty", -1.0),
        ("slowness_penalty", float("inf")),
        ("non_monotone", 0),
        ("optimizer", "adam"),
        ("schedule", "square"),
        ("warmup", 2.0),
        ("precision", "fp8"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=name):
        Recurrent(**{name: value})  # type: ignore[arg-type]


def test_settings_that_look_at_held_out_text_want_some(review_texts: list[str]) -> None:
    for changes in ({"optimizer": "nt_averaged_sgd"}, {"schedule": "reduce_on_plateau"}):
        with pytest.raises(SettingError, match="look at the loss on held-out text"):
            small(held_out=0, **changes).fit(review_texts)
