"""What the methods that train weights further do to old and new text, and what they leave with the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import SettingError
from transferlm.models.base import Model
from transferlm.updates._memory import Memory

OLD = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "the mat and the log"] * 8
NEW = ["one two three four", "two three four five", "three four five six", "four five six seven"] * 8
FAST = {"steps": 60, "epochs": 200, "learning_rate": 0.02, "batch_size": 4}


@pytest.fixture(scope="module")
def model() -> Any:
    """A small LSTM that knows the old text, and the words of both."""
    words = tl.tokenizers.Word().fit([*OLD, *NEW])
    made = lifecycle.empty("recurrent", words, width=24, embedding_width=16, dropout=0.0, epochs=60, batch_size=4,
                           sequence_length=8, held_out=0.0)  # fmt: skip
    return made.fit(OLD, 0)  # type: ignore[attr-defined]


def loss(model: Any, texts: list[str]) -> float:
    logs = [scores.log_probs for scores in model.token_scores(texts[:8])]
    return -float(np.concatenate(logs).mean())


def updated(model: Any, name: str, old: list[str] | None = None, **settings: Any) -> Any:
    method = getattr(tl.updates, name)(**{**FAST, **settings})
    return method.update(model, NEW, old, seed=0)


def test_plain_training_forgets_and_every_other_method_forgets_less(model: Any) -> None:
    plain = updated(model, "ContinuedPretraining")
    forgot = loss(plain, OLD) - loss(model, OLD)
    learnt = loss(model, NEW) - loss(plain, NEW)
    assert forgot > 1, "the test needs something to forget"
    assert learnt > 1
    for name, settings in {
        "ExperienceReplay": {},
        "ElasticWeightConsolidation": {},
        "OnlineBayes": {},
        "DistanceToStart": {"strength": 0.1},
        "Distillation": {"share": 0.7},
        "WeightInterpolation": {},
    }.items():
        made = updated(model, name, OLD, **settings)
        assert loss(made, OLD) - loss(model, OLD) < 0.8 * forgot, name
        assert loss(made, NEW) < loss(model, NEW), name


@pytest.mark.parametrize(
    ("name", "setting"),
    [("DistanceToStart", "strength"), ("ElasticWeightConsolidation", "strength"), ("Distillation", "share")],
)
def test_methods_that_hold_nothing_are_plain_training(model: Any, name: str, setting: str) -> None:
    plain = updated(model, "ContinuedPretraining", precision="fp32")
    held = updated(model, name, OLD, precision="fp32", **{setting: 0.0})
    for own, other in zip(held.module.parameters(), plain.module.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-3)


def test_the_old_way_of_the_path_keeps_the_old_weights(model: Any) -> None:
    made = updated(model, "WeightInterpolation", OLD, tolerance=0.0)
    assert loss(made, OLD) <= loss(model, OLD) * 1.001
    assert 0 <= made.lineage.scores["share of the new weights"] <= 1


def test_the_path_needs_old_text(model: Any) -> None:
    with pytest.raises(SettingError, match="old text"):
        updated(model, "WeightInterpolation")


def test_replay_remembers_old_and_new_text_and_uses_what_it_remembers(model: Any, tmp_path: Path) -> None:
    first = updated(model, "ExperienceReplay", OLD, memory=20)
    memory = Memory.of(first)
    assert memory is not None
    assert (len(memory.texts), memory.seen) == (20, len(OLD) + len(NEW))
    assert set(memory.texts) & set(OLD)
    assert set(memory.texts) & set(NEW)
    first.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, Model)
    again = tl.updates.ExperienceReplay(**FAST).update(opened, ["eight nine ten"] * 8)
    assert any("20 texts that were kept" in note for note in again.lineage.notes)


def test_replay_without_any_old_text_has_the_model_write_some(model: Any) -> None:
    made = updated(model, "ExperienceReplay", written=6, memory=0)
    assert any("that the model wrote" in note for note in made.lineage.notes)
    assert "memory" not in made.kept


@pytest.mark.parametrize("room", [6, 25])
def test_a_memory_holds_each_text_with_the_same_chance(room: int) -> None:
    """Also where it has more room than when texts were passed over, which does not favour later ones."""
    counts = np.zeros(30)
    for seed in range(400):
        memory = Memory()
        memory.offer(map(str, range(20)), 6, seed)
        memory.offer(map(str, range(20, 30)), room, seed)
        assert len(set(memory.texts)) == 6
        counts[[int(text) for text in memory.texts]] += 1
    assert np.abs(counts / 400 - 6 / 30).max() < 0.08


@pytest.mark.parametrize(
    ("name", "kept"), [("ElasticWeightConsolidation", "information"), ("OnlineBayes", "posterior")]
)
def test_information_is_carried_from_update_to_update(model: Any, name: str, kept: str, tmp_path: Path) -> None:
    first = updated(model, name, OLD)
    first.save(tmp_path / "m")
    second = getattr(tl.updates, name)(**FAST).update(tl.load(tmp_path / "m"), ["eight nine ten"] * 8)
    before, after = first.kept[kept].arrays, second.kept[kept].arrays
    assert before.keys() == after.keys() == dict(first.module.named_parameters()).keys()
    assert not second.lineage.notes, "what was kept needs no old text"
    assert any((after[weight] > before[weight]).any() for weight in before)
    if name == "OnlineBayes":  # a sum over all tokens never shrinks
        assert all((after[weight] >= before[weight]).all() for weight in before)
        assert second.kept[kept].facts["tokens"] > first.kept[kept].facts["tokens"]


def test_weights_moved_by_another_method_are_told(model: Any) -> None:
    first = updated(model, "ElasticWeightConsolidation", OLD)
    between = tl.updates.ContinuedPretraining(**FAST).update(first, NEW)
    made = tl.updates.ElasticWeightConsolidation(**FAST).update(between, NEW)
    assert any("before another method moved the weights" in note for note in made.lineage.notes)


def test_what_a_masked_model_hides_is_what_counts_as_learnt(bert_folder: Path, review_texts: list[str]) -> None:
    bert: Any = tl.load(bert_folder)
    bert.add_head(0)
    made = tl.updates.OnlineBayes(steps=2, information_tokens=50).update(bert, review_texts, OLD)
    hidden = sum(
        objective.predictions(batch)
        for objective in (bert.objective(tl.Corpus(texts)) for texts in (review_texts, OLD))
        for batch in objective.batches(0)
    )
    assert made.kept["posterior"].facts["tokens"] == pytest.approx(hidden, rel=0.1)
