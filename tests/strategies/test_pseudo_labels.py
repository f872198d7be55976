"""Self-training: what it takes and leaves, that it helps where texts are plenty and labels few."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.strategies.feature_extraction import FeatureExtraction
from transferlm.strategies.pseudo_labels import PseudoLabels
from transferlm.tasks.base import Examples
from transferlm.tasks.classification import Classification

Maker = Callable[..., Examples]


def chain(count: int, seed: int) -> Examples:
    """Three words in a row out of twelve a class: labels of the first words reach the last ones step by step."""
    draw = np.random.default_rng(seed)
    targets, starts = np.arange(count) % 2, draw.integers(10, size=count)
    texts = [" ".join(f"{'ab'[t]}{s + k}" for k in range(3)) for t, s in zip(targets, starts, strict=True)]
    return Examples(
        Classification(), [f"{text} {i}" for i, text in enumerate(texts)], targets, ("a", "b"), name="chain"
    )


def first_words(count: int) -> Examples:
    texts = [f"{'ab'[i % 2]}{k} {'ab'[i % 2]}{k + 1}" for i, k in zip(range(count), [0, 0, 1, 1, 2, 2], strict=False)]
    return Examples(Classification(), texts, np.arange(count) % 2, ("a", "b"), name="first words")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "unlabelled.txt"
    path.write_text("\n".join(str(text) for text in chain(400, 1).texts) + "\n", encoding="utf-8")
    return str(path)


def test_labels_travel_along_the_unlabelled_texts(file: str) -> None:
    model, train, test = tl.models.TfIdf().fit(chain(400, 1).texts), first_words(6), chain(200, 2)
    alone = FeatureExtraction().transfer(model, train).score(test).metrics["accuracy"]
    made = PseudoLabels(file, rounds=6, share=1.0, least_confidence=0.5).transfer(model, train)
    assert made.score(test).metrics["accuracy"] > alone + 0.05


def test_what_it_takes_is_sure_balanced_and_rising(file: str) -> None:
    model, train = tl.models.TfIdf().fit(chain(400, 1).texts), first_words(6)
    made = PseudoLabels(file, rounds=4, share=0.4, least_confidence=0.01).transfer(model, train)
    # A class gets half of a quarter, two quarters ... of 40% of 400 texts.
    assert [note for note in made.lineage.notes if note.startswith("round")] == [
        f"round {k}: {40 * k} of 400 unlabelled texts taken" for k in (1, 2, 3, 4)
    ]
    none = PseudoLabels(file, least_confidence=1.0).transfer(model, train)
    assert none.lineage.notes[-1] == "round 1: 0 of 400 unlabelled texts taken"
    assert np.array_equal(none.weights, FeatureExtraction().transfer(model, train).weights)


def test_lineage_names_the_texts_their_hash_and_the_calibration(file: str) -> None:
    model = tl.models.TfIdf().fit(chain(400, 1).texts)
    lineage = PseudoLabels(file, limit=50).transfer(model, first_words(6)).lineage
    labelled, unlabelled = lineage.data
    assert (labelled["name"], labelled["texts"]) == ("first words", 6)
    assert (unlabelled["name"], unlabelled["texts"]) == ("unlabelled.txt (unlabelled)", 50)
    assert unlabelled["hash"] == tl.Corpus(file).hash
    assert "50 of 400 unlabelled texts were drawn: raise limit for more" in lineage.notes
    assert lineage.scores["temperature"] > 0
    assert lineage.method["hyper_parameters"]["inner"] == "feature_extraction"


def test_labelled_and_repeated_texts_are_left_out_and_tables_are_read(tmp_path: Path, make_examples: Maker) -> None:
    examples = make_examples(8)
    lines = [*examples.texts, "a film", "a film", "  ", "a plot"]
    table = tmp_path / "table.csv"
    table.write_text("text,other\n" + "".join(f'"{line}",1\n' for line in lines), encoding="utf-8")
    made = PseudoLabels(str(table)).transfer(tl.models.TfIdf(), examples)
    assert made.lineage.data[1]["texts"] == 2
    table.write_text("text\n" + "".join(f'"{line}"\n' for line in examples.texts), encoding="utf-8")
    with pytest.raises(DataError, match="no text in it that is not labelled already"):
        PseudoLabels(str(table)).transfer(tl.models.TfIdf(), examples)


def test_the_seed_decides_all(file: str) -> None:
    model = tl.models.TfIdf().fit(chain(400, 1).texts)
    one, same, other = (PseudoLabels(file, limit=60).transfer(model, first_words(6), seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.weights, same.weights)
    assert not np.array_equal(one.weights, other.weights)


def test_one_example_a_class_leaves_scores_as_they_are(file: str) -> None:
    made = PseudoLabels(file, least_confidence=0.5).transfer(tl.models.TfIdf().fit(chain(400, 1).texts), first_words(2))
    assert "temperature" not in made.lineage.scores


def test_what_can_not_be_is_refused(file: str, make_examples: Maker) -> None:
    with pytest.raises(SettingError, match="name their file as unlabelled"):
        PseudoLabels().transfer(tl.models.TfIdf(), make_examples(8))
    with pytest.raises(DataError, match="nowhere"):
        PseudoLabels("nowhere.txt").transfer(tl.models.TfIdf(), make_examples(8))
    with pytest.raises(UnsupportedError, match="fine_tuning needs a model that is trained by gradients"):
        PseudoLabels(file, "fine_tuning").transfer(tl.models.TfIdf(), make_examples(8))
    with pytest.raises(SettingError, match="no strategy is called 'tuning'"):
        PseudoLabels(file, "tuning")
    bad: list[dict[str, Any]] = [{"rounds": 0}, {"share": 0.0}, {"least_confidence": 1.1}, {"inner": "pseudo_labels"}]
    for settings in bad:
        with pytest.raises(SettingError, match=next(iter(settings))):
            PseudoLabels(file, **settings)
