"""What holds for every language model, whatever its family."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog
from transferlm.errors import TransferLMError, UnsupportedError
from transferlm.models.base import Causal, Encoder, FromScratch, GradientTrained, HiddenStates, Model, Trainable
from transferlm.task_model import TaskModel

FAMILIES = sorted(catalog.entries("models"))
STRATEGIES = sorted(catalog.entries("strategies"))
TEXTS = ["the film was good and warm", "the room was bad", "", "unheard of", "房间很好"]
ModelOf = Callable[..., Any]


def having(capability: type) -> list[str]:
    return [name for name in FAMILIES if issubclass(catalog.find("models", name), capability)]


def dense(features: Any) -> np.ndarray:
    return np.asarray(features.toarray() if hasattr(features, "toarray") else features)


def test_every_family_has_a_factory(factories: dict[str, Any]) -> None:
    assert sorted(factories) == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_model(family: str, factories: dict[str, Any]) -> None:
    assert factories[family](0).fingerprint == factories[family](0).fingerprint


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_opened_it_is_the_same_to_the_bit(family: str, model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of(family)
    model.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, catalog.find("models", family))
    assert opened.fingerprint == model.fingerprint
    assert opened.hyper_parameters() == model.hyper_parameters()
    assert opened.lineage == model.lineage
    if isinstance(model, Encoder):
        assert isinstance(opened, Encoder)
        one, other = model.encode(TEXTS), opened.encode(TEXTS)
        assert np.array_equal(dense(one.features), dense(other.features))
        assert np.array_equal(one.read, other.read)
    if isinstance(model, Causal):
        assert isinstance(opened, Causal)
        assert np.array_equal(model.log_probs(TEXTS), opened.log_probs(TEXTS))
    if isinstance(model, FromScratch):
        assert opened.trained == model.trained  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_folder_holds_json_safe_tensors_and_graphs_only(family: str, model_of: ModelOf, tmp_path: Path) -> None:
    model_of(family).save(tmp_path / "m")
    endings = {file.suffix for file in (tmp_path / "m").rglob("*") if file.is_file()}
    assert endings <= {".json", ".safetensors", ".onnx", ".md", ".txt", ".model"}
    manifest = json.loads((tmp_path / "m" / "transferlm.json").read_text())
    assert manifest["model"]["family"] == family
    assert (tmp_path / "m" / "README.md").read_text().startswith("---\n")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_is_independent(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    twin = model.copy()
    assert twin.fingerprint == model.fingerprint
    if isinstance(model, GradientTrained):
        import torch

        with torch.no_grad():
            model.embedding.weight += 1  # type: ignore[operator]
        assert twin.fingerprint != model.fingerprint


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("file", ["weights", "transferlm.json"])
def test_a_file_cut_short_is_one_clear_line(family: str, file: str, model_of: ModelOf, tmp_path: Path) -> None:
    model_of(family).save(tmp_path / "m")
    pattern = "model.[so][an]*" if file == "weights" else file  # .safetensors or .onnx
    place = min((tmp_path / "m").rglob(pattern), key=lambda found: len(found.parts))  # a composite has it further down
    place.write_bytes(place.read_bytes()[:-20])
    with pytest.raises(TransferLMError) as error:
        tl.load(tmp_path / "m")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_any_one_file_it_opens_as_it_was_or_tells_what_is_wrong(
    family: str, model_of: ModelOf, tmp_path: Path
) -> None:
    def fingerprint_or_error() -> str:
        try:
            return tl.load(tmp_path / "m").fingerprint  # type: ignore[union-attr]
        except TransferLMError as error:
            return str(error)

    model = model_of(family)
    model.save(tmp_path / "m")
    for file in [f for f in sorted((tmp_path / "m").rglob("*")) if f.is_file() and f.name != "transferlm.json"]:
        content = file.read_bytes()
        file.unlink()
        told = fingerprint_or_error()
        assert told == model.fingerprint or (str(tmp_path / "m") in told and "\n" not in told), file.name
        file.write_bytes(content)


@pytest.mark.parametrize("family", having(FromScratch))
def test_untrained_keeps_the_hyper_parameters_and_forgets_the_data(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    before = model.fingerprint
    twin = model.untrained(7)
    assert twin.hyper_parameters() == model.hyper_parameters()
    assert not twin.trained
    assert twin.fingerprint != model.fingerprint == before
    assert twin.fingerprint == model.untrained(7).fingerprint
    assert not twin.lineage.step, "an untrained model has no story"
    if isinstance(model, GradientTrained):
        assert model.untrained(8).fingerprint != twin.fingerprint


@pytest.mark.parametrize("family", having(Trainable))
def test_untrained_then_fitted_is_as_fitted_at_first(family: str, model_of: ModelOf, review_texts: list[str]) -> None:
    model = model_of(family)
    assert model.untrained(0).fit(review_texts, 0).fingerprint == model.fingerprint


@pytest.mark.parametrize("family", having(Causal))
def test_next_token_probabilities_sum_to_one(family: str, model_of: ModelOf) -> None:
    logs = model_of(family).next_log_probs(TEXTS)
    assert logs.dtype == np.float64
    assert logs.shape == (len(TEXTS), model_of(family).vocabulary.size)
    assert np.exp(logs).sum(axis=1) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("family", having(Causal))
def test_a_texts_log_probability_is_the_sum_of_its_steps(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    for text, scores in zip(TEXTS, model.token_scores(TEXTS), strict=True):
        cuts = [0, *scores.offsets[:-1, 1].tolist()]
        steps = [model.next_log_probs([text[:cut]])[0] for cut in cuts]
        assert len(steps) == len(scores.log_probs)
        for step, told, own in zip(steps, scores.log_probs, scores.ids, strict=True):
            spelled = own == model.tokenizer.unknown_id and not model.vocabulary.closed
            assert told <= step[own] if spelled else np.isclose(step[own], told, atol=1e-5)
        assert model.log_probs([text])[0] == pytest.approx(scores.log_probs.sum(), abs=1e-5)
        assert scores.offsets[-1].tolist() == [len(text)] * 2


@pytest.mark.parametrize("context", ["text", "stream"])
@pytest.mark.parametrize("family", having(Causal))
def test_scoring_is_lazy_and_a_stream_of_one_text_is_that_text(family: str, context: Any, model_of: ModelOf) -> None:
    model = model_of(family)
    scores = model.token_scores(itertools.cycle(TEXTS), context)
    first = [next(scores) for _ in TEXTS]
    alone = next(model.token_scores(TEXTS[:1]))
    assert np.allclose(first[0].log_probs, alone.log_probs, atol=1e-5)
    for text, found in zip(TEXTS, first, strict=True):
        assert found.log_probs.dtype == np.float64
        assert found.log_probs.shape == found.ids.shape == found.offsets.shape[:1]
        assert found.offsets[-1].tolist() == [len(text)] * 2
        assert found.ids[-1] == model.tokenizer.end_id
        assert (found.log_probs <= 0).all()


@pytest.mark.parametrize("context", ["text", "stream"])
@pytest.mark.parametrize("family", having(HiddenStates))
def test_hidden_states_come_with_the_very_scores(family: str, context: Any, model_of: ModelOf) -> None:
    model = model_of(family)
    widths = set()
    for scores, (own, states) in zip(
        model.token_scores(TEXTS, context), model.predicting_states(TEXTS, context), strict=True
    ):
        assert np.allclose(own.log_probs, scores.log_probs, atol=1e-6)
        assert np.array_equal(own.ids, scores.ids)
        assert (states.dtype, states.shape[0]) == (np.float32, len(scores.ids))
        widths.add(states.shape[1])
    assert len(widths) == 1


@pytest.mark.parametrize("family", having(Causal))
def test_the_same_seed_draws_the_same_texts(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    texts = model.sample("the", 6, length=12, seed=1)
    assert texts == model_of(family).sample("the", 6, length=12, seed=1)
    assert texts[:2] == model.sample("the", 2, length=12, seed=1), "the first ones do not depend on the count"
    assert texts != model.sample("the", 6, length=12, seed=2)
    assert len(set(texts)) > 1
    assert all(text.startswith("the") for text in texts)
    assert len(model.sample()) == 1


@pytest.mark.parametrize("family", having(Causal))
def test_what_is_drawn_has_a_probability_and_the_length_asked_for(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    found = list(model.token_scores(model.sample(count=8, length=5)))
    lengths = [len(scores.ids) - 1 for scores in found]
    assert 1 < max(lengths) <= 5
    assert all(np.isfinite(scores.log_probs[:5]).all() for scores in found), "an end that was not drawn may have none"


def drawable(model: Any, prompt: str) -> np.ndarray:
    """Log-probabilities of the tokens after a prompt that may be drawn."""
    logs: np.ndarray = model.next_log_probs([prompt])[0]
    logs[sorted(model.tokenizer.special_ids - {model.tokenizer.end_id})] = -np.inf
    return logs


@pytest.mark.parametrize("family", having(Causal))
def test_temperature_0_takes_the_most_probable_token(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    (text,) = model.sample("the film", temperature=0, length=6)
    assert [text, text] == model.sample("the film", 2, temperature=0, length=6, seed=5)
    scores = next(model.token_scores([text]))
    taken = scores.ids.tolist()[2:] if len(scores.ids) < 9 else scores.ids.tolist()[2:-1]
    cuts = [0, *scores.offsets[:-1, 1].tolist()][2:]
    assert taken == [int(np.argmax(drawable(model, text[:cut]))) for cut in cuts[: len(taken)]]


@pytest.mark.parametrize("family", having(Causal))
def test_tokens_are_drawn_as_often_as_they_are_probable(family: str, model_of: ModelOf) -> None:
    from scipy.stats import chisquare

    model, draws = model_of(family), 1500
    texts = model.sample("the", draws, length=1)
    ids = [int(scores.ids[1]) for scores in model.token_scores(texts)]
    known = np.exp(drawable(model, "the"))
    found, wanted = np.bincount(ids, minlength=len(known)), known / known.sum() * draws
    found[model.tokenizer.unknown_id] = 0
    assert found[wanted == 0].sum() == 0
    common = wanted >= 5
    assert common.sum() > 2
    found, wanted = (np.append(part[common], 1e-9 + part[~common].sum()) for part in (found, wanted))
    assert chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > 1e-3


@pytest.mark.parametrize("family", having(Encoder))
def test_encodings_have_the_stated_shape_and_do_not_depend_on_order(
    family: str, model_of: ModelOf, in_fp32: None
) -> None:
    model = model_of(family)
    encoding = model.encode(TEXTS)
    assert encoding.features.shape == (len(TEXTS), model.encoding_width)
    assert encoding.features.dtype == np.float32
    assert encoding.read.shape == (len(TEXTS),)
    assert ((encoding.read > 0) & (encoding.read <= 1)).all()
    assert np.isfinite(dense(encoding.features)).all()
    backwards = model.encode(TEXTS[::-1])
    assert np.allclose(dense(encoding.features), dense(backwards.features)[::-1], atol=1e-5)
    assert model.encode([]).features.shape == (0, model.encoding_width)


@pytest.mark.parametrize("family", having(GradientTrained))
def test_every_token_has_a_state_whatever_stands_beside_it(family: str, model_of: ModelOf, in_fp32: None) -> None:
    import torch

    from transferlm.neural.batching import collate

    model = model_of(family)
    rows = model.windows(["the film was good and warm", ("the room", "was bad"), ("good", "a")])
    ids, types = [row.ids for row in rows], [row.types for row in rows]
    together, alone = (
        [
            model.token_states(collate(ids, np.array(places), model.pad_id, torch.device("cpu"), types)).detach()
            for places in batches
        ]
        for batches in ([[0, 1, 2]], [[0], [1], [2]])
    )
    assert together[0].shape == (3, max(map(len, ids)), model.token_width)
    for place, row in enumerate(rows):
        assert torch.allclose(together[0][place, : len(row.ids)], alone[place][0], atol=1e-5)
        assert len(row.offsets) == len(row.ids) - row.start - len(model.frame(place > 0).suffix)


@pytest.mark.parametrize("family", having(GradientTrained))
def test_layer_groups_hold_every_parameter_that_the_states_use(family: str, model_of: ModelOf, in_fp32: None) -> None:
    import torch

    from transferlm.neural.batching import collate

    model = model_of(family)
    ids = [tokens.ids for tokens in model.tokenize(TEXTS[:2])]
    model.text_states(collate(ids, np.arange(2), model.pad_id, torch.device("cpu"))).sum().backward()
    touched = {id(p) for p in model.module.parameters() if p.grad is not None}
    grouped = [id(p) for group in model.layer_groups() for p in group]
    assert len(grouped) == len(set(grouped))
    assert touched <= set(grouped)
    assert id(model.embedding.weight) in {id(p) for p in model.layer_groups()[0]}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_works_or_names_what_would(
    family: str,
    strategy: str,
    model_of: ModelOf,
    make_examples: Callable[..., Any],
    quick: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    model = model_of(family)
    before = model.fingerprint
    method = quick(strategy)
    fitting = [
        name
        for name in FAMILIES
        if all(issubclass(catalog.find("models", name), capability) for capability in method.requires)
    ]
    examples = make_examples(12)
    if family not in fitting:
        with pytest.raises(UnsupportedError) as error:
            method.transfer(model, examples)
        assert all(name in str(error.value) for name in (strategy, family, *fitting))
        return
    made = method.transfer(model, examples, seed=1)
    assert isinstance(made, TaskModel)
    assert model.fingerprint == before, "the input was changed"
    again = method.transfer(model, examples, seed=1)
    found = made.predict_proba(examples.texts)
    assert np.array_equal(found, again.predict_proba(examples.texts))
    assert found.sum(axis=1) == pytest.approx(1.0)
    made.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, TaskModel)
    assert np.array_equal(opened.predict_proba(examples.texts), found)


def test_every_family_is_a_model() -> None:
    assert all(issubclass(catalog.find("models", name), Model) for name in FAMILIES)
