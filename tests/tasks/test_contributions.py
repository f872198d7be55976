"""Contributions of inputs to a metric: their mean is the metric, and each tells what the metric is without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transferlm import catalog
from transferlm.tasks.base import Answer, Entities, Entity, Gold, LabelPrediction, LabelSet, Number, Task
from transferlm.tasks.classification import Classification
from transferlm.tasks.multilabel import Multilabel
from transferlm.tasks.ner import NER
from transferlm.tasks.question_answering import QuestionAnswering
from transferlm.tasks.regression import Regression

COUNT = 30
LABELS = ("film", "meal", "room", "staff")
Case = tuple[Task, np.ndarray, list[Any], tuple[str, ...]]


def objects(rows: list[Any]) -> np.ndarray:
    return np.fromiter(rows, dtype=object, count=len(rows))


def classification(draw: np.random.Generator) -> Case:
    # The last label is neither true nor said, one is true once.
    targets = np.append(draw.integers(0, 2, COUNT - 1), 2)
    said = [LabelPrediction(LABELS[k], 0.5) for k in draw.integers(0, 3, COUNT)]
    return Classification(), targets, said, LABELS


def multilabel(draw: np.random.Generator) -> Case:
    targets, said = draw.random((2, COUNT, 4)) < 0.3
    targets[:, 3] = said[:, 3] = False
    chances = draw.random((COUNT, 4))
    sets = [
        LabelSet(tuple(np.array(LABELS)[row]), dict(zip(LABELS, each, strict=True)))
        for row, each in zip(said, chances, strict=True)
    ]
    return Multilabel(), targets, sets, LABELS


def regression(draw: np.random.Generator) -> Case:
    targets = draw.integers(1, 6, COUNT).astype(float)
    said = [Number(float(value)) for value in (targets + draw.normal(0, 2, COUNT)).round()]
    return Regression(), targets, said, ()


def ner(draw: np.random.Generator) -> Case:
    def row() -> tuple[Entity, ...]:
        places = np.flatnonzero(draw.random(3) < 0.5)
        return tuple(Entity(int(k) * 4, int(k) * 4 + 3, LABELS[int(draw.integers(0, 3))]) for k in places)

    true = [row() for _ in range(COUNT)]
    said = [Entities(true[k] if draw.random() < 0.6 else row()) for k in range(COUNT)]
    return NER(), objects(true), said, LABELS


def question_answering(draw: np.random.Generator) -> Case:
    words = np.array(["the", "river", "rhine", "delta"])
    golds = [(Gold(0, 5, " ".join(draw.choice(words, 2))),) if draw.random() < 0.7 else () for _ in range(COUNT)]
    said = [Answer(" ".join(draw.choice(words, int(draw.integers(0, 3)))), None, None, 0.5) for _ in range(COUNT)]
    return QuestionAnswering(), objects(golds), said, ()


CASES = {function.__name__: function for function in (classification, multilabel, regression, ner, question_answering)}


def test_every_task_has_a_case() -> None:
    assert set(CASES) == set(catalog.entries("tasks"))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_their_mean_is_the_metric_and_each_tells_what_the_metric_is_without_it(name: str, seed: int) -> None:
    task, targets, said, labels = CASES[name](np.random.default_rng(seed))
    whole, found = task.metrics(targets, said, labels), task.contributions(targets, said, labels)
    assert next(iter(found)) == task.headline == next(iter(whole))
    left = [task.metrics(np.delete(targets, k, axis=0), said[:k] + said[k + 1 :], labels) for k in range(COUNT)]
    for metric, values in found.items():
        assert values.shape == (COUNT,)
        assert values.mean() == pytest.approx(whole[metric])
        # The pseudo-values of a metric determine its delete-one values up to their mean.
        without = np.array([each[metric] for each in left])
        assert values - values.mean() == pytest.approx((COUNT - 1) * (without.mean() - without), abs=1e-9)


@pytest.mark.parametrize("constant", ["targets", "predictions"])
def test_a_correlation_with_what_does_not_vary_is_zero_throughout(constant: str) -> None:
    values = np.arange(6.0) if constant == "predictions" else np.full(6, 0.1)
    said = [Number(0.1 if constant == "predictions" else float(k)) for k in range(6)]
    found = Regression().contributions(values, said, ())
    assert all((each == 0).all() for each in found.values())
