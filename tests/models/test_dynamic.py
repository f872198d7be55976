"""Dynamic evaluation: what it scores, that it learns, and that the model given is left as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import transferlm as tl
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models.dynamic import Dynamic
from transferlm.models.recurrent import Recurrent

REPEATED = ["the staff was cold and warm , the meal dull 7"] * 12


def logs(model: Any, texts: list[str], context: Any = "stream") -> np.ndarray:
    return np.concatenate([scores.log_probs for scores in model.token_scores(texts, context)])


@pytest.mark.parametrize("context", ["text", "stream"])
def test_without_steps_it_scores_as_the_model_does(recurrent: Recurrent, review_texts: list[str], context: Any) -> None:
    still = Dynamic.of(recurrent, learning_rate=0.0)
    assert logs(still, review_texts, context) == pytest.approx(logs(recurrent, review_texts, context), abs=1e-5)
    own, given = next(still.token_scores(review_texts)), next(recurrent.token_scores(review_texts))
    assert np.array_equal(own.ids, given.ids)
    assert np.array_equal(own.offsets, given.offsets)


def test_it_is_krauses_loop_written_out(recurrent: Recurrent, review_texts: list[str]) -> None:
    rate, decay, segment = 0.2, 0.05, 5
    found = logs(Dynamic.of(recurrent, learning_rate=rate, decay=decay, segment=segment), review_texts[:6])
    twin, home = recurrent.copy(), [p.detach().clone() for p in recurrent.module.parameters()]
    end = twin.tokenizer.end_id  # type: ignore[union-attr]
    ids = [end]
    for tokens in twin.tokenizer.encode(review_texts[:6]):  # type: ignore[union-attr]
        ids += [*tokens.ids.tolist(), end]
    stream, state, wanted = torch.tensor(ids), None, []
    for start in range(0, len(ids) - 1, segment):
        inputs, targets = stream[start : start + segment], stream[start + 1 : start + segment + 1]
        states, state = twin.module.states(inputs[: len(targets)][None], state)
        state = tuple(part.detach() for part in state)
        scores = torch.log_softmax(twin.module.logits(states)[0], dim=-1)[torch.arange(len(targets)), targets]
        wanted += scores.tolist()
        twin.module.zero_grad()
        (-scores.mean()).backward()
        with torch.no_grad():
            for weight, trained in zip(twin.module.parameters(), home, strict=True):
                weight += decay * (trained - weight) - rate * weight.grad  # type: ignore[operator]
    assert found == pytest.approx(wanted, abs=1e-4)


def test_it_learns_what_is_repeated_and_leaves_the_model_alone(recurrent: Recurrent) -> None:
    before = recurrent.fingerprint
    dynamic = Dynamic.of(recurrent, learning_rate=0.3)
    assert logs(dynamic, REPEATED).sum() > logs(recurrent, REPEATED).sum() + 10
    assert recurrent.fingerprint == before
    assert all(parameter.grad is None for parameter in recurrent.module.parameters())
    assert np.array_equal(logs(dynamic, REPEATED), logs(dynamic, REPEATED)), "a reading leaves nothing behind"


def test_texts_on_their_own_know_nothing_of_each_other(recurrent: Recurrent) -> None:
    dynamic = Dynamic.of(recurrent, learning_rate=0.3)
    alone = list(dynamic.token_scores(REPEATED[:3]))
    assert np.array_equal(alone[0].log_probs, alone[2].log_probs)


def test_windows_leave_no_mark(recurrent: Recurrent, review_texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from transferlm.models import _adaptive_reading as reading

    dynamic = Dynamic.of(recurrent, learning_rate=0.3)
    once = logs(dynamic, review_texts)
    monkeypatch.setattr(reading, "windows", lambda given: ([text] for text in given))
    assert np.array_equal(logs(dynamic, review_texts), once)


def test_root_mean_squares_are_measured_on_other_text(recurrent: Recurrent, review_texts: list[str]) -> None:
    with pytest.raises(SettingError, match="rule rms measures gradients on text first"):
        Dynamic.of(recurrent, rule="rms")
    settings = {"rule": "rms", "learning_rate": 0.002}
    dynamic = Dynamic.of(recurrent, review_texts, **settings)
    assert logs(dynamic, REPEATED).sum() > logs(recurrent, REPEATED).sum()
    other = Dynamic.of(recurrent, review_texts[:5], **settings)
    assert not np.array_equal(logs(other, REPEATED), logs(dynamic, REPEATED))
    assert other.fingerprint != dynamic.fingerprint


@pytest.mark.parametrize("rule", ["sgd", "rms"])
def test_it_is_saved_with_its_model(rule: Any, recurrent: Recurrent, review_texts: list[str], tmp_path: Path) -> None:
    dynamic = Dynamic.of(recurrent, review_texts, rule=rule, learning_rate=0.01)
    dynamic.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert opened.fingerprint == dynamic.fingerprint
    assert np.array_equal(logs(opened, REPEATED), logs(dynamic, REPEATED))
    if rule == "rms":
        (tmp_path / "m" / "gradient_squares.safetensors").unlink()
        with pytest.raises(ModelFolderError, match=r"gradient_squares\.safetensors is missing"):
            tl.load(tmp_path / "m")


def test_squares_that_are_damaged_or_of_another_model_are_refused(
    recurrent: Recurrent, review_texts: list[str], tmp_path: Path
) -> None:
    dynamic = Dynamic.of(recurrent, review_texts, rule="rms")
    dynamic.save(tmp_path / "m")
    path = tmp_path / "m" / "gradient_squares.safetensors"
    good = load_file(path)
    name = "embedding.weight"
    for other in (good[name][:-1], good[name] - 1, good[name] * torch.nan):
        save_file({**good, name: other.contiguous()}, path)
        with pytest.raises(ModelFolderError, match=f"{name} holds no mean squares"):
            tl.load(tmp_path / "m")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        tl.load(tmp_path / "m")


def test_without_texts_nothing_is_measured_or_fitted(recurrent: Recurrent) -> None:
    with pytest.raises(DataError, match="holds no text"):
        Dynamic.of(recurrent, [], rule="rms")
    with pytest.raises(DataError, match="holds no text"):
        Dynamic.of(recurrent).tune([])


def test_fitting_finds_settings_that_others_do_not_beat(recurrent: Recurrent) -> None:
    dynamic = Dynamic.of(recurrent, learning_rate=0.001, decay=0.01)
    before = -logs(dynamic, REPEATED).mean()
    nats = dynamic.tune(REPEATED)
    assert nats < before - 0.1
    assert dynamic.learning_rate > 0.01
    assert -logs(dynamic, REPEATED).mean() == pytest.approx(nats, abs=0.01)
    for changes in ({"learning_rate": dynamic.learning_rate / 3}, {"decay": dynamic.decay * 3}):
        other = dynamic.copy()
        other.adjust(**changes)
        assert -logs(other, REPEATED).mean() > nats - 0.01


def test_it_is_fitted_to_the_beginning_of_a_long_text(recurrent: Recurrent, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = Dynamic._read

    def counted(self: Dynamic, texts: Any, context: Any, states: bool) -> Any:
        read.append(len(texts))
        return real(self, texts, context, states)

    monkeypatch.setattr(Dynamic, "_read", counted)
    Dynamic.of(recurrent).tune(REPEATED * 100, tokens=25)
    assert set(read) == {3}


def test_only_what_reads_on_can_have_it(recurrent: Recurrent) -> None:
    with pytest.raises(
        UnsupportedError, match=r"dynamic evaluation needs .* works with: causal_transformer, recurrent"
    ):
        Dynamic.of(tl.models.KneserNey())
    with pytest.raises(DataError, match="nothing without a model"):
        Dynamic().log_probs(["a"])
    with pytest.raises(SettingError, match="context 'lines'"):
        Dynamic.of(recurrent).token_scores(["a"], "lines")  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("rule", "adam"), ("learning_rate", -1.0), ("decay", 1.5), ("segment", 0)])
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=name):
        Dynamic(**{name: value})  # type: ignore[arg-type]


def test_the_update_keeps_what_the_weights_became(recurrent: Recurrent, review_texts: list[str]) -> None:
    before = recurrent.fingerprint
    for method in (tl.updates.DynamicEvaluation(), tl.updates.DynamicEvaluation(rule="sgd", learning_rate=0.3)):
        made: Any = method.update(recurrent, REPEATED, old=review_texts)
        assert recurrent.fingerprint == before
        assert made.log_probs(REPEATED[:1])[0] > recurrent.log_probs(REPEATED[:1])[0] + 1
        told = made.lineage.scores
        assert told["tokens read"] == len(logs(recurrent, REPEATED))
    settings = {"learning_rate": 0.3, "decay": 0.002}
    assert told["loss while reading"] == pytest.approx(-logs(Dynamic.of(recurrent, **settings), REPEATED).mean())


def test_the_update_measures_gradients_on_old_text_if_there_is_some(
    recurrent: Recurrent, review_texts: list[str]
) -> None:
    method = tl.updates.DynamicEvaluation()
    without, given = (method.update(recurrent, REPEATED, old=old) for old in (None, review_texts))
    assert without.fingerprint != given.fingerprint


def test_evaluate_reads_dynamically_alone_and_with_a_cache(
    run: Callable[..., Any], recurrent: Recurrent, tmp_path: Path
) -> None:
    recurrent.save(tmp_path / "m")
    data, held = tmp_path / "test.txt", tmp_path / "held.txt"
    data.write_text("\n".join(REPEATED) + "\n")
    held.write_text("\n".join(REPEATED[:4]) + "\n")

    def told(*flags: Any) -> Any:
        found = run("evaluate", tmp_path / "m", data, *flags, "--json")
        assert found.code == 0, found.err
        return json.loads(found.out)

    plain = told("--context", "stream")
    dynamic = told("--dynamic")
    assert dynamic["scores"]["context"] == "stream"
    assert dynamic["dynamic"] == {**Dynamic().hyper_parameters(), "learning_rate": 0.2}
    tuned = told("--dynamic", "--tune", held)
    assert tuned["dynamic"]["rule"] == "rms"
    both = told("--dynamic", "--cache", "--tune", held)
    assert set(both) == {"scores", "dynamic", "cache"}
    assert both["dynamic"] == tuned["dynamic"]
    found = [run["scores"]["perplexity"] for run in (plain, dynamic, tuned, both)]
    assert found == sorted(found, reverse=True)
    assert told("--dynamic", "--context", "text")["scores"]["context"] == "text"
    shown = run("evaluate", tmp_path / "m", data, "--dynamic", "--cache").out
    assert "rule sgd" in shown
    assert "flatness 0.3" in shown
    counts = told("--cache", "counts", "--dynamic")
    assert set(counts["cache"]) == {"half_lives", "concentrations"}
    assert "give one of them" in run("evaluate", tmp_path / "m", data, "--tune", held).err


def test_its_story_begins_with_the_models_and_tells_what_it_was_fitted_to(recurrent: Recurrent) -> None:
    made = tl.with_dynamic_evaluation(recurrent)
    assert made.lineage.step == "dynamic evaluation"
    assert len(made.lineage.parents) == 1
    assert not made.lineage.data
    fitted = tl.with_dynamic_evaluation(recurrent, REPEATED)
    assert [(data["hash"], data["texts"]) for data in fitted.lineage.data] == [(tl.Corpus(REPEATED).hash, 12)]
    half = -logs(fitted, REPEATED[6:]).mean()
    assert fitted.lineage.scores["tuning_loss_stream"] == pytest.approx(half, abs=1e-2)


def test_a_model_inside_that_can_not_read_on_or_is_a_link_is_refused(recurrent: Recurrent, tmp_path: Path) -> None:
    Dynamic.of(recurrent).save(tmp_path / "m")
    (tmp_path / "m" / "model").rename(tmp_path / "aside")
    (tmp_path / "m" / "model").symlink_to(tmp_path / "aside")
    with pytest.raises(ModelFolderError):
        tl.load(tmp_path / "m")
    (tmp_path / "m" / "model").unlink()
    tl.models.KneserNey(order=2).fit(["a b"]).save(tmp_path / "m" / "model")
    with pytest.raises(ModelFolderError, match="holds a kneser_ney model"):
        tl.load(tmp_path / "m")


def test_steps_suit_the_family_unless_they_are_given_and_running_away_is_told(recurrent: Recurrent) -> None:
    assert Dynamic.of(recurrent).learning_rate == 0.2
    assert Dynamic.of(recurrent, REPEATED, rule="rms").learning_rate == 0.001
    assert Dynamic.of(recurrent, learning_rate=0.0).learning_rate == 0.0
    wild = Dynamic.of(recurrent, learning_rate=1e38)
    with pytest.raises(SettingError, match="learning_rate 1e\\+38: too large for this model"):
        list(wild.token_scores(REPEATED, "stream"))
    wild.tune(REPEATED)
    assert np.isfinite(logs(wild, REPEATED)).all()
