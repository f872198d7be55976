"""Comparisons from Python: the same draws for all, baselines beside them, and refusals before any work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.experiments.compare import Comparison, Plan, compare
from transferlm.experiments.machine import machine
from transferlm.experiments.pools import drawn
from transferlm.experiments.remembered import Remembered
from transferlm.models.base import Model
from transferlm.models.recurrent import Recurrent
from transferlm.models.tfidf import TfIdf
from transferlm.strategies.feature_extraction import FeatureExtraction
from transferlm.strategies.fine_tuning import FineTuning
from transferlm.tasks.base import Examples

Maker = Callable[..., Examples]
PLAN = Plan(sizes=(2, 6), seeds=2)


@pytest.fixture
def found(recurrent: Recurrent, make_examples: Maker) -> Comparison:
    train, test = make_examples(60), make_examples(20, seed=3)
    return compare(train, test, {"lm": recurrent}, [FeatureExtraction(regularisation=1.0)], PLAN)


def test_every_arm_has_every_size_and_seed(found: Comparison) -> None:
    places = {(c.source, c.labels, c.seed) for c in found.cells}
    assert places == {
        (source, size, seed) for source in ("lm", "lm-untrained", "tfidf") for size in (2, 6) for seed in (0, 1)
    }


def test_all_arms_share_their_draws_and_seeds_differ(found: Comparison) -> None:
    draws: dict[tuple[int, int], set[str]] = {}
    for cell in found.cells:
        draws.setdefault((cell.labels, cell.seed), set()).add(str(cell.extras["training_hash"]))
    assert all(len(hashes) == 1 for hashes in draws.values())
    assert len({min(hashes) for hashes in draws.values()}) == 4


def test_the_few_labels_of_a_seed_are_part_of_its_many(make_examples: Maker) -> None:
    pool = make_examples(60)
    draws = drawn(pool, (2, 6), 2, {})
    for seed in range(2):
        assert set(draws[2, seed]) < set(draws[6, seed])
        assert np.bincount(pool.targets[draws[6, seed]]).tolist() == [6, 6]


def test_a_cell_is_what_a_transfer_alone_would_give(
    found: Comparison, recurrent: Recurrent, make_examples: Maker
) -> None:
    train, test = make_examples(60), make_examples(20, seed=3)
    rows = drawn(train, (2, 6), 2, {})[6, 1]
    alone = FeatureExtraction(regularisation=1.0).transfer(recurrent, train.subset(rows), 1).score(test)
    cell = next(c for c in found.cells if (c.source, c.labels, c.seed) == ("lm", 6, 1))
    assert cell.scores == pytest.approx(alone.metrics)
    assert np.array_equal(cell.contributions["accuracy"], alone.predicted == test.targets)


def test_only_texts_of_the_examples_are_encoded(
    recurrent: Recurrent, make_examples: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()

    class Seen(Remembered):
        def __init__(self, model: Model, texts: Sequence[str], whole: bool = False) -> None:
            seen.update(texts)
            super().__init__(model, texts, whole)

    monkeypatch.setattr("transferlm.experiments.runs.Remembered", Seen)
    train, test = make_examples(40), make_examples(10, seed=3)
    compare(train, test, {"lm": recurrent}, [FeatureExtraction(regularisation=1.0)], Plan((2,), 1))
    assert seen
    assert seen <= {*train.texts, *test.texts}


def test_the_facts_let_a_reader_repeat_it(found: Comparison, make_examples: Maker) -> None:
    facts = found.facts
    assert make_examples(20, seed=3).hash in facts["test part"]
    assert facts["versions"]["torch"]
    assert facts["machine"] == machine()
    assert "\n" not in machine()
    assert str(found) == str(found.verdict)


def test_rows_of_the_test_part_are_never_trained_on(recurrent: Recurrent, make_examples: Maker) -> None:
    test = make_examples(20)
    found = compare(make_examples(60), test, {"lm": recurrent}, [FeatureExtraction(regularisation=1.0)], PLAN)
    assert found.facts["left out because they stand in the test part"] >= 20


def test_the_models_given_stay_as_they_were(recurrent: Recurrent, make_examples: Maker) -> None:
    before = recurrent.fingerprint
    quick = FineTuning(epochs=1, minimum_steps=2)
    compare(make_examples(40), make_examples(10, seed=3), {"lm": recurrent}, [quick], Plan((2,), 1))
    assert recurrent.fingerprint == before


def test_one_strategy_in_two_settings_has_two_names(make_examples: Maker) -> None:
    variants = {"weak": FeatureExtraction(regularisation=0.01), "strong": FeatureExtraction(regularisation=10.0)}
    found = compare(make_examples(40), make_examples(10, seed=3), {"tfidf": TfIdf()}, variants, Plan((2,), 1))
    assert {c.strategy for c in found.cells} == {"weak", "strong"}
    with pytest.raises(SettingError, match="give a mapping that names its variants apart"):
        compare(make_examples(40), make_examples(10, seed=3), {"tfidf": TfIdf()}, list(variants.values()))


def test_without_baselines_only_the_sources_run(recurrent: Recurrent, make_examples: Maker) -> None:
    plan = Plan((2,), 1, baselines=False)
    found = compare(make_examples(40), make_examples(10, seed=3), {"lm": recurrent}, [FeatureExtraction()], plan)
    assert {c.source for c in found.cells} == {"lm"}


def test_refusals_come_before_any_work(make_examples: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = make_examples(40), make_examples(10, seed=3)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(FeatureExtraction, "transfer", never)
    with pytest.raises(DataError, match="500 labels a class asked for, the largest class has 20"):
        compare(train, test, {"tfidf": TfIdf()}, [FeatureExtraction()], Plan((2, 500), 1))
    with pytest.raises(UnsupportedError, match="works with"):
        compare(train, test, {"tfidf": TfIdf()}, [FineTuning()], Plan((2,), 1))
    other = Examples(test.task, test.texts, test.targets, ("bad", "good"))
    with pytest.raises(DataError, match=r"read it with labels=train\.labels"):
        compare(train, other, {"tfidf": TfIdf()}, [FeatureExtraction()], Plan((2,), 1))


@pytest.mark.parametrize("settings", [{"sizes": ()}, {"sizes": (0,)}, {"seeds": 0}])
def test_plans_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        Plan(**settings)


def test_remembered_encodings_are_the_encoders_own(recurrent: Recurrent, review_texts: list[str]) -> None:
    texts = [*review_texts[:10], review_texts[0]]
    memory = Remembered(recurrent, texts)
    expected = recurrent.encode(list(dict.fromkeys(texts)))
    asked = [review_texts[3], review_texts[0], review_texts[3]]
    answer = memory.encode(asked)
    assert np.array_equal(answer.features, expected.features[[3, 0, 3]])
    assert np.array_equal(answer.read, expected.read[[3, 0, 3]])
    assert memory.seconds_saved > 0
    assert (memory.family, memory.fingerprint) == (recurrent.family, recurrent.fingerprint)
