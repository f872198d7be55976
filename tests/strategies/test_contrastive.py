"""Contrastive transfer: which pairs there are, what they teach, and that it helps where frozen encodings fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.models.tfidf import TfIdf
from transferlm.storage import open_folder
from transferlm.strategies._class_batches import ClassBatches
from transferlm.strategies.contrastive import Contrastive
from transferlm.strategies.feature_extraction import FeatureExtraction
from transferlm.tasks.base import Examples
from transferlm.tasks.classification import Classification

Maker = Callable[..., Examples]
QUICK: dict[str, Any] = {"epochs": 1, "minimum_steps": 6, "precision": "fp32"}


@pytest.fixture
def bert(bert_folder: Path) -> MaskedTransformer:
    return MaskedTransformer.read(open_folder(bert_folder))


def agreeing(count: int, seed: int) -> Examples:
    """No word alone tells the class: two of them agree or not, beside others that say nothing."""
    draw = np.random.default_rng(seed)
    first, second = draw.integers(2, size=(2, count))
    noise = [" ".join(draw.choice(list("abcdef"), 2)) for _ in range(count)]
    texts = [
        f"{('good', 'bad')[i]} {('film', 'plot')[j]} {rest}" for i, j, rest in zip(first, second, noise, strict=True)
    ]
    return Examples(Classification(), texts, first ^ second, ("no", "yes"), name="agreeing")


def test_every_batch_holds_each_class_alike_and_no_text_twice() -> None:
    targets = np.array([0] * 50 + [1] * 7 + [2] * 20)
    batches = ClassBatches(targets, batch_size=12, seed=3)
    shown = np.zeros(len(targets), dtype=int)
    for epoch in range(9):
        for rows in batches(epoch):
            assert np.bincount(targets[rows], minlength=3).tolist() == [4, 4, 4]
            assert len(set(rows.tolist())) == batches.size == 12
            shown[rows] += 1
    assert shown.min() > 0, "every text has its turn"
    assert np.ptp(shown[targets == 1]) <= 1, "the texts of a class come round equally often"


def test_batches_are_those_of_the_seed_whenever_asked() -> None:
    targets = np.arange(40) % 3
    one, same, other = (ClassBatches(targets, 8, seed) for seed in (1, 1, 2))
    assert [r.tolist() for r in one(5)] == [r.tolist() for r in same(5)] != [r.tolist() for r in other(5)]


def test_more_classes_than_a_batch_has_room_for_take_turns() -> None:
    targets = np.arange(60) % 20
    batches = ClassBatches(targets, batch_size=8, seed=0)
    seen = set()
    for epoch in range(10):
        for rows in batches(epoch):
            counts = np.bincount(targets[rows])
            assert sorted(counts[counts > 0].tolist()) == [2, 2, 2, 2]
            seen |= set(targets[rows].tolist())
    assert seen == set(range(20))


def test_pairs_are_counted_and_capped_by_the_steps(bert: MaskedTransformer, make_examples: Maker) -> None:
    made = Contrastive(batch_size=8, **QUICK).transfer(bert, make_examples(400))
    # 400 texts have 79,800 pairs; 50 steps of 8 texts see 28 pairs each.
    assert made.lineage.scores["steps"] == 50
    assert made.lineage.scores["pairs"] == 50 * 28


@pytest.mark.parametrize("objective", ["supervised_contrastive", "cosine"])
def test_it_parts_classes_that_frozen_encodings_do_not(objective: Any, bert: MaskedTransformer) -> None:
    train, test = agreeing(96, 0), agreeing(200, 1)
    frozen = FeatureExtraction().transfer(bert, train).score(test).metrics["accuracy"]
    strategy = Contrastive(objective=objective, temperature=0.3, learning_rate=5e-3, minimum_steps=90, precision="fp32")
    learnt = strategy.transfer(bert, train)
    assert learnt.score(test).metrics["accuracy"] > max(0.85, frozen + 0.1)
    assert learnt.lineage.scores["steps"] == 90


def test_the_source_is_left_alone_and_the_seed_decides_all(bert: MaskedTransformer, make_examples: Maker) -> None:
    before, examples = bert.fingerprint, make_examples(20)
    one, same, other = (Contrastive(**QUICK).transfer(bert, examples, seed=seed) for seed in (1, 1, 2))
    assert bert.fingerprint == before
    assert one.model.fingerprint == same.model.fingerprint != other.model.fingerprint
    assert np.array_equal(one.weights, same.weights)


def test_objective_and_temperature_matter(bert: MaskedTransformer, make_examples: Maker) -> None:
    settings: list[dict[str, Any]] = [{}, {"temperature": 1.0}, {"objective": "cosine"}]
    made = [Contrastive(**QUICK, **extra).transfer(bert, make_examples(20)) for extra in settings]
    assert len({task_model.model.fingerprint for task_model in made}) == 3


def test_pairs_of_texts_and_long_ones_are_read_as_the_task_says(bert: MaskedTransformer) -> None:
    texts = [("good", "film"), ("bad", "film")] * 6
    task = Classification(pair_column="second", long_texts="windows")
    long = [(first, "film " * 100) for first, _ in texts]
    examples = Examples(task, long, np.arange(12) % 2, ("no", "yes"), name="pairs")
    made = Contrastive(**QUICK).transfer(bert, examples)
    assert made.lineage.scores["train_share_read"] == 1.0
    assert made.predict_proba(texts).shape == (12, 2)


def test_one_example_a_class_is_enough_for_some_classes_but_not_for_all(bert: MaskedTransformer) -> None:
    def of(targets: list[int]) -> Examples:
        return Examples(
            Classification(), [f"text {i}" for i in targets], np.array(targets), ("a", "b", "c"), name="few"
        )

    assert Contrastive(**QUICK).transfer(bert, of([0, 0, 1, 2])).predict(["text 0"])
    with pytest.raises(DataError, match="few: no label has two examples"):
        Contrastive(**QUICK).transfer(bert, of([0, 1, 2]))
    with pytest.raises(DataError, match="label 'c' has no example"):
        Contrastive(**QUICK).transfer(bert, of([0, 0, 1]))


def test_what_can_not_be_trained_is_refused(make_examples: Maker) -> None:
    with pytest.raises(UnsupportedError, match="contrastive"):
        Contrastive().transfer(TfIdf(), make_examples(8))
    for settings in (
        {"batch_size": 3},
        {"epochs": 0},
        {"temperature": 0.0},
        {"regularisation": -1.0},
        {"objective": "triplet"},
        {"learning_rate": 0.0},
    ):
        with pytest.raises(SettingError, match=next(iter(settings))):
            Contrastive(**settings)  # type: ignore[arg-type]


def test_a_loss_of_singletons_is_nothing_and_has_a_gradient() -> None:
    from transferlm.neural.pairs import supervised_contrastive

    states = torch.randn(3, 4, requires_grad=True)
    loss = supervised_contrastive(states, torch.tensor([0, 1, 2]), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert states.grad is not None
    assert not states.grad.isnan().any()
