"""Any number of labels a text: lists read in every form, one logistic model a label, thresholds, scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, label_ranking_average_precision_score

import transferlm as tl
from transferlm.errors import DataError, SettingError
from transferlm.tasks.base import Examples, LabelSet
from transferlm.tasks.multilabel import Multilabel, _best_threshold

Run = Callable[..., Any]
LABELS = ("film", "good", "room")


def marked(count: int, seed: int = 0, **settings: Any) -> Examples:
    """Texts whose labels are the words that they hold."""
    draw = np.random.default_rng(seed)
    targets = draw.random((count, 3)) < 0.4
    texts = [" ".join(draw.permutation(["the", "was", "and", *(np.array(LABELS)[row])])) for row in targets]
    return Examples(Multilabel(**settings), texts, targets, LABELS, name="marked")


@pytest.mark.parametrize("strategy", ["fine_tuning", "feature_extraction"])
def test_labels_are_learnt(strategy: str, bert_folder: Path) -> None:
    method: Any = tl.strategies.FeatureExtraction()
    if strategy == "fine_tuning":
        method = tl.strategies.FineTuning(learning_rate=3e-3, minimum_steps=200, precision="fp32", patience=None)
    made = tl.transfer(tl.load(bert_folder), marked(80), method)
    found = made.score(marked(40, 3))
    assert found.metrics["micro_f1"] > 0.9
    assert found.metrics["lrap"] > 0.9
    assert made.predict_proba(["the film"]).shape == (1, 3)
    (one,) = made.predict(["the room was good"])
    assert isinstance(one, LabelSet)
    assert one.labels == ("good", "room")
    assert set(found.by_label["film"]) == {"precision", "recall", "f1", "texts"}


def test_feature_extraction_is_a_logistic_regression_a_label(bert_folder: Path) -> None:
    model: Any = tl.load(bert_folder)
    examples = marked(50)
    made = tl.transfer(model, examples, tl.strategies.FeatureExtraction(regularisation=3.0))
    features = model.encode(examples.texts).features.astype(np.float64)
    features /= np.sqrt((features**2).sum(axis=1).mean())
    for place in range(3):
        peer = LogisticRegression(C=3.0, max_iter=1000).fit(features, examples.targets[:, place])
        assert made.predict_proba(examples.texts)[:, place] == pytest.approx(
            peer.predict_proba(features)[:, 1], abs=2e-3
        )


def test_a_label_that_every_text_has_is_given_to_every_text() -> None:
    examples = marked(20)
    targets = examples.targets.copy()
    targets[:, 1] = True
    made = tl.transfer(
        tl.models.TfIdf(), Examples(examples.task, examples.texts, targets, LABELS), tl.strategies.FeatureExtraction()
    )
    assert (made.predict_proba(["anything"])[:, 1] > 0.9).all()


def test_a_label_without_example_is_refused() -> None:
    examples = marked(20)
    targets = examples.targets.copy()
    targets[:, 2] = False
    with pytest.raises(DataError, match="label 'room' has no example"):
        tl.transfer(
            tl.models.TfIdf(),
            Examples(examples.task, examples.texts, targets, LABELS),
            tl.strategies.FeatureExtraction(),
        )


@settings(deadline=None)  # scikit-learn is slow when first asked
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_metrics_are_scikit_learns_and_the_best_threshold_is_the_best(seed: int, rows: int) -> None:
    draw = np.random.default_rng(seed)
    targets, chances = draw.random((rows, 3)) < 0.4, draw.random((rows, 3)).round(1).clip(0.05, 0.95)

    def scores(threshold: float) -> dict[str, float]:
        task = Multilabel(threshold=threshold)
        return task.metrics(targets, task.decode(np.log(chances / (1 - chances)), [""] * rows, LABELS), LABELS)

    found, said = scores(0.5), chances >= 0.5
    assert found["micro_f1"] == pytest.approx(f1_score(targets, said, average="micro", zero_division=0))
    assert found["macro_f1"] == pytest.approx(f1_score(targets, said, average="macro", zero_division=0))
    assert found["subset_accuracy"] == (targets == said).all(axis=1).mean()
    assert found["lrap"] == pytest.approx(label_ranking_average_precision_score(targets, chances))
    best = _best_threshold(targets, chances)
    assert scores(best)["micro_f1"] == pytest.approx(max(scores(t)["micro_f1"] for t in np.arange(0.01, 1, 0.02)))


@pytest.mark.parametrize("strategy", ["fine_tuning", "feature_extraction"])
def test_an_open_threshold_is_fitted_and_saved(strategy: str, bert_folder: Path, tmp_path: Path) -> None:
    method: Any = tl.strategies.FeatureExtraction()
    if strategy == "fine_tuning":
        method = tl.strategies.FineTuning(epochs=1, minimum_steps=20, held_out=0.3, precision="fp32")
    examples = marked(60, threshold=None)
    made = tl.transfer(tl.load(bert_folder), examples, method)
    assert isinstance(made.task, Multilabel)
    assert made.task.threshold is not None
    assert examples.task.threshold is None  # type: ignore[attr-defined]
    made.save(tmp_path / "m")
    assert tl.load(tmp_path / "m").task == made.task  # type: ignore[union-attr]


def test_a_threshold_fitted_to_what_was_trained_on_is_noted(bert_folder: Path) -> None:
    strategy = tl.strategies.FineTuning(epochs=1, minimum_steps=2, held_out=0.0, precision="fp32")
    made = tl.transfer(tl.load(bert_folder), marked(10, threshold=None), strategy)
    assert any("threshold was fitted to those trained on" in note for note in made.lineage.notes)


def test_labels_in_another_order_are_matched_by_name() -> None:
    made = tl.transfer(tl.models.TfIdf(), marked(40), tl.strategies.FeatureExtraction())
    test = marked(20, 2)
    turned = Examples(test.task, test.texts, test.targets[:, ::-1], LABELS[::-1])
    assert made.score(turned).metrics == made.score(test).metrics
    assert turned.hash == test.hash


# ------------------------------------------------------------------ reading


def written(folder: Path) -> dict[str, Path]:
    rows = [("the film", ["film"]), ("a good room", ["good", "room"]), ("nothing", [])]
    files = {
        "a.csv": "text,labels\n" + "".join(f'{text},"{",".join(labels)}"\n' for text, labels in rows),
        "b.tsv": "text\tlabels\n" + "".join(f"{text}\t{json.dumps(labels)}\n" for text, labels in rows),
        "c.jsonl": "".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows),
    }
    found = {}
    for name, content in files.items():
        found[name] = folder / name
        found[name].write_text(content)
    return found


def test_every_form_gives_the_same_examples(tmp_path: Path) -> None:
    from datasets import Dataset

    sources: list[Any] = list(written(tmp_path).values())
    sources.append(Dataset.from_list([json.loads(line) for line in sources[2].read_text().splitlines()]))
    read = [Multilabel().read(source) for source in sources]
    assert read[0].labels == LABELS
    assert read[0].targets.tolist() == [[True, False, False], [False, True, True], [False, False, False]]
    assert len({examples.hash for examples in read}) == 1


def test_fasttext_lines(tmp_path: Path) -> None:
    path = tmp_path / "data.ft"
    path.write_text("__label__film the film\n__label__good a  good __label__room room x__label__y __label__\n")
    examples = Multilabel().read(path)
    assert examples.texts == ["the film", "a  good room x__label__y"]
    assert examples.task.plain(examples.targets, examples.labels) == [["film"], ["good", "room"]]


def test_a_separator_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,labels\nx,a | b\ny,b\n")
    assert Multilabel(separator="|").read(path).labels == ("a", "b")


def test_what_is_no_list_of_labels_is_told_with_its_line(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "data.tsv"
    path.write_text('text\tlabels\nx\t["a"]\ny\t[1, 2]\nz\t["a"\n')
    with pytest.raises(DataError, match=r"line 3: \[1, 2\] is no list of labels"):
        Multilabel().read(path)
    told = run("check", path, "--task", "multilabel").out
    assert "Line 3: [1, 2] is no list of labels." in told
    assert "Line 4: no valid JSON" in told


@pytest.mark.parametrize(("name", "value"), [("threshold", 0.0), ("threshold", 1.5), ("separator", "")])
def test_settings_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        Multilabel(**{name: value})


def test_no_label_at_all(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,labels\nx,\ny,\n")
    with pytest.raises(DataError, match="no text has a label"):
        Multilabel().read(path)
