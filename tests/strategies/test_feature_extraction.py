"""A frozen body with logistic regression: scikit-learn's own probabilities, whatever the encoder's scale."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from transferlm.errors import DataError, SettingError
from transferlm.models.recurrent import Recurrent
from transferlm.models.tfidf import TfIdf
from transferlm.strategies.feature_extraction import FeatureExtraction
from transferlm.tasks.base import Examples
from transferlm.tasks.classification import Classification

Maker = Callable[..., Examples]


def with_labels(examples: Examples, count: int, **settings: Any) -> Examples:
    labels = tuple("abcdef"[:count])
    targets = np.arange(len(examples)) % count
    return Examples(Classification(**settings), examples.texts, targets, labels, name="letters")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weights", [None, "balanced"])
def test_probabilities_are_scikit_learns(
    classes: int, weights: Any, make_examples: Maker, recurrent: Recurrent, in_fp32: None
) -> None:
    from sklearn.linear_model import LogisticRegression

    examples = with_labels(make_examples(61), classes, class_weights=weights)
    made = FeatureExtraction(regularisation=2.0).transfer(recurrent, examples)
    features = recurrent.encode(examples.texts).features.astype(np.float64)
    scaled = features / np.sqrt((features**2).sum(axis=1).mean())
    peer = LogisticRegression(C=2.0, max_iter=1000, class_weight=weights).fit(scaled, examples.targets)
    assert made.predict_proba(examples.texts) == pytest.approx(peer.predict_proba(scaled), abs=2e-3)


def test_the_encoders_scale_does_not_matter(make_examples: Maker, recurrent: Recurrent) -> None:
    examples = make_examples(40)
    one = FeatureExtraction(regularisation=1.0).transfer(recurrent, examples)
    features = recurrent.encode(examples.texts)

    class Louder(Recurrent):
        def encode(self, texts: Any) -> Any:
            return type(features)(100 * recurrent.encode(texts).features, np.ones(len(texts)))

    louder = recurrent.copy()
    louder.__class__ = Louder
    Louder.__module__ = Recurrent.__module__
    other = FeatureExtraction(regularisation=1.0).transfer(louder, examples)
    assert other.predict_proba(examples.texts) == pytest.approx(one.predict_proba(examples.texts), abs=1e-3)


def test_the_strength_is_chosen_by_cross_validation(make_examples: Maker) -> None:
    train, test = make_examples(60), make_examples(60, seed=8)
    chosen = FeatureExtraction().transfer(TfIdf(), train).score(test)
    far_off = FeatureExtraction(regularisation=1e-4).transfer(TfIdf(), train).score(test)
    assert chosen.metrics["accuracy"] > 0.9

    def log_loss(scores: Any) -> float:
        return float(-np.log(scores.probabilities[np.arange(60), test.targets]).mean())

    assert log_loss(chosen) < 0.5 * log_loss(far_off)


def test_class_weights_matter(make_examples: Maker) -> None:
    whole = make_examples(80)
    few = np.flatnonzero(whole.targets == 1)[:4]
    rows = np.concatenate([np.flatnonzero(whole.targets == 0), few])
    shares = []
    for weights in (None, "balanced", {"positive": 50.0}):
        task = Classification(class_weights=weights)  # type: ignore[arg-type]
        examples = Examples(task, [whole.texts[r] for r in rows], whole.targets[rows], whole.labels)
        made = FeatureExtraction(regularisation=0.1).transfer(TfIdf(ngrams=1), examples)
        shares.append(made.predict_proba(make_examples(40, seed=3).texts)[:, 1].mean())
    assert shares[0] < shares[1] < shares[2]


def test_a_weight_for_a_stranger_is_refused(make_examples: Maker) -> None:
    with pytest.raises(SettingError, match="class_weights name 'spam', which is no label"):
        FeatureExtraction().transfer(TfIdf(), make_examples(8, class_weights={"spam": 2.0}))


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_one_or_two_rows_a_class_are_enough(rows: int, make_examples: Maker) -> None:
    made = FeatureExtraction().transfer(TfIdf(), make_examples(rows))
    chances = made.predict_proba(make_examples(2).texts)[:, 1]
    assert chances[0] < chances[1]


def test_a_label_without_an_example_is_refused(make_examples: Maker) -> None:
    examples = make_examples(10)
    lonely = examples.subset(np.flatnonzero(examples.targets == 0))
    with pytest.raises(DataError, match="reviews: label 'positive' has no example to learn from"):
        FeatureExtraction().transfer(TfIdf(), lonely)


def test_the_model_stays_as_it_was(make_examples: Maker, recurrent: Recurrent) -> None:
    before = recurrent.fingerprint
    made = FeatureExtraction().transfer(recurrent, make_examples(20))
    assert made.model.fingerprint == before == recurrent.fingerprint


def test_an_untrained_baseline_learns_its_terms_from_the_examples_alone(make_examples: Maker) -> None:
    empty = TfIdf()
    made = FeatureExtraction().transfer(empty, make_examples(20))
    assert not empty.trained
    assert made.model.fingerprint == TfIdf().fit(make_examples(20).texts).fingerprint


def test_a_fitted_baseline_keeps_its_terms(make_examples: Maker) -> None:
    fitted = TfIdf().fit(make_examples(80, seed=4).texts)
    made = FeatureExtraction().transfer(fitted, make_examples(20))
    assert made.model.fingerprint == fitted.fingerprint


def test_the_seed_decides_the_folds_and_nothing_else(make_examples: Maker) -> None:
    examples = make_examples(30)
    one, same = (FeatureExtraction().transfer(TfIdf(), examples, seed=5) for _ in range(2))
    assert np.array_equal(one.weights, same.weights)
    fixed = [FeatureExtraction(regularisation=1.0).transfer(TfIdf(), examples, seed=s).weights for s in (0, 1)]
    assert np.array_equal(*fixed)


def test_the_lineage_says_what_was_done(make_examples: Maker) -> None:
    examples = make_examples(20)
    lineage = FeatureExtraction(folds=3).transfer(TfIdf(), examples, seed=9).lineage
    assert lineage.step == "transfer"
    assert lineage.seed == 9
    assert lineage.method == {
        "name": "feature_extraction",
        "hyper_parameters": {"regularisation": None, "folds": 3, "steps": 1000},
    }
    assert lineage.data == [{"name": "reviews", "hash": examples.hash, "texts": 20}]


@pytest.mark.parametrize(("name", "value"), [("regularisation", 0.0), ("regularisation", -1.0), ("folds", 1)])
def test_settings_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        FeatureExtraction(**{name: value})


def test_a_solver_cut_short_is_no_raw_warning(make_examples: Maker, recurrent: Recurrent) -> None:
    """A person who lowers `steps` gets a note of ours or nothing, not scikit-learn's block of text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FeatureExtraction(regularisation=1e6, steps=2).transfer(recurrent, make_examples(40))
    assert [str(w.message).splitlines()[0] for w in caught] == []
