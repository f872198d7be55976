"""Updates that keep the model as it was and put what the new text says beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError

OLD = [f"the {noun} was {word}" for noun in ("film", "room", "book", "meal") for word in ("good", "bad", "dull")]
NEW = [f"a {noun} rose by {count} points" for count in range(3, 9) for noun in ("share", "bond", "film", "rate")]
ASKED = ["a share rose by 5 points", "the film was good", "a bond was dull"]


def old_model(**settings: Any) -> Any:
    return tl.pretrain(tl.models.KneserNey(order=3, **settings), OLD)


def update(model: Any, method: Any, new: list[str] = NEW) -> Any:
    return method.update(model, new)


@pytest.mark.parametrize("method", [tl.updates.Interpolation(), tl.updates.Bayesian(), tl.updates.Bayesian(2.0)])
def test_new_text_is_learnt_and_old_text_is_not_lost(method: Any) -> None:
    old = old_model()
    made = update(old, method)
    assert made.log_probs(ASKED[:1])[0] > old.log_probs(ASKED[:1])[0] + 5
    assert made.log_probs(ASKED[1:2])[0] > tl.models.KneserNey(order=3).fit(NEW).log_probs(ASKED[1:2])[0] + 25
    assert made.log_probs(["the film was good"])[0] > made.log_probs(["the film good was"])[0]


@pytest.mark.parametrize("method", [tl.updates.Interpolation(), tl.updates.Bayesian()])
def test_before_it_begins_the_composite_scores_as_the_model_given(method: Any) -> None:
    old, seen = old_model(), []
    method.update(old, NEW, measure=lambda model: seen.append(model.log_probs(ASKED)))
    assert np.array_equal(seen[0], old.log_probs(ASKED))
    assert not np.array_equal(seen[1], seen[0])


def test_a_given_weight_is_taken() -> None:
    old = old_model()
    made = update(old, tl.updates.Interpolation(weight=0.25, switching=None))
    new = tl.models.KneserNey(order=3).fit(NEW)
    wanted = [
        np.log(0.75 * np.exp(a.log_probs) + 0.25 * np.exp(b.log_probs)).sum()
        for a, b in zip(old.token_scores(ASKED), new.token_scores(ASKED), strict=True)
    ]
    assert made.log_probs(ASKED) == pytest.approx(wanted)


def test_after_weights_are_fitted_the_held_out_texts_are_counted_too() -> None:
    made = update(old_model(), tl.updates.Interpolation())
    assert made.components[-1].fingerprint == tl.models.KneserNey(order=3).fit(NEW).fingerprint
    assert 0 < made.weights[-1] < 1


def test_interpolated_again_the_mixture_gets_one_component_more() -> None:
    made = update(update(old_model(), tl.updates.Interpolation()), tl.updates.Interpolation(), ["the cat sat"] * 8)
    assert [model.family for model in made.components] == ["kneser_ney"] * 3
    assert made.weights.sum() == pytest.approx(1)
    assert len(made.lineage.parents) == 1


def test_at_one_strength_two_bayesian_updates_are_to_the_bit_one_with_both_texts(tmp_path: Path) -> None:
    old, method = old_model(), tl.updates.Bayesian(strength=3.0)
    once = update(old, method, NEW)
    once.save(tmp_path / "m")
    twice = update(tl.load(tmp_path / "m"), method, OLD[:3])
    together = update(old, method, NEW + OLD[:3])
    assert twice.fingerprint == together.fingerprint
    assert np.array_equal(twice.log_probs(ASKED), together.log_probs(ASKED))


def test_lifecycle_adds_the_text_that_was_held_out_to_measure_on() -> None:
    made, report = tl.update(old_model(), NEW, tl.updates.Bayesian(strength=3.0), old=OLD)
    assert made.fingerprint == update(old_model(), tl.updates.Bayesian(strength=3.0)).fingerprint
    assert report.new.after.nats < report.new.before.nats
    assert report.old is not None


@pytest.mark.parametrize("method", [tl.updates.Interpolation(), tl.updates.Bayesian()])
def test_an_arpa_file_can_be_updated(method: Any, tmp_path: Path) -> None:
    old_model().export(tmp_path / "old.arpa")
    arpa: Any = tl.load(tmp_path / "old.arpa")
    made = update(arpa, method)
    assert [model.family for model in made.components] == ["arpa", "kneser_ney"]
    assert made.vocabulary.closed, "an ARPA file's vocabulary is"
    # All of `rose by N points` is unknown to it, so that its perplexity says little; the known words are better now.
    first = next(made.token_scores(["a film"])).log_probs
    assert first[1] > next(arpa.token_scores(["a film"])).log_probs[1]


def test_counts_stand_beside_a_neural_model_by_word_and_by_character() -> None:
    for kind in (tl.tokenizers.Word, tl.tokenizers.Character):
        model = tl.models.Recurrent(width=8, embedding_width=8, epochs=1, batch_size=2, sequence_length=8, held_out=0)
        model.tokenizer = kind()
        made = update(model.fit(OLD), tl.updates.Bayesian())
        assert made.components[1].family == "kneser_ney"
        assert made.log_probs(NEW).sum() > model.log_probs(NEW).sum()
        assert np.exp(made.next_log_probs(["the film"])).sum() == pytest.approx(1)


def test_sub_words_can_not_stand_beside_counts() -> None:
    model = tl.models.Recurrent(width=8, embedding_width=8, epochs=1, batch_size=2, sequence_length=8, held_out=0)
    model.tokenizer = tl.tokenizers.BytePair(vocabulary_size=270)
    with pytest.raises(UnsupportedError, match="neither words nor characters"):
        update(model.fit(OLD), tl.updates.Bayesian())


@pytest.mark.parametrize("method", [tl.updates.Interpolation(), tl.updates.Bayesian()])
def test_one_text_can_not_be_fitted_on(method: Any) -> None:
    with pytest.raises(DataError, match="one text"):
        update(old_model(), method, ["a share rose"])


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("Interpolation", {"weight": 0}),
        ("Interpolation", {"weight": 1.0}),
        ("Interpolation", {"held_out": 0}),
        ("Bayesian", {"strength": 0}),
        ("Bayesian", {"strength": float("nan")}),
        ("Bayesian", {"held_out": 1}),
        ("Bayesian", {"switching": 1.5}),
        ("Interpolation", {"switching": -0.1}),
    ],
)
def test_settings_that_make_no_sense_are_refused(method: str, settings: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        getattr(tl.updates, method)(**settings)
