"""The gate: what is kept aside is never trained on, forgetting is measured or said not to be, too much is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import ForgettingError, SettingError, UnsupportedError
from transferlm.measure.forgetting import Gate
from transferlm.measure.held_out import Change, Loss, held_out
from transferlm.models.recurrent import Recurrent

OTHER = [f"{a} sails over {b} at {c}" for a in ("she", "he", "it") for b in ("seas", "lakes") for c in range(12)]
HARD = {"learning_rate": 3e-2, "steps": 60}


def test_held_out_texts_are_not_in_the_training_part(review_texts: list[str]) -> None:
    kept = held_out(tl.Corpus(review_texts + review_texts[:40]), seed=3)
    assert kept.texts
    assert not set(kept.texts) & set(kept.train)
    assert set(kept.texts) < set(review_texts[40:])


def test_no_more_than_some_thousand_texts_are_kept_aside() -> None:
    kept = held_out(tl.Corpus([f"text {i}" for i in range(60_000)]))
    assert 850 < len(kept.texts) < 1150


def test_old_texts_that_stand_in_the_new_ones_are_not_measured_on(review_texts: list[str]) -> None:
    gate = Gate.of_texts(tl.Corpus(review_texts), tl.Corpus(review_texts), None, 0)
    assert gate.old is not None
    assert not set(gate.old.texts) & set(gate.new.train)


def test_a_rise_is_relative() -> None:
    change = Change(Loss(4.0), Loss(4.1))
    assert change.rise == pytest.approx(0.025)
    assert "+2.50%" in str(change)


def test_the_loss_is_what_the_model_gives_its_own_texts(recurrent: Recurrent, review_texts: list[str]) -> None:
    kept = held_out(tl.Corpus(review_texts))
    found = kept.measured(recurrent)
    logs = [s.log_probs for s in recurrent.token_scores(kept.texts)]
    assert found is not None
    assert found.nats == pytest.approx(-np.concatenate(logs).mean())
    assert found.bits_per_byte is None, "its vocabulary is closed"


def test_bits_per_byte_where_every_string_can_be_written(review_texts: list[str]) -> None:
    tokenizer = tl.tokenizers.BytePair(vocabulary_size=300)
    model = Recurrent(width=8, embedding_width=8, epochs=1, batch_size=4, sequence_length=16, tokenizer=tokenizer).fit(
        review_texts
    )
    _, report = tl.update(model, OTHER, tl.updates.ContinuedPretraining(steps=20, learning_rate=1e-2))
    assert report.new is not None
    assert report.new.before.bits_per_byte is not None
    assert report.new.after.bits_per_byte is not None
    assert report.new.before.bits_per_byte > report.new.after.bits_per_byte > 0
    assert report.new.after.nats < report.new.before.nats


def test_new_text_is_learnt_and_old_text_forgotten_and_both_are_told(
    recurrent: Recurrent, review_texts: list[str]
) -> None:
    made, report = tl.update(recurrent, OTHER, tl.updates.ContinuedPretraining(**HARD), old=review_texts)
    assert report.new is not None
    assert report.old is not None
    assert report.new.rise < 0 < report.old.rise
    assert report.accepted
    told = report.as_json()
    assert told["old"] == {"before": report.old.before.nats, "after": report.old.after.nats}
    assert told["new"] == {"before": report.new.before.nats, "after": report.new.after.nats}
    assert told["accepted"] is True
    assert told["share"] == 1
    assert told["would_pass"] is None
    assert made.lineage.scores["old_loss_after"] == report.old.after.nats
    assert [d["name"] for d in made.lineage.data] == [
        "72 texts in memory (train)",
        "72 texts in memory (held out)",
        "80 texts in memory (held out)",
    ]


def test_what_was_measured_after_is_the_loss_of_the_model_that_comes_out(
    recurrent: Recurrent, review_texts: list[str]
) -> None:
    made, report = tl.update(recurrent, OTHER, tl.updates.ContinuedPretraining(**HARD), old=review_texts, seed=4)
    gate = Gate.of_texts(tl.Corpus(OTHER), tl.Corpus(review_texts), None, 4)
    assert report.old is not None
    assert gate.old is not None
    assert gate.old.measured(made) == report.old.after
    assert gate.old.measured(recurrent) == report.old.before


def test_an_update_that_forgets_is_refused_with_the_figure(recurrent: Recurrent, review_texts: list[str]) -> None:
    before = recurrent.fingerprint
    method = tl.updates.ContinuedPretraining(**HARD)
    with pytest.raises(ForgettingError) as error:
        tl.update(recurrent, OTHER, method, old=review_texts, max_forgetting=0.02)
    _, free = tl.update(recurrent, OTHER, method, old=review_texts)
    assert free.old is not None
    assert f"rose by {free.old.rise:.2%}" in str(error.value)
    assert "2.00% allowed" in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.report.accepted is False  # type: ignore[attr-defined]
    assert recurrent.fingerprint == before
    allowed = tl.update(recurrent, OTHER, method, old=review_texts, max_forgetting=free.old.rise)
    assert allowed.report.accepted


def test_without_old_text_forgetting_is_not_measured(recurrent: Recurrent) -> None:
    made, report = tl.update(recurrent, OTHER, tl.updates.ContinuedPretraining(steps=2))
    assert report.old is None
    assert report.as_json()["old"] is None
    assert "not measured" in str(report)
    assert "passed" not in str(report)
    assert any("forgetting was not measured" in note for note in made.lineage.notes)


@pytest.mark.parametrize(("limit", "old"), [(0.02, None), (-0.1, OTHER), (math.nan, OTHER)])
def test_a_limit_that_can_not_be_held_is_refused_before_any_work(recurrent: Recurrent, limit: float, old: Any) -> None:
    with pytest.raises(SettingError, match="max_forgetting"):
        tl.update(recurrent, OTHER, tl.updates.ContinuedPretraining(steps=10**9), old=old, max_forgetting=limit)


def test_an_encoder_without_a_loss_of_its_own_is_not_measured(bert_folder: Path, review_texts: list[str]) -> None:
    model = tl.load(bert_folder)
    method = tl.updates.ContrastivePretraining(steps=1)
    _, report = tl.update(model, review_texts, method, old=OTHER)
    assert report.new is report.old is None
    told = report.as_json()
    assert (told["old"], told["new"], told["accepted"]) == (None, {"before": None, "after": None}, True)
    assert "no loss of its own" in str(report)
    with pytest.raises(UnsupportedError, match="can't be measured"):
        tl.update(model, review_texts, method, old=OTHER, max_forgetting=0.02)


def test_one_text_leaves_nothing_to_measure_on(recurrent: Recurrent, review_texts: list[str]) -> None:
    _, report = tl.update(recurrent, [" ".join(review_texts)], tl.updates.ContinuedPretraining(steps=2))
    assert report.new is None
    assert "no text that could be kept aside" in str(report)


def test_a_task_models_body_is_updated(recurrent: Recurrent, make_examples: Callable[..., Any]) -> None:
    made = tl.transfer(recurrent, make_examples(30), tl.strategies.FeatureExtraction(regularisation=1.0))
    updated, _ = tl.update(made, OTHER, tl.updates.ContinuedPretraining(steps=2))
    assert isinstance(updated, Recurrent)
    assert updated.fingerprint == tl.update(recurrent, OTHER, tl.updates.ContinuedPretraining(steps=2))[0].fingerprint
