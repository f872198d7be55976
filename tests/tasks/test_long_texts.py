"""Texts beyond the maximum length: cut and said, or read whole in windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import SettingError
from transferlm.tasks.base import Examples
from transferlm.tasks.classification import Classification

LABELS = ("bad", "good")


def late(count: int, long_texts: str, seed: int = 0) -> Examples:
    """Texts whose one telling word stands beyond the first 20."""
    draw = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    texts = []
    for target in targets:
        words = ["the"] * 60
        words[int(draw.integers(25, 60))] = LABELS[target]
        texts.append(" ".join(words))
    return Examples(Classification(long_texts=long_texts), texts, targets, LABELS, name="late")  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["masked_transformer", "recurrent"])
@pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tuning"])
def test_what_stands_late_is_learnt_from_windows_alone(
    family: str, strategy: str, bert_folder: Path, recurrent: Any
) -> None:
    model: Any = tl.load(bert_folder, max_length=20) if family == "masked_transformer" else recurrent
    model.adjust(max_length=20)
    method: Any = tl.strategies.FeatureExtraction(regularisation=1e4)
    if strategy == "fine_tuning":
        method = tl.strategies.FineTuning(learning_rate=5e-3, minimum_steps=150, precision="fp32")
    cut = tl.transfer(model, late(40, "truncate"), method).score(late(20, "truncate", 1))
    whole = tl.transfer(model, late(40, "windows"), method).score(late(20, "windows", 1))
    assert cut.share_read < 0.4
    assert cut.metrics["accuracy"] <= 0.6
    assert whole.share_read == 1.0
    assert whole.metrics["accuracy"] > 0.8
    assert "of each text read" in str(cut)
    assert "of each text read" not in str(whole)


def test_a_text_that_fits_scores_the_same_either_way(bert_folder: Path, make_examples: Callable[..., Any]) -> None:
    model, texts = tl.load(bert_folder), make_examples(30).texts
    made = [
        tl.transfer(model, make_examples(30, long_texts=how), tl.strategies.FeatureExtraction())
        for how in ("truncate", "windows")
    ]
    assert made[0].predict_proba(texts) == pytest.approx(made[1].predict_proba(texts), abs=1e-4)


@pytest.mark.parametrize(("long_texts", "least", "most"), [("windows", 1.0, 1.0), ("truncate", 0.0, 0.8)])
def test_compare_reads_as_the_task_says(
    long_texts: str, least: float, most: float, bert_folder: Path, make_examples: Callable[..., Any], tmp_path: Path
) -> None:
    train, test = make_examples(40, long_texts=long_texts).split(0.3)
    model: Any = tl.load(bert_folder, max_length=8)
    strategies = [tl.strategies.FeatureExtraction()]
    found = tl.compare(train, test, {"bert": model}, strategies, tl.Plan((4,), 1, baselines=False), cells=tmp_path)
    assert least <= found.cells[0].extras["share_read"] <= most


def test_another_word_is_refused() -> None:
    with pytest.raises(SettingError, match="long_texts 'some': choose truncate or windows"):
        Classification(long_texts="some")  # type: ignore[arg-type]
