"""Mixtures: weights, alignment of vocabularies, a prior that gives way to evidence, the folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models._mixing import fitted_strength, fitted_weights, prior_share

OLD = ["a b a c", "b a b", "c a", "a b a c d"]
NEW = ["e f e", "a e f", "e e a", "f a e f"]
ASKED = ["a b e", "f f d", "", "unheard of", "a"]


def counted(texts: Sequence[str], family: str = "KneserNey", **settings: Any) -> Any:
    return getattr(tl.models, family)(order=2, **settings).fit(texts)


def steps(model: Any, text: str) -> np.ndarray:
    return next(model.token_scores([text])).log_probs


# ---------------------------------------------------------------- fitting


def test_em_finds_the_weights_that_no_other_weights_beat() -> None:
    logs = np.log(np.random.default_rng(0).uniform(0.01, 1, (3, 500)))
    weights, nats = fitted_weights(logs)
    assert weights.sum() == pytest.approx(1)
    assert nats == pytest.approx(-np.log(weights @ np.exp(logs)).mean())

    def believed(value: np.ndarray) -> float:
        """With the one token that every model is credited with."""
        return float(np.log(value @ np.exp(logs)).sum() + np.log(value).sum())

    for moved in np.random.default_rng(1).dirichlet(np.ones(3), 200):
        assert believed(weights) >= believed(moved) - 1e-4


def test_a_model_that_is_always_worse_keeps_its_credit_of_one_token() -> None:
    weights, _ = fitted_weights(np.log([[0.5] * 98, [1e-9] * 98]))
    assert weights[1] == pytest.approx(1 / 100)


@pytest.mark.parametrize("logs", [np.zeros((2, 0)), np.array([[0.0, -np.inf], [0.0, -np.inf]])])
def test_weights_of_nothing_are_refused(logs: np.ndarray) -> None:
    with pytest.raises(DataError, match="can't be fitted"):
        fitted_weights(logs)


def test_a_priors_share_falls_with_every_order_of_evidence() -> None:
    # Worked by hand: s = 3; a context seen 4 times with 2 followers keeps 3 * 2 / (4 + 3 * 2) = 0.6 of the prior.
    assert np.exp(prior_share(np.array([[0.5, 0.5], [0.5, np.inf]]), 3.0)).tolist() == pytest.approx([0.36, 0.6])


def test_the_strength_is_the_one_that_no_other_beats() -> None:
    draw = np.random.default_rng(0)
    prior, last = np.log(draw.uniform(0.01, 1, (2, 40_000)))
    evidence = draw.uniform(0.01, 1, (40_000, 2))
    strength, nats = fitted_strength(prior, last, evidence)

    def at(value: float) -> float:
        share = np.exp(prior_share(evidence, value))
        return -float(np.log(share * np.exp(prior) + (1 - share) * np.exp(last)).mean())

    assert nats == pytest.approx(at(strength))
    assert all(nats < at(strength * factor) for factor in (0.3, 0.8, 1.25, 3))


# ---------------------------------------------------------------- mixing


def test_with_one_vocabulary_it_is_the_weighted_sum() -> None:
    one, other = counted(OLD), counted(OLD, "WittenBell")
    mixture = tl.models.Mixture.of([one, other], [3, 1])
    for text in ASKED:
        wanted = np.log(0.75 * np.exp(steps(one, text)) + 0.25 * np.exp(steps(other, text)))
        assert steps(mixture, text) == pytest.approx(wanted)
    assert mixture.vocabulary == one.vocabulary


def test_open_vocabularies_are_put_together_word_by_word() -> None:
    one, other = counted(OLD), counted(NEW)
    mixture = tl.models.Mixture.of([one, other])
    assert list(mixture.tokenizer) == ["a", "b", "c", "d", "e", "f"]
    assert not mixture.vocabulary.closed
    for text in ASKED:
        wanted = np.log(0.5 * np.exp(steps(one, text)) + 0.5 * np.exp(steps(other, text)))
        assert steps(mixture, text) == pytest.approx(wanted)
    assert np.exp(mixture.next_log_probs(["a", "e f", "x"])).sum(axis=1) == pytest.approx(1)


def test_in_closed_vocabularies_an_unknown_word_is_what_no_component_knows() -> None:
    one, other = counted(OLD, open_vocabulary=False), counted(NEW, open_vocabulary=False)
    mixture = tl.models.Mixture.of([one, other])
    known_to_one = steps(mixture, "b")[0]
    assert known_to_one == pytest.approx(steps(one, "b")[0] + np.log(0.5)), "the other's unknown word is not b"
    unknown = np.log(0.5 * np.exp(steps(one, "zz")[0]) + 0.5 * np.exp(steps(other, "zz")[0]))
    assert steps(mixture, "zz")[0] == pytest.approx(unknown)
    rows = mixture.next_log_probs(["a", "e f", "x"])
    assert np.exp(rows).sum(axis=1) == pytest.approx(1)
    for symbol in range(4, mixture.tokenizer.size):
        assert rows[0, symbol] == pytest.approx(steps(mixture, f"a {mixture.tokenizer.word(symbol)}")[1], abs=1e-6)


def test_counts_and_a_neural_model_with_a_smaller_vocabulary() -> None:
    tokenizer = tl.tokenizers.Word(minimum_count=4)
    neural = tl.models.Recurrent(width=8, embedding_width=8, epochs=1, batch_size=2, sequence_length=4, held_out=0)
    neural.tokenizer = tokenizer
    neural.fit(OLD + NEW)
    ngrams = counted(OLD)
    mixture = tl.models.Mixture.of([ngrams, neural])
    assert mixture.vocabulary.closed, "the neural model's vocabulary is"
    assert ngrams.open_vocabulary, "the component given is left as it was"
    rows = mixture.next_log_probs(["a", "", "b a"])
    assert np.exp(rows).sum(axis=1) == pytest.approx(1, abs=1e-9)
    for text in ASKED:
        scores = next(mixture.token_scores([text]))
        places = [text[:cut] for cut in [0, *scores.offsets[:-1, 1].tolist()]]
        row = mixture.next_log_probs(places)
        assert scores.log_probs == pytest.approx(row[np.arange(len(places)), scores.ids], abs=1e-5)


def test_models_that_cut_texts_differently_are_refused() -> None:
    words, characters = counted(OLD), counted(OLD, unit="character")
    with pytest.raises(UnsupportedError, match=r"cut texts differently.*all by word"):
        tl.models.Mixture.of([words, characters]).log_probs(["a"])


def test_a_component_without_weight_is_not_asked() -> None:
    mixture = tl.models.Mixture.of([counted(OLD), tl.models.KneserNey(order=2)], [1, 0])
    assert mixture.log_probs(ASKED) == pytest.approx(counted(OLD).log_probs(ASKED))


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [np.nan, 1], [np.inf, 1]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(SettingError, match="weights"):
        tl.models.Mixture.of([counted(OLD), counted(NEW)], weights)


def test_a_mixture_of_nothing_says_so() -> None:
    with pytest.raises(SettingError, match="no models"):
        tl.models.Mixture.of([])
    with pytest.raises(DataError, match="combine"):
        tl.models.Mixture().log_probs(["a"])
    with pytest.raises(UnsupportedError, match="causal"):
        tl.models.Mixture.of([tl.models.TfIdf()])


# ---------------------------------------------------------------- a prior and evidence


def test_with_a_strength_the_prior_speaks_where_nothing_was_counted() -> None:
    old, new = counted(OLD), counted(NEW)
    mixture = tl.models.Mixture.of([old, new], strength=2.0)
    # The first word of NEW: 4 texts begin, with 3 words; 17 tokens, 4 of them distinct (a, e, f, end).
    share = 2 * 4 / (17 + 2 * 4) * 2 * 3 / (4 + 2 * 3)
    wanted = np.log(share * np.exp(steps(old, "e")[0]) + (1 - share) * np.exp(steps(new, "e")[0]))
    assert steps(mixture, "e")[0] == pytest.approx(wanted)
    assert np.exp(mixture.next_log_probs(["a", "", "zz", "e f"])).sum(axis=1) == pytest.approx(1)
    strong = tl.models.Mixture.of([old, new], strength=1e12)
    assert strong.log_probs(OLD) == pytest.approx(old.log_probs(OLD), abs=1e-6)


def test_a_strength_needs_counts() -> None:
    words = counted(OLD)
    with pytest.raises(UnsupportedError, match="n-gram counts"):
        tl.models.Mixture.of([words, tl.models.Mixture.of([words])], strength=1.0)
    for strength in (0, -1, np.nan, np.inf):
        with pytest.raises(SettingError, match="strength"):
            tl.models.Mixture(strength)


# ---------------------------------------------------------------- the folder


def test_components_keep_their_stories(tmp_path: Path) -> None:
    parts = [tl.pretrain(tl.models.KneserNey(order=2), texts) for texts in (OLD, NEW)]
    tl.models.Mixture.of(parts).save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert [model.lineage.step for model in opened.components] == ["pretrain"] * 2
    assert tl.load(tmp_path / "m" / "component-1").log_probs(ASKED) == pytest.approx(parts[1].log_probs(ASKED))  # type: ignore[union-attr]


def test_a_damaged_folder_is_one_clear_error(tmp_path: Path) -> None:
    from transferlm.counts.mapped_arrays import save_arrays

    tl.models.Mixture.of([counted(OLD), counted(NEW)]).save(tmp_path / "m")
    for arrays in ({"weights": np.array([0.5, 0.9])}, {"weights": np.array([np.nan, 1])}, {"other": np.ones(2)}):
        save_arrays(tmp_path / "m" / "model.safetensors", arrays)
        with pytest.raises(ModelFolderError, match="copy it again"):
            tl.load(tmp_path / "m")
    save_arrays(tmp_path / "m" / "model.safetensors", {"weights": np.full(3, 1 / 3)})
    with pytest.raises(ModelFolderError, match="component-2"):
        tl.load(tmp_path / "m")


def test_a_mixture_inside_a_mixture_is_opened_again(tmp_path: Path) -> None:
    inner = tl.models.Mixture.of([counted(OLD), counted(NEW)])
    outer = tl.models.Mixture.of([inner, counted(OLD, "WittenBell")])
    outer.save(tmp_path / "m")
    assert np.array_equal(tl.load(tmp_path / "m").log_probs(ASKED), outer.log_probs(ASKED))  # type: ignore[union-attr]


def test_the_manifest_of_a_component_that_names_another_family_is_refused(tmp_path: Path) -> None:
    tl.models.Mixture.of([counted(OLD)]).save(tmp_path / "m")
    place = tmp_path / "m" / "component-0" / "transferlm.json"
    told = json.loads(place.read_text())
    told["model"]["family"] = "nonesuch"
    place.write_text(json.dumps(told))
    with pytest.raises(ModelFolderError, match="nonesuch"):
        tl.load(tmp_path / "m")


# ---------------------------------------------------------------- switching


def test_with_switching_a_component_is_believed_as_it_foretells() -> None:
    # Worked by hand: weights 0.5 each, a fifth of the merit given up at every word.
    one, other = counted(OLD), counted(NEW)
    mixture = tl.models.Mixture.of([one, other], switching=0.2)
    first, second = np.exp(steps(one, "a b a")), np.exp(steps(other, "a b a"))
    merits, wanted = np.ones(2), []
    for token in range(4):
        weights = merits * 0.5 / (merits * 0.5).sum()
        own = np.array([first[token], second[token]])
        mix = weights @ own
        wanted.append(mix)
        merits = 0.8 * merits * own / mix + 0.2
    assert np.exp(steps(mixture, "a b a")) == pytest.approx(wanted)
    assert np.exp(mixture.next_log_probs(["a b", "", "zz e f"])).sum(axis=1) == pytest.approx(1)
    ids = next(mixture.token_scores(["a b a"])).ids
    assert mixture.next_log_probs(["a b"])[0, ids[2]] == pytest.approx(np.log(wanted[2]))


def test_switching_all_the_time_is_not_switching() -> None:
    parts = [counted(OLD), counted(NEW)]
    still, always = (tl.models.Mixture.of(parts, switching=value) for value in (None, 1.0))
    assert always.log_probs(ASKED) == pytest.approx(still.log_probs(ASKED))


def test_without_switching_back_it_is_the_mixture_of_whole_texts() -> None:
    """At 0 the text's probability is the weighted sum of its probabilities: Bayes' rule with one model a text."""
    one, other = counted(OLD), counted(NEW)
    mixture = tl.models.Mixture.of([one, other], [0.3, 0.7], switching=0.0)
    wanted = np.logaddexp(np.log(0.3) + one.log_probs(ASKED), np.log(0.7) + other.log_probs(ASKED))
    assert mixture.log_probs(ASKED) == pytest.approx(wanted)


def test_in_a_stream_what_was_believed_goes_on_over_the_ends_of_texts() -> None:
    mixture = tl.models.Mixture.of([counted(OLD), counted(NEW)], switching=0.1)
    texts = ["e f e", "e f e"]
    alone, stream = ([s.log_probs for s in mixture.token_scores(texts, c)] for c in ("text", "stream"))
    assert np.array_equal(alone[0], alone[1])
    assert np.array_equal(stream[0], alone[0])
    assert stream[1][0] > alone[1][0]


def test_a_prior_and_evidence_switch_too() -> None:
    mixture = tl.models.Mixture.of([counted(OLD), counted(NEW)], strength=2.0, switching=0.1)
    assert np.exp(mixture.next_log_probs(["a b", "", "zz e f"])).sum(axis=1) == pytest.approx(1)
    still = tl.models.Mixture.of([counted(OLD), counted(NEW)], strength=2.0)
    assert mixture.log_probs(["a b a c"])[0] > still.log_probs(["a b a c"])[0]


@pytest.mark.parametrize("switching", [-0.1, 1.1, np.nan])
def test_a_switching_that_is_no_chance_is_refused(switching: float) -> None:
    with pytest.raises(SettingError, match="switching"):
        tl.models.Mixture(switching=switching)


# ---------------------------------------------------------------- composites of composites


def nested(name: str) -> Any:
    """Open models that hold others; their vocabularies share words, and each lacks some of the others'."""
    one, other, third = counted(OLD), counted([*NEW, "b e"]), counted(["g a g", "e g"])
    made = {
        "cached in mixture": lambda: tl.models.Mixture.of([tl.models.Cached.of(one), other]),
        "mixture in mixture": lambda: tl.models.Mixture.of([tl.models.Mixture.of([one, other], switching=0.3), third]),
        "evidence in mixture": lambda: tl.models.Mixture.of([tl.models.Mixture.of([one, other], strength=2.0), third]),
        "mixture in cached": lambda: tl.models.Cached.of(tl.models.Mixture.of([one, other], switching=0.3)),
        "cached, evidence": lambda: tl.models.Mixture.of(
            [tl.models.Cached.of(one), other], strength=2.0, switching=0.2
        ),
    }
    return made[name]()


NESTED = ["cached in mixture", "mixture in mixture", "evidence in mixture", "mixture in cached", "cached, evidence"]
PATHS = ["a e g b a", "f f d g", "zz a zz zz", "", "e zz g a e e"]


@pytest.mark.parametrize("name", NESTED)
def test_whatever_is_nested_steps_are_what_the_next_distribution_says(name: str) -> None:
    model = nested(name)
    for text in PATHS:
        scores = next(model.token_scores([text]))
        cuts = [text[:cut] for cut in [0, *scores.offsets[:-1, 1].tolist()]]
        rows = model.next_log_probs(cuts)
        assert np.exp(rows).sum(axis=1) == pytest.approx(1, abs=1e-9)
        for row, told, own in zip(rows, scores.log_probs, scores.ids, strict=True):
            if own == model.tokenizer.unknown_id:
                assert told <= row[own]
            else:
                assert told == pytest.approx(row[own], abs=1e-6), text


@pytest.mark.parametrize("name", NESTED)
def test_beside_a_closed_vocabulary_all_parts_are_closed(name: str) -> None:
    model, arpa = nested(name), counted(OLD, open_vocabulary=False)
    mixture = tl.models.Mixture.of([model, arpa])
    assert mixture.vocabulary.closed
    assert not model.vocabulary.closed, "what was given is left as it was"
    for text in PATHS:
        scores = next(mixture.token_scores([text]))
        rows = mixture.next_log_probs([text[:cut] for cut in [0, *scores.offsets[:-1, 1].tolist()]])
        assert scores.log_probs == pytest.approx(rows[np.arange(len(rows)), scores.ids], abs=1e-6)
        assert np.exp(rows).sum(axis=1) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("method", [tl.updates.Interpolation(), tl.updates.Bayesian(), tl.updates.Bayesian(2.0)])
def test_every_composite_is_updated_from_what_it_was(name: str, method: Any, tmp_path: Path) -> None:
    model, seen = nested(name), []
    before = model.log_probs(PATHS)
    made = method.update(model, ["g g a h", "h a g"] * 6, measure=lambda m: seen.append(m.log_probs(PATHS)))
    assert seen[0] == pytest.approx(before), "it scores as the model given until it has learnt"
    assert made.switching == 0.2
    assert made.log_probs(["h a g"])[0] > model.log_probs(["h a g"])[0]
    assert np.array_equal(model.log_probs(PATHS), before)
    made.save(tmp_path / "m")
    assert np.array_equal(tl.load(tmp_path / "m").log_probs(PATHS), made.log_probs(PATHS))  # type: ignore[union-attr]


def test_what_was_made_is_not_changed_with_what_it_was_made_from() -> None:
    old = counted(OLD)
    made = tl.updates.Interpolation().update(old, NEW)
    print_before = made.fingerprint
    old.adjust(open_vocabulary=False)
    assert made.fingerprint == print_before


def test_one_mixture_of_texts_is_refused_where_a_string_is_given() -> None:
    with pytest.raises(TypeError, match="several texts"):
        tl.models.Mixture.of([counted(OLD)]).log_probs("abc")


def test_a_hostile_folder_is_one_clear_error(tmp_path: Path) -> None:
    made = tl.models.Mixture.of([counted(OLD), counted(NEW)])
    made.save(tmp_path / "m")
    manifest = tmp_path / "m" / "transferlm.json"
    told = json.loads(manifest.read_text())
    for settings in ({"strength": 2.0}, {"switching": "0.5"}, {"strength": True}, {"switching": [1]}):
        told["model"]["hyper_parameters"] = {"strength": None, "switching": None, **settings}
        manifest.write_text(json.dumps(told))
        with pytest.raises(ModelFolderError) as error:
            tl.load(tmp_path / "m")
        assert "\n" not in str(error.value)
    made.save(tmp_path / "m")
    tl.models.TfIdf().fit(OLD).save(tmp_path / "m" / "component-1")
    with pytest.raises(ModelFolderError, match="component-1 holds a tfidf model"):
        tl.load(tmp_path / "m")


def test_links_and_endless_nesting_are_refused(tmp_path: Path) -> None:
    made = tl.models.Mixture.of([counted(OLD), counted(NEW)])
    made.save(tmp_path / "m")
    (tmp_path / "m" / "component-1").rename(tmp_path / "aside")
    (tmp_path / "m" / "component-1").symlink_to("component-0")
    with pytest.raises(ModelFolderError, match="component-1 is a link"):
        tl.load(tmp_path / "m")
    deep = counted(OLD)
    for _ in range(34):
        deep = tl.models.Mixture.of([deep])
    deep.save(tmp_path / "deep")
    with pytest.raises(ModelFolderError, match="32 deep"):
        tl.load(tmp_path / "deep")


def test_a_failed_fit_leaves_the_mixture_as_it_was() -> None:
    mixture = tl.models.Mixture.of([tl.models.MaximumLikelihood(order=1).fit(OLD)] * 2, [1, 0])
    before = mixture.fingerprint
    with pytest.raises(DataError, match="'quagga'"):
        mixture.tune(["a", "quagga"])
    assert mixture.fingerprint == before


def test_a_mixture_of_nothing_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing without its models"):
        tl.models.Mixture().save(tmp_path / "m")
