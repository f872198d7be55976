"""What each way of moving weights promises of them: which stand still, where they begin, what is merged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masked_folders import write_llama

import transferlm as tl
from transferlm.errors import ModelFolderError, UnsupportedError
from transferlm.models.base import Kept
from transferlm.models.recurrent import Recurrent
from transferlm.neural import loop
from transferlm.strategies import _adapters, _training
from transferlm.strategies._training import Tuning
from transferlm.tasks.base import Examples

Maker = Callable[..., Examples]
QUICK: dict[str, Any] = {"minimum_steps": 6, "precision": "fp32", "held_out": 0.0}


def moved(before: Any, after: Any) -> set[str]:
    """Names of the parameters that are not what they were."""
    old = dict(before.module.named_parameters())
    return {name for name, p in after.module.named_parameters() if not torch.equal(p, old[name])}


def layers_of(names: Sequence[str] | set[str]) -> set[str]:
    return {name.partition("encoder.layer.")[2][:1] or "embeddings" for name in names}


@pytest.fixture
def bert(bert_folder: Path) -> Any:
    return tl.load(bert_folder)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the training loop was asked for, a call each."""
    seen: list[dict[str, Any]] = []

    def fit(module: Any, batches: Any, loss: Any, settings: Any, **others: Any) -> Any:
        head = module[1].linear.weight.detach().clone()
        seen.append({"settings": settings, "head": head, **others})
        return loop.fit(module, batches, loss, settings, **others)

    monkeypatch.setattr(_training, "fit", fit)
    return seen


@pytest.mark.parametrize(("epochs", "thawed"), [(1, set()), (2, {"1"}), (3, {"0", "1"}), (4, {"0", "1", "embeddings"})])
def test_one_more_layer_thaws_an_epoch(bert: Any, make_examples: Maker, epochs: int, thawed: set[str]) -> None:
    made = tl.strategies.GradualUnfreezing(epochs=epochs, **{**QUICK, "minimum_steps": 1}).transfer(
        bert, make_examples(24)
    )
    assert layers_of(moved(bert, made.model)) == thawed


def test_lower_layers_have_lower_rates(bert: Any, make_examples: Maker, fits: list[dict[str, Any]]) -> None:
    tl.strategies.GradualUnfreezing(rate_decay=2.0, **QUICK).transfer(bert, make_examples(8))
    assert [group.factor for group in fits[0]["groups"]] == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("kind", ["bert", "recurrent"])
def test_frozen_layers_read_each_text_once(
    kind: str, bert: Any, recurrent: Recurrent, make_examples: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = bert if kind == "bert" else recurrent
    examples, rows = make_examples(24), 0
    part = "encoder.layer.0.attention" if kind == "bert" else "layers"

    def count(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal rows
        rows += len(given[0] if given else named["hidden_states"])

    real = Tuning.__init__

    def hooked(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        self.body.module.get_submodule(part).register_forward_pre_hook(count, with_kwargs=True)

    monkeypatch.setattr(Tuning, "__init__", hooked)
    settings: dict[str, Any] = {**QUICK, "minimum_steps": 1, "held_out": 0.25}
    tl.strategies.GradualUnfreezing(epochs=2 if kind == "bert" else 1, **settings).transfer(model, examples)
    assert rows == 24 + 1, "each text, and one to see how much room states take"


@pytest.mark.parametrize("room", [0.0, 2e-5])
def test_without_room_states_are_computed_anew_and_the_result_is_the_same(
    bert: Any, make_examples: Maker, room: float
) -> None:
    settings: dict[str, Any] = {"epochs": 5, **QUICK}
    kept, anew = (
        tl.strategies.GradualUnfreezing(frozen_memory=memory, **settings).transfer(bert, make_examples(24))
        for memory in (2.0, room)
    )
    texts = make_examples(10, seed=2).texts
    assert anew.scores(texts)[0] == pytest.approx(kept.scores(texts)[0], abs=1e-5)


def test_fine_tuning_begins_at_the_head_of_the_probe(
    bert: Any, make_examples: Maker, fits: list[dict[str, Any]]
) -> None:
    examples = make_examples(60)
    made = tl.strategies.ProbeThenFineTuning(learning_rate=1e-7, **QUICK).transfer(bert, examples)
    probe, tuning = fits
    assert [len(group.parameters) for group in probe["groups"]] == [2]
    assert not torch.equal(probe["head"], tuning["head"])
    assert probe["settings"].learning_rate == 1e-2
    assert tuning["settings"].learning_rate == 1e-7
    assert np.allclose(made.weights.T, tuning["head"].numpy(), atol=1e-4)
    assert made.score(examples).metrics["accuracy"] > 0.9, "the probe has learnt, fine-tuning hardly moves"


def test_biases_alone_move(bert: Any, make_examples: Maker) -> None:
    made = tl.strategies.BiasOnly(**QUICK).transfer(bert, make_examples(8))
    names = moved(bert, made.model)
    assert names
    assert all(name.endswith(".bias") for name in names)
    assert layers_of(names) == {"embeddings", "0", "1"}


def test_a_model_without_biases_is_refused(make_examples: Maker, tmp_path: Path) -> None:
    write_llama(tmp_path / "m")
    with pytest.raises(UnsupportedError, match=r"bias_only trains biases, and .* causal_transformer have none"):
        tl.strategies.BiasOnly(**QUICK).transfer(tl.load(tmp_path / "m"), make_examples(8))


ADAPTERS = {
    "lora": lambda **s: tl.strategies.LowRank(rank=2, **s),
    "dora": lambda **s: tl.strategies.LowRank(method="dora", rank=2, **s),
    "oft": lambda **s: tl.strategies.WeightMap(size=8, **s),
    "hra": lambda **s: tl.strategies.WeightMap(method="hra", size=4, **s),
}


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("shape", ["bert", "gpt2", "llama"])
def test_merged_they_score_as_they_did_attached(
    name: str,
    shape: str,
    bert: Any,
    review_texts: list[str],
    make_examples: Maker,
    monkeypatch: pytest.MonkeyPatch,
    in_fp32: None,
) -> None:
    small: dict[str, Any] = {"layers": 2, "heads": 2, "width": 16, "max_length": 32, "steps": 1}
    words = tl.tokenizers.Word()
    model: Any = (
        bert
        if shape == "bert"
        else tl.models.CausalTransformer(shape=shape, tokenizer=words, **small).fit(review_texts)  # type: ignore[arg-type]
    )
    attached: list[torch.Tensor] = []
    real = Tuning.fit

    def fit(self: Tuning, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        with torch.inference_mode():
            attached.append(self.trial.read(self.trial.batch(self.train)))

    monkeypatch.setattr(Tuning, "fit", fit)
    examples = make_examples(16)
    made = ADAPTERS[name](learning_rate=0.05, **QUICK).transfer(model, examples)
    texts = [examples.texts[row] for row in range(16)]
    body: Any = made.model
    merged = body.encode(texts).features
    assert np.abs(merged - model.encode(texts).features).max() > 1e-2, "it has moved"
    assert merged == pytest.approx(attached[0].numpy(), abs=1e-5)
    assert {layer.__class__ for layer in body.linear_layers().values()} == {
        layer.__class__ for layer in model.linear_layers().values()
    }


def test_a_low_rank_change_has_that_rank_and_a_map_turns(bert: Any, make_examples: Maker) -> None:
    name, examples = "encoder.layer.1.attention.self.query.weight", make_examples(16)
    before = dict(bert.module.named_parameters())[name]

    def after(strategy: str) -> torch.Tensor:
        made: Any = ADAPTERS[strategy](learning_rate=0.05, **QUICK).transfer(bert, examples)
        return dict(made.model.module.named_parameters())[name].detach()

    assert torch.linalg.matrix_rank(after("lora") - before.detach(), rtol=1e-4) == 2
    for method in ("oft", "hra"):
        turned = after(method)
        assert torch.allclose(turned @ turned.T, before @ before.T, atol=1e-5)


def test_attention_alone_has_adapters_where_that_is_asked_for(bert: Any, make_examples: Maker) -> None:
    made = tl.strategies.LowRank(matrices="attention", **QUICK).transfer(bert, make_examples(8))
    names = moved(bert, made.model)
    assert len(names) == 2 * 4
    assert all("attention" in name for name in names)


def test_a_block_divides_what_every_layer_reads() -> None:
    layers = {"a": torch.nn.Linear(36, 2), "b": torch.nn.Linear(60, 2)}
    assert [_adapters.common_divisor(layers, most) for most in (32, 12, 11, 1)] == [12, 12, 6, 1]


def distance(one: Any, other: Any, only: str = "") -> float:
    old = dict(one.module.named_parameters())
    pairs = [(p, old[name]) for name, p in other.module.named_parameters() if only in name]
    return sum(float(((p - q).detach() ** 2).sum()) for p, q in pairs) ** 0.5


def test_a_firm_prior_keeps_weights_near_the_sources(bert: Any, make_examples: Maker) -> None:
    examples = make_examples(24)
    far, near = (
        tl.strategies.PriorFromSource(strength=strength, learning_rate=1e-3, **QUICK).transfer(bert, examples)
        for strength in (0.0, 1e5)
    )
    assert 0 < distance(bert, near.model) < 0.1 * distance(bert, far.model)
    assert near.lineage.notes[-1] == "prior: identity"


@pytest.mark.parametrize("method", ["online_bayes", "elastic_weight_consolidation"])
@pytest.mark.parametrize("family", ["bert", "recurrent"])
def test_the_precision_that_an_update_left_is_the_prior(
    method: str, family: str, bert: Any, recurrent: Recurrent, review_texts: list[str], make_examples: Maker
) -> None:
    model: Any = bert if family == "bert" else recurrent
    update: Any = tl.catalog.find("updates", method)(steps=2, information_tokens=200)
    if family == "bert":
        update = tl.catalog.find("updates", method)(steps=2, head_steps=1, information_tokens=200)
    updated: Any = tl.update(model, review_texts, update).model
    name = "posterior" if method == "online_bayes" else "information"
    strategy = tl.strategies.PriorFromSource(strength=100.0, learning_rate=1e-3, **QUICK)
    made = strategy.transfer(updated, make_examples(24))
    assert made.lineage.notes[-1] == f"prior: {name}"
    firm = {own: np.full_like(array, 1e-6) for own, array in updated.kept[name].arrays.items()}
    held = next(own for own in firm if ("layer.0" in own and own.endswith("query.weight")) or "weight_hh_l0" in own)
    firm[held] = np.full_like(firm[held], 1e3)
    other = updated.copy()
    other.kept = {name: Kept(firm, updated.kept[name].facts)}
    held_fast = dataclasses.replace(strategy, strength=1e5).transfer(other, make_examples(24))
    short = held.removeprefix("0.")
    assert distance(updated, held_fast.model) > 0.1 * distance(updated, made.model), "the other weights are free"
    assert distance(updated, held_fast.model, short) < 0.1 * distance(updated, made.model, short)


def test_a_precision_that_does_not_fit_is_one_clear_error(recurrent: Recurrent, make_examples: Maker) -> None:
    with pytest.raises(UnsupportedError, match="no posterior lies with this recurrent: update it with online_bayes"):
        tl.strategies.PriorFromSource(prior="posterior", **QUICK).transfer(recurrent, make_examples(8))
    recurrent.kept = {"posterior": Kept({"embedding.weight": np.ones((2, 2), np.float32)})}
    with pytest.raises(ModelFolderError, match=r"posterior, kept with the model, does not fit its weight embedding"):
        tl.strategies.PriorFromSource(**QUICK).transfer(recurrent, make_examples(8))
