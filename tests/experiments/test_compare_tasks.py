"""Comparisons of every task: its own metric, draws that suit it, baselines where they can do it, leaks of pairs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, UnsupportedError
from transferlm.experiments.compare import Comparison, Plan, compare
from transferlm.experiments.pools import cleaned, drawn
from transferlm.tasks.base import Entity, Examples, Gold
from transferlm.tasks.multilabel import Multilabel
from transferlm.tasks.ner import NER
from transferlm.tasks.question_answering import QuestionAnswering
from transferlm.tasks.regression import Regression

QUICK = tl.strategies.FineTuning(epochs=1, minimum_steps=3, precision="fp32", held_out=0.0)
SIZES = (6, 12)


def objects(rows: list[Any]) -> np.ndarray:
    return np.fromiter(rows, dtype=object, count=len(rows))


def multilabel(texts: list[str]) -> Examples:
    labels = ("film", "room", "meal")
    rows = np.array([[label in text for label in labels] for text in texts])
    return Examples(Multilabel(), texts, rows, labels)


def regression(texts: list[str]) -> Examples:
    """How many letters the second of two texts has more than the first."""
    pairs = list(zip(texts, texts[1:] + texts[:1], strict=True))
    targets = np.array([float(len(other) - len(one)) for one, other in pairs])
    return Examples(Regression(pair_column="other"), pairs, targets, ())


def ner(texts: list[str]) -> Examples:
    targets = objects([(Entity(4, 4 + len(text.split()[1]), "THING"),) for text in texts])
    return Examples(NER(), texts, targets, ("THING",))


def question_answering(texts: list[str]) -> Examples:
    """Two questions about each context; the second has no answer."""
    pairs = [(question, text) for text in texts for question in ("what was it", "who was it")]
    golds = [Gold(4, 4 + len(text.split()[1]), text.split()[1]) for text in texts]
    return Examples(QuestionAnswering(), pairs, objects([row for gold in golds for row in ((gold,), ())]), ())


TASKS: dict[str, Callable[[list[str]], Examples]] = {
    function.__name__: function for function in (multilabel, regression, ner, question_answering)
}
NO_BASELINE = {"ner", "question_answering"}


@pytest.fixture
def parts(make_reviews: Callable[..., Any]) -> Callable[[str], tuple[Examples, Examples]]:
    return lambda name: (TASKS[name](make_reviews(40)[0]), TASKS[name](make_reviews(16, 7)[0]))


@pytest.fixture
def bert(bert_folder: Path) -> Any:
    return tl.load(bert_folder)


@pytest.fixture
def found(parts: Any, bert: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Comparison:
    return compare(*parts(request.param), {"bert": bert}, [QUICK], Plan(SIZES, 1), tmp_path / "cells")


@pytest.mark.parametrize(("found", "name"), [(name, name) for name in TASKS], indirect=["found"])
def test_it_measures_the_tasks_own_metric_with_the_baselines_that_can_do_it(
    found: Comparison, name: str, tmp_path: Path
) -> None:
    able = name not in NO_BASELINE
    assert {cell.source for cell in found.cells} == {"bert", "bert-untrained", *(["tfidf"] if able else [])}
    assert {cell.labels for cell in found.cells} == set(SIZES)
    for cell in found.cells:
        assert cell.extras["training_rows"] == cell.labels
        assert not cell.per_class
        for metric, values in cell.contributions.items():
            assert values.mean() == pytest.approx(cell.scores[metric])
    judged = {(gain.against, gain.metric) for gain in found.gains if gain.source == "bert"}
    rivals = ["bert-untrained", *(["tfidf"] if able else [])]
    assert judged == {(rival, metric) for rival in rivals for metric in found.cells[0].contributions}
    assert ("can't do" in str(found.verdict)) != able
    assert "at 12 examples" in found.verdict.headline
    assert "12 labels a class" not in str(found.verdict)
    found.report(tmp_path / "report.html")
    page = re.sub(r"<style.*?</style>|<[^>]+>", " ", (tmp_path / "report.html").read_text(), flags=re.S)
    assert "labels a class" not in page
    assert "12 examples" in page


@pytest.mark.parametrize("name", TASKS)
def test_finished_cells_come_back_to_the_bit_and_are_not_run_again(
    name: str, parts: Any, bert: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (*parts(name), {"bert": bert}, [QUICK], Plan((6,), 2, baselines=False), tmp_path)
    first = compare(*arguments)
    monkeypatch.setattr(tl.strategies.FineTuning, "transfer", None)
    again = compare(*arguments)
    for one, other in zip(first.cells, again.cells, strict=True):
        assert one.scores == other.scores
        for metric, values in one.contributions.items():
            assert np.array_equal(values, other.contributions[metric])
    assert first.as_json()["gains"] == again.as_json()["gains"]


def test_a_strategy_that_cannot_learn_the_task_is_refused_or_left_out(parts: Any, bert: Any, capsys: Any) -> None:
    train, test = parts("ner")
    frozen = tl.strategies.FeatureExtraction()
    with pytest.raises(UnsupportedError, match="feature_extraction can't learn ner"):
        compare(train, test, {"bert": bert}, [frozen], Plan((6,), 1))
    both = compare(train, test, {"bert": bert}, [frozen, QUICK], Plan((6,), 1))
    assert {cell.strategy for cell in both.cells} == {"fine_tuning"}
    assert "left out of feature_extraction" in capsys.readouterr().err


def test_too_few_examples_are_refused_before_any_work(parts: Any, bert: Any) -> None:
    train, test = parts("multilabel")
    with pytest.raises(DataError, match="41 examples asked for, it has 40: lower --sizes"):
        compare(train, test, {"bert": bert}, [QUICK], Plan((41,), 1))
    with pytest.raises(DataError, match="1 examples can't show all 3 labels"):
        compare(train, test, {"bert": bert}, [QUICK], Plan((1,), 1))
    with pytest.raises(DataError, match="1 examples to test on: an interval needs two or more"):
        compare(train, test.subset(np.array([0])), {"bert": bert}, [QUICK], Plan((6,), 1))


def test_questions_about_one_long_context_are_no_duplicates_and_leak_by_their_context() -> None:
    long = ["the river " + " ".join(f"word{n}x{k}" for n in range(200)) for k in range(4)]
    train, test = question_answering(long[:3]), question_answering([long[2] + " .", long[3]])
    pool, facts = cleaned(train, test)
    assert [text[1] for text in pool.texts] == [long[0], long[0], long[1], long[1]]
    assert facts["left out as duplicates"] == 0
    assert facts["left out because they stand in the test part"] == 2


def test_a_pair_leaks_where_both_its_texts_stand_in_the_test_part(make_reviews: Callable[..., Any]) -> None:
    texts, others = make_reviews(12)[0], make_reviews(12, 5)[0]
    pairs = [(texts[0], others[0]), (texts[1], others[1]), (texts[0], others[2])]
    train = Examples(Regression(pair_column="other"), pairs, np.arange(3.0), ())
    test = Examples(train.task, [(texts[0], others[0] + "!"), (texts[5], others[5])], np.arange(2.0), ())
    pool, _ = cleaned(train, test)
    assert pool.texts == pairs[1:]
    with pytest.raises(DataError, match="nothing is left to train on"):
        cleaned(train.subset(np.array([0])), test)


def test_few_rows_of_several_labels_show_every_label(parts: Any) -> None:
    pool, _ = parts("multilabel")
    for rows in drawn(pool, (3, 9), 4, {}).values():
        assert pool.targets[rows].any(axis=0).all()
