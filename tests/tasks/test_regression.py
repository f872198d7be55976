"""Numbers for texts and pairs: read, learnt in standard units, predicted in their own, scored as scipy scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.tasks.base import Examples, Number
from transferlm.tasks.regression import Regression

Run = Callable[..., Any]


def rated(count: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> Examples:
    """Texts whose number is how often they say good."""
    draw = np.random.default_rng(seed)
    goods = draw.integers(0, 6, count)
    texts = [" ".join(draw.permutation(["good"] * n + ["bad"] * (6 - n) + ["the", "film"])) for n in goods]
    return Examples(Regression(), texts, goods * scale + shift, (), name="ratings")


def test_metrics_are_scipys() -> None:
    draw = np.random.default_rng(0)
    targets, values = draw.integers(0, 5, 40).astype(float), draw.normal(size=40).round(1)
    found = Regression().metrics(targets, [Number(float(value)) for value in values], ())
    assert found["pearson"] == pytest.approx(pearsonr(targets, values).statistic)
    assert found["spearman"] == pytest.approx(spearmanr(targets, values).statistic)
    assert found["rmse"] == pytest.approx(np.sqrt(((targets - values) ** 2).mean()))
    assert found["mae"] == pytest.approx(np.abs(targets - values).mean())
    constant = Regression().metrics(targets, [Number(1.0)] * 40, ())
    assert (constant["pearson"], constant["spearman"]) == (0.0, 0.0)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (100.0, -7000.0)])
def test_numbers_of_any_unit_are_learnt_alike(bert_folder: Path, scale: float, shift: float) -> None:
    strategy = tl.strategies.FineTuning(learning_rate=3e-3, minimum_steps=150, held_out=0.1, precision="fp32")
    made = tl.transfer(tl.load(bert_folder), rated(80, 0, scale, shift), strategy)
    found = made.score(rated(40, 1, scale, shift))
    assert found.metrics["pearson"] > 0.8
    assert found.metrics["rmse"] < 0.8 * 1.7 * scale


def test_predictions_are_not_clipped() -> None:
    made = tl.transfer(tl.models.TfIdf(), rated(40), tl.strategies.FeatureExtraction(regularisation=1e6))
    (far,) = made.predict(["good good good good good good good good good good good good"])
    assert isinstance(far, Number)
    assert str(far) == f"{far.value:.4f}"
    bounded = [p.value for p in made.predict(rated(40).texts) if isinstance(p, Number)]
    assert max(bounded) < 5.5


def test_feature_extraction_is_ridge_regression(bert_folder: Path) -> None:
    from sklearn.linear_model import RidgeCV

    model: Any = tl.load(bert_folder)
    examples = rated(60)
    made = tl.transfer(model, examples, tl.strategies.FeatureExtraction())
    features = model.encode(examples.texts).features.astype(np.float64)
    features /= np.sqrt((features**2).sum(axis=1).mean())
    mean, deviation = examples.targets.mean(), examples.targets.std()
    peer = RidgeCV(alphas=[1 / c for c in np.logspace(-2, 4, 7)]).fit(features, (examples.targets - mean) / deviation)
    scores, _ = made.scores(examples.texts)  # of the same encodings: predictions have a pass of their own
    assert scores[:, 0] == pytest.approx(peer.predict(features) * deviation + mean, abs=2e-3)


def pairs(count: int, seed: int = 0) -> Examples:
    """Pairs of texts that are alike or not."""
    draw = np.random.default_rng(seed)
    words = ["film", "room", "phone", "meal", "book", "staff", "screen", "story"]
    texts, scores = [], []
    for n in range(count):
        chosen = draw.permutation(words)
        alike = n % 2
        texts.append((f"the {chosen[0]} was good", f"good was the {chosen[0] if alike else chosen[1]}"))
        scores.append(5.0 * alike)
    return Examples(Regression(pair_column="other"), texts, np.array(scores), (), name="pairs")


def test_frozen_encodings_of_pairs_know_likeness(tmp_path: Path) -> None:
    made = tl.transfer(tl.models.TfIdf(), pairs(60), tl.strategies.FeatureExtraction())
    assert made.apart
    assert made.weights.shape[0] == 4 * made.model.encoding_width  # type: ignore[attr-defined]
    assert made.score(pairs(40, 5)).metrics["spearman"] > 0.8
    made.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, tl.TaskModel)
    assert opened.apart
    assert opened.predict(pairs(4).texts) == made.predict(pairs(4).texts)


@pytest.mark.parametrize("family", ["masked_transformer", "recurrent"])
def test_pairs_are_fine_tuned_together(family: str, bert_folder: Path, recurrent: Any, tmp_path: Path) -> None:
    model = tl.load(bert_folder) if family == "masked_transformer" else recurrent
    strategy = tl.strategies.FineTuning(epochs=1, minimum_steps=4, precision="fp32")
    made = tl.transfer(model, pairs(16), strategy)
    assert not made.apart
    (one,), (other,) = (made.predict([pair]) for pair in [("the film", "a room"), ("a room", "the film")])
    assert one != other, "which text comes first matters"
    made.save(tmp_path / "m")
    assert tl.load(tmp_path / "m").predict(pairs(4).texts) == made.predict(pairs(4).texts)  # type: ignore[union-attr]


def test_a_count_model_refuses_pairs() -> None:
    examples = pairs(8)
    task = tl.tasks.Classification(pair_column="other")
    labelled = Examples(task, examples.texts, np.arange(8) % 2, ("no", "yes"))
    with pytest.raises(UnsupportedError, match="kneser_ney model reads one text at a time"):
        tl.transfer(tl.models.KneserNey(order=2).fit(["a b"]), labelled, tl.strategies.ClassConditional())


def test_files_with_and_without_pairs(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "data.tsv"
    path.write_text("text\tother\tscore\nthe film\tthe movie\t4.5\nthe film\ta room\t-1e1\n")
    examples = Regression(pair_column="other").read(path)
    assert examples.texts == [("the film", "the movie"), ("the film", "a room")]
    assert examples.targets.tolist() == [4.5, -10.0]
    assert Regression().read(path).texts == ["the film", "the film"]
    assert list(Regression(pair_column="other").inputs(path)) == examples.texts


@pytest.mark.parametrize("value", ["high", "nan", "inf", "4,5"])
def test_what_is_no_number_is_told_with_its_line(value: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "data.tsv"
    path.write_text(f"text\tscore\nfine\t3\npoor\t{value}\n")
    with pytest.raises(DataError, match=rf"line 3, column 'score': '{value}' is no finite number"):
        Regression().read(path)
    told = run("check", path, "--task", "regression")
    assert f"Line 3: '{value}' is no finite number." in told.out


@pytest.mark.parametrize("rows", ["fine\t3\n", "fine\t3\npoor\t3.0\n"])
def test_one_number_throughout_teaches_nothing_but_may_be_measured_on(rows: str, tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text(f"text\tscore\n{rows}")
    with pytest.raises(DataError, match=r"data\.tsv, column 'score': every row has the number 3: there is nothing"):
        Regression().read(path)
    assert set(Regression().read(path, labels=()).targets) == {3.0}


def test_a_missing_number_is_told(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,score\nfine,3\npoor,\n")
    with pytest.raises(DataError, match="line 3, column 'score': it is empty"):
        Regression().read(path)
    assert "Line 3: column 'score' is empty." in run("check", path, "--task", "regression").out


def test_a_setting_that_makes_no_sense() -> None:
    with pytest.raises(SettingError, match="long_texts"):
        Regression(long_texts="some")  # type: ignore[arg-type]
