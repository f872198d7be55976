"""A residual linear map and its head: the joint optimum, plain features without a map, and what a map is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import transferlm as tl
from transferlm.errors import SettingError, UnsupportedError
from transferlm.models.recurrent import Recurrent
from transferlm.strategies._linear import Solver
from transferlm.strategies._residual_map import MapSolver
from transferlm.tasks.base import Examples

Maker = Callable[..., Examples]


def drawn(rows: int, width: int, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = np.arange(rows) % labels
    return generator.normal(size=(rows, width)) + 0.8 * generator.normal(size=(labels, width))[targets], targets


def solver(link: Any, looseness: float, strength: float | None = 2.0) -> MapSolver:
    return MapSolver(link, strength, looseness, 5, 2000, None, 0)


def descended(features: np.ndarray, targets: np.ndarray, strength: float, looseness: float) -> tuple[float, np.ndarray]:
    """T and W as two plain matrices, moved by torch from a random start: the least value, and the log-probabilities."""
    x, y = torch.from_numpy(features), torch.from_numpy(targets)
    labels, width = int(targets.max()) + 1, x.shape[1]
    generator = torch.Generator().manual_seed(3)
    head = torch.randn(width, labels, generator=generator, dtype=torch.float64).requires_grad_()
    residual = (0.3 * torch.randn(width, width, generator=generator, dtype=torch.float64)).requires_grad_()
    bias = torch.zeros(labels, dtype=torch.float64, requires_grad=True)
    moved = torch.optim.LBFGS([head, residual, bias], max_iter=5000, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def value() -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy((x + x @ residual.T) @ head + bias, y, reduction="sum")
        return loss + (head**2).sum() / (2 * strength) + (residual**2).sum() / (2 * looseness * strength)

    def step() -> float:
        moved.zero_grad()
        total = value()
        total.backward()
        return total.item()

    moved.step(step)
    with torch.no_grad():
        return float(value()), torch.log_softmax((x + x @ residual.T) @ head + bias, dim=1).numpy()


@pytest.mark.parametrize("looseness", [0.2, 3.0])
def test_it_is_the_optimum_over_a_full_map_and_a_head(looseness: float) -> None:
    features, targets = drawn(60, 5, 3, seed=1)
    found = solver("softmax", looseness).fit(features, targets)
    scores = found.scores(features)
    logs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    loss = -logs[np.arange(60), targets].sum()
    penalty = (found.weights**2).sum() / 4 + (found.stretch**2).sum() / (4 * looseness)
    least, peer = descended(features, targets, 2.0, looseness)
    assert loss + penalty == pytest.approx(least, rel=1e-6)
    assert logs == pytest.approx(peer, abs=2e-3)
    assert found.directions.T @ found.directions == pytest.approx(np.eye(found.stretch.size), abs=1e-9)
    assert (found.stretch > 0.1).all()


@pytest.mark.parametrize("labels", [2, 3])
def test_without_a_map_it_is_plain_logistic_regression(labels: int) -> None:
    features, targets = drawn(50, 6, labels, seed=2)
    found = solver("softmax", 0.0).fit(features, targets)
    from sklearn.linear_model import LogisticRegression

    peer = LogisticRegression(C=2.0, tol=1e-8, max_iter=5000).fit(features, targets)
    ours = np.exp(found.scores(features))
    assert ours / ours.sum(axis=1, keepdims=True) == pytest.approx(peer.predict_proba(features), abs=1e-4)
    assert not found.stretch.any()


def test_without_a_map_numbers_and_label_sets_are_as_ever() -> None:
    features, _ = drawn(40, 5, 2, seed=3)
    numbers = 30 + 4 * features[:, 0] + np.random.default_rng(0).normal(size=40)
    sets = (features[:, :3] > 0.2).astype(np.int64)
    for link, targets in (("squared", numbers), ("sigmoid", sets)):
        ours = solver(link, 0.0).fit(features, targets).scores(features)
        plain = Solver(link, 2.0, 5, 5000, None, 0).fit(features, targets)  # type: ignore[arg-type]
        assert ours == pytest.approx(features @ plain.weights + plain.bias, abs=2e-2)


def test_more_columns_than_rows_give_the_same_optimum() -> None:
    features, targets = drawn(12, 30, 3, seed=4)
    wide = solver("softmax", 1.0).fit(features, targets)
    narrow = solver("softmax", 1.0).fit(np.vstack([features] * 3), np.tile(targets, 3))  # rows > columns: no rotation
    third = solver("softmax", 1.0, 2.0 / 3).fit(np.vstack([features] * 3), np.tile(targets, 3))
    assert wide.scores(features) == pytest.approx(third.scores(features), abs=1e-3)
    assert not np.allclose(wide.scores(features), narrow.scores(features), atol=1e-2)


def test_its_strength_is_chosen_by_the_loss_on_rows_left_out() -> None:
    features, targets = drawn(60, 40, 2, seed=5)
    chosen = solver("softmax", 1.0, None).fit(features, targets)

    def loss(strength: float) -> float:
        scores = solver("softmax", 1.0, strength).left_out(features, targets)
        return float((np.logaddexp.reduce(scores, axis=1) - scores[np.arange(60), targets]).mean())

    assert all(loss(chosen.regularisation) <= loss(strength) for strength in (0.01, 0.1, 1.0, 10.0, 1e4))


def test_a_map_of_one_task_helps_the_next(make_examples: Maker, recurrent: Recurrent) -> None:
    """Few labels of the second task, whose classes differ in the direction that the first task's do."""
    first, test = make_examples(80), make_examples(80, seed=3)
    mapped = tl.transfer(recurrent, first, tl.strategies.LinearMap()).model
    rows = [int(np.flatnonzero(test.targets == label)[0]) for label in (0, 1)]
    few, rest = test.subset(np.array(rows)), test.subset(np.setdiff1d(np.arange(80), rows))
    after = tl.transfer(mapped, few, tl.strategies.FeatureExtraction()).score(rest).metrics["accuracy"]
    alone = tl.transfer(recurrent, few, tl.strategies.FeatureExtraction()).score(rest).metrics["accuracy"]
    assert after > alone


@pytest.mark.parametrize("first_strategy", [tl.strategies.LinearMap(), tl.strategies.FineTuning(minimum_steps=2)])
def test_the_story_of_a_chain_names_both_data_sets(
    first_strategy: Any, make_examples: Maker, recurrent: Recurrent, tmp_path: Path
) -> None:
    first, second = make_examples(30), make_examples(20, seed=4)
    step = tl.transfer(recurrent, first, first_strategy)
    step.save(tmp_path / "first")
    for source in (step, tl.load(tmp_path / "first")):
        made = tl.transfer(source, second, tl.strategies.FeatureExtraction())
        assert made.lineage.data[0]["hash"] == second.hash
        assert made.lineage.parents[0]["step"] == "transfer"
        assert made.lineage.parents[0]["data"][0]["hash"] == first.hash
    made.save(tmp_path / "second")
    opened: Any = tl.load(tmp_path / "second")
    assert np.array_equal(opened.predict_proba(second.texts), made.predict_proba(second.texts))


def test_word_vectors_and_sparse_vectors_are_mapped_too(make_examples: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = make_examples(40)
    vectors = tl.pretrain(tl.models.Word2Vec(width=6, minimum_count=1, epochs=3), examples.texts)
    made = tl.transfer(vectors, examples, tl.strategies.LinearMap())
    encoded = vectors.encode(examples.texts).features  # type: ignore[attr-defined]
    body: Any = made.model
    by_hand = encoded + encoded @ body.directions @ np.diag(body.stretch) @ body.directions.T
    assert body.encode(examples.texts).features == pytest.approx(by_hand, abs=1e-5)
    assert tl.transfer(tl.models.TfIdf(), examples, tl.strategies.LinearMap()).score(examples).metrics["accuracy"] > 0.9
    monkeypatch.setattr("transferlm.strategies.linear_map._DENSE", 100)
    with pytest.raises(UnsupportedError, match="choose feature_extraction"):
        tl.transfer(tl.models.TfIdf(), examples, tl.strategies.LinearMap())


@pytest.mark.parametrize(("name", "value"), [("looseness", -1.0), ("regularisation", 0.0), ("folds", 1), ("steps", 0)])
def test_settings_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        tl.strategies.LinearMap(**{name: value})
