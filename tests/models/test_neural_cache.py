"""A cache of hidden states: its formula by hand and written out, what it remembers, what it is fitted to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import transferlm as tl
from transferlm.errors import DataError, ModelFolderError, SettingError, TransferLMError, UnsupportedError
from transferlm.models._state_cache import StateCache, mixed, next_shares
from transferlm.models._state_cache_fit import Heard, best_setting
from transferlm.models.dynamic import Dynamic
from transferlm.models.neural_cache import NeuralCache

TEXTS = ["the film was warm and bright", "", "the room was dull , the room was cold", "the film was warm and dull"]


@pytest.fixture(scope="module")
def transformer(make_reviews: Callable[..., Any]) -> Any:
    sizes = {"layers": 2, "heads": 2, "width": 16, "max_length": 16, "epochs": 2, "batch_size": 4}
    return tl.models.CausalTransformer(tokenizer=tl.tokenizers.Word(), **sizes).fit(make_reviews(80)[0])


@pytest.fixture(params=["recurrent", "causal_transformer", "dynamic"])
def model(request: pytest.FixtureRequest, recurrent: Any, transformer: Any) -> Any:
    """One of every family that tells its hidden states."""
    made = {"recurrent": recurrent, "causal_transformer": transformer, "dynamic": None}[request.param]
    return made or Dynamic.of(recurrent, learning_rate=0.1)


def logs(model: Any, texts: list[str], context: Any = "text") -> list[np.ndarray]:
    return [scores.log_probs for scores in model.token_scores(texts, context)]


def written_out(
    model: Any, texts: list[str], context: Any, size: int, flatness: float, weight: float
) -> Iterator[list[float]]:
    """Grave et al.'s equations, a token at a time."""
    remembered: list[tuple[np.ndarray, int]] = []
    for scores, states in model.predicting_states(texts, context):
        if context == "text":
            remembered = []
        found = []
        for own, token, state in zip(np.exp(scores.log_probs), scores.ids, states.astype(np.float64), strict=True):
            votes = [math.exp(flatness * float(state @ key)) for key, _ in remembered]
            right = sum(vote for vote, (_, follower) in zip(votes, remembered, strict=True) if follower == token)
            found.append(math.log((1 - weight) * own + weight * right / sum(votes) if votes else own))
            remembered = [*remembered, (state, token)][-size:]
        yield found


# ------------------------------------------------------------------ the formula


def test_the_arithmetic_by_hand() -> None:
    states = np.array([[1, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    found = StateCache(2).read(states, np.array([7, 8, 7, 8]), [0.0, 2.0])
    assert found.empty.tolist() == [True, False, False, False]
    e = math.exp(2)
    # Before the third token: "7 followed (1, 0)" and "8 followed (0, 1)"; the state is (1, 0).
    assert found.shares[1] == pytest.approx([0, 0, e / (e + 1), 0.5])
    assert found.shares[0] == pytest.approx([0, 0, 0.5, 0.5]), "without resemblance the cache is one of words"
    own = np.log([0.5, 0.25, 0.25, 0.1])
    both = mixed(own, found.shares[1], found.empty, 0.2)
    assert np.exp(both) == pytest.approx([0.5, 0.8 * 0.25, 0.8 * 0.25 + 0.2 * e / (e + 1), 0.8 * 0.1 + 0.2 * 0.5])


@pytest.mark.parametrize("context", ["text", "stream"])
@pytest.mark.parametrize("size", [1, 3, 9, 500])
def test_it_is_the_papers_loop_written_out(model: Any, context: Any, size: int, review_texts: list[str]) -> None:
    chosen = {"size": size, "flatness": 0.7, "weight": 0.4}
    texts = TEXTS + review_texts[:30]
    cached = NeuralCache.of(model, **chosen)
    for found, expected in zip(logs(cached, texts, context), written_out(model, texts, context, **chosen), strict=True):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pieces_and_blocks_leave_no_mark(data: st.DataObject) -> None:
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count, size = data.draw(st.integers(1, 700)), data.draw(st.sampled_from([1, 2, 100, 300, 5000]))
    states, ids = draw.normal(size=(count, 3)).astype(np.float32), draw.integers(0, 5, count)
    whole = StateCache(size).read(states, ids, [0.5]).shares[0]
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    cache = StateCache(size)
    parts = zip(np.split(states, cuts), np.split(ids, cuts), strict=True)
    found = [cache.read(part, own, [0.5]).shares[0] for part, own in parts if len(own)]
    assert np.concatenate(found) == pytest.approx(whole, abs=1e-6)
    for place in draw.integers(0, count, 5):
        first = max(0, place - size)
        votes = np.exp(0.5 * (states[first:place].astype(np.float64) @ states[place]))
        expected = votes[ids[first:place] == ids[place]].sum() / votes.sum() if place else 0
        assert whole[place] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_states_of_any_length_give_a_distribution() -> None:
    states = np.array([[300.0, 0], [0, 300.0], [300.0, 1]], np.float32)
    found = StateCache(5).read(states, np.array([1, 2, 1]), [1.0])
    assert found.shares[0] == pytest.approx([0, 0, 1.0])
    row = next_shares(states, np.array([1, 2]), 5, 1.0, 4)
    assert row == pytest.approx([0, 1, 0, 0])


# ------------------------------------------------------------------ what it is put on


@pytest.mark.parametrize("context", ["text", "stream"])
def test_without_weight_it_is_the_model(model: Any, context: Any, review_texts: list[str]) -> None:
    texts = [*TEXTS, " ".join(review_texts[:6]), *review_texts[:20]]
    plain = NeuralCache.of(model, weight=0.0)
    for found, own in zip(plain.token_scores(texts, context), model.token_scores(texts, context), strict=True):
        assert found.log_probs == pytest.approx(own.log_probs, abs=1e-5)
        assert np.array_equal(found.ids, own.ids)
        assert np.array_equal(found.offsets, own.offsets)
    assert plain.next_log_probs(TEXTS) == pytest.approx(model.next_log_probs(TEXTS))


def test_states_are_what_the_output_layer_reads(recurrent: Any, transformer: Any) -> None:
    import torch

    for model in (recurrent, transformer):
        module = model.module
        output = module.output if model is recurrent else module.get_output_embeddings()
        for scores, states in model.predicting_states(TEXTS):
            assert states.dtype == np.float32
            assert states.shape == (len(scores.ids), output.in_features)
            with torch.inference_mode():
                rows = torch.log_softmax(output(torch.from_numpy(states)), dim=-1).numpy()
            assert rows[np.arange(len(scores.ids)), scores.ids] == pytest.approx(scores.log_probs, abs=1e-5)


def test_steps_and_texts_agree_and_sum_to_one(model: Any) -> None:
    cached = NeuralCache.of(model, flatness=0.5, weight=0.3)
    scores = next(cached.token_scores(TEXTS[2:3]))
    cuts = [0, *scores.offsets[:-1, 1].tolist()]
    rows = cached.next_log_probs([TEXTS[2][:cut] for cut in cuts])
    assert np.exp(rows).sum(axis=1) == pytest.approx(1.0, abs=1e-9)
    assert rows[np.arange(len(cuts)), scores.ids] == pytest.approx(scores.log_probs, abs=1e-5)
    assert rows[0] == pytest.approx(model.next_log_probs([""])[0]), "nothing was read yet"


def test_in_a_stream_earlier_texts_are_remembered_and_else_not(model: Any) -> None:
    cached = NeuralCache.of(model, weight=0.5)
    twice = [TEXTS[0], TEXTS[0]]
    alone, stream = logs(cached, twice), logs(cached, twice, "stream")
    assert alone[0] == pytest.approx(alone[1], abs=1e-6)
    assert stream[0] == pytest.approx(alone[0], abs=1e-5)
    assert stream[1].sum() > alone[1].sum() + 3


def test_only_what_tells_its_states_can_have_one(recurrent: Any) -> None:
    with pytest.raises(
        UnsupportedError, match=r"a cache of states needs .* works with: causal_transformer, dynamic, recurrent"
    ):
        NeuralCache.of(tl.models.KneserNey())
    with pytest.raises(UnsupportedError, match="which mixture is not"):
        NeuralCache.of(tl.models.Mixture.of([recurrent, recurrent]))
    with pytest.raises(DataError, match="nothing without a model"):
        NeuralCache().log_probs(["a"])
    with pytest.raises(SettingError, match="context 'lines'"):
        list(NeuralCache.of(recurrent).token_scores(["a"], "lines"))  # type: ignore[arg-type]


# ------------------------------------------------------------------ fitting


def test_fitting_finds_what_others_do_not_beat(model: Any, review_texts: list[str]) -> None:
    held_out = [f"{text} {text}" for text in review_texts[:30]]
    cached = NeuralCache.of(model, flatness=20.0, weight=0.9)
    before = -np.concatenate(logs(cached, held_out)).mean()
    nats = cached.tune(held_out)
    assert nats < before - 0.1
    assert nats < -np.concatenate(logs(model, held_out)).mean() - 0.01
    assert -np.concatenate(logs(cached, held_out)).mean() == pytest.approx(nats, abs=1e-6)
    for changes in ({"flatness": cached.flatness * 1.5 + 0.1}, {"flatness": cached.flatness / 1.5}, {"weight": 0.3}):
        other = cached.copy()
        other.adjust(**changes)
        assert -np.concatenate(logs(other, held_out)).mean() > nats - 1e-6


def test_where_nothing_comes_again_the_cache_has_no_weight() -> None:
    draw = np.random.default_rng(0)
    heard = Heard(np.full(500, -2.0), draw.normal(size=(500, 4)).astype(np.float32), np.arange(500), None)
    assert best_setting(heard, 100)[1:] == (0.0, 2.0)


def test_it_is_fitted_to_the_beginning_of_a_long_text(recurrent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cached, read = NeuralCache.of(recurrent), []
    real = type(recurrent).predicting_states

    def counted(self: Any, texts: Any, context: Any) -> Any:
        for told in real(self, texts, context):
            read.append(told)
            yield told

    monkeypatch.setattr(type(recurrent), "predicting_states", counted)
    cached.tune(TEXTS * 100, "stream", tokens=20)
    assert sum(len(scores.ids) for scores, _ in read[:-1]) < 20 <= sum(len(scores.ids) for scores, _ in read)
    with pytest.raises(DataError, match="holds no text"):
        cached.tune([])


# ------------------------------------------------------------------ drawing


def test_what_is_drawn_goes_on_as_if_it_had_been_read(recurrent: Any, transformer: Any) -> None:
    for model in (recurrent, transformer):
        for size in (3, 500):
            cached = NeuralCache.of(model, size=size, weight=0.5)
            going = cached._continuation("the film was", np.random.default_rng(0))
            for word in ("warm", "and", "warm"):
                going.take(model.tokenizer.encode([word])[0].ids[0])
                assert going.log_probs() == pytest.approx(cached.next_log_probs([going.text()])[0], abs=1e-5)
            twin = going.fork()
            going.take(model.tokenizer.encode(["film"])[0].ids[0])
            assert twin.log_probs() == pytest.approx(cached.next_log_probs([twin.text()])[0], abs=1e-5)


def test_beams_and_a_dynamic_model_draw_too(recurrent: Any) -> None:
    cached = NeuralCache.of(recurrent)
    assert cached.sample("the", 2, beams=3, length=4) == cached.sample("the", 2, beams=3, length=4)
    dynamic = NeuralCache.of(Dynamic.of(recurrent))
    assert dynamic.sample("the", length=4) == dynamic.sample("the", length=4)


# ------------------------------------------------------------------ settings and folders


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", 0), ("flatness", -0.1), ("flatness", math.nan), ("flatness", math.inf), ("weight", 1.0), ("weight", 2.0)],
)
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: Any, recurrent: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=name):
        NeuralCache(**{name: value})
    NeuralCache.of(recurrent).save(tmp_path / "m")
    manifest = tmp_path / "m" / "transferlm.json"
    told = json.loads(manifest.read_text())
    told["model"]["hyper_parameters"][name] = value
    manifest.write_text(json.dumps(told))
    with pytest.raises(ModelFolderError, match=name):
        tl.load(tmp_path / "m")


def test_it_is_saved_with_its_model(model: Any, tmp_path: Path) -> None:
    cached: Any = tl.with_cache(model, TEXTS)
    assert cached.family == "neural_cache"
    cached.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert opened.hyper_parameters() == cached.hyper_parameters()
    assert opened.fingerprint == cached.fingerprint
    assert np.array_equal(opened.log_probs(TEXTS), cached.log_probs(TEXTS))
    assert opened.lineage.step == "cache"
    other = cached.copy()
    other.adjust(size=7)
    assert other.fingerprint != cached.fingerprint
    assert cached.size == 500


def test_a_cache_that_is_there_is_kept_or_replaced_by_one_of_the_kind_asked_for(recurrent: Any) -> None:
    counts: Any = tl.with_cache(recurrent, kind="counts")
    assert counts.family == "cached"
    assert tl.with_cache(counts).family == "cached"
    states: Any = tl.with_cache(counts, kind="states")
    assert (states.family, states.model.family) == ("neural_cache", "recurrent")
    with pytest.raises(SettingError, match="no cache is called 'state': did you mean 'states'"):
        tl.with_cache(recurrent, kind="state")


def test_a_model_inside_that_tells_no_states_is_refused(recurrent: Any, tmp_path: Path) -> None:
    NeuralCache.of(recurrent).save(tmp_path / "m")
    (tmp_path / "m" / "model").rename(tmp_path / "aside")
    with pytest.raises(TransferLMError):
        tl.load(tmp_path / "m")
    tl.models.KneserNey(order=2).fit(["a b"]).save(tmp_path / "m" / "model")
    with pytest.raises(ModelFolderError, match="holds a kneser_ney model"):
        tl.load(tmp_path / "m")


def test_where_likeness_tells_what_follows_the_flatness_is_found() -> None:
    draw = np.random.default_rng(1)
    kinds = draw.integers(0, 8, 1500)
    states = np.eye(8, dtype=np.float32)[kinds] * 3
    heard = Heard(np.full(1500, -np.log(8)), states, kinds, None)
    setting = best_setting(heard, 200)
    assert setting.flatness * 9 > 3, "states of one kind have a product of 9, others of 0"
    assert setting.weight > 0.9
    assert setting.nats < 0.3
