"""The life of a model: opened, pretrained, transferred, evaluated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import DataError, ModelFolderError, SettingError, SourceError, TransferLMError, UnsupportedError
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.models.recurrent import Recurrent
from transferlm.models.tfidf import TfIdf

# ------------------------------------------------------------------ load


def test_a_family_without_weights_is_made_by_name() -> None:
    model = tl.load("tfidf", ngrams=1)
    assert isinstance(model, TfIdf)
    assert model.ngrams == 1


def test_a_folder_called_like_a_family_wins(recurrent: Recurrent, tmp_path: Path, monkeypatch: Any) -> None:
    recurrent.save(tmp_path / "tfidf")
    monkeypatch.chdir(tmp_path)
    assert isinstance(tl.load("tfidf"), Recurrent)


def test_a_hugging_face_folder_is_opened_by_its_model_type(bert_folder: Path) -> None:
    model = tl.load(bert_folder)
    assert isinstance(model, MaskedTransformer)
    assert model.lineage.step == "imported"


def test_an_unknown_model_type_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(ModelFolderError, match=r"no family opens model_type 'mamba'; known are .*bert"):
        tl.load(tmp_path / "m")


def test_a_config_that_is_no_object_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("[1, 2]")
    with pytest.raises(ModelFolderError):
        tl.load(tmp_path / "m")


def test_settings_replace_the_saved_ones(bert_folder: Path) -> None:
    model = tl.load(bert_folder, max_length=7)
    assert model.hyper_parameters()["max_length"] == 7  # type: ignore[union-attr]


def test_an_unknown_setting_is_refused(bert_folder: Path) -> None:
    with pytest.raises(SettingError, match="has no hyper-parameter 'max_len': did you mean 'max_length'"):
        tl.load(bert_folder, max_len=7)


def test_an_unknown_setting_of_a_family_by_name_is_refused() -> None:
    with pytest.raises(SettingError, match="has no hyper-parameter 'ngram': did you mean 'ngrams'"):
        tl.load("tfidf", ngram=1)


@pytest.mark.parametrize("value", [0, -1])
def test_a_senseless_setting_is_refused(bert_folder: Path, value: int) -> None:
    with pytest.raises(SettingError, match="max_length"):
        tl.load(bert_folder, max_length=value)


def test_a_setting_on_which_weights_depend_is_refused(recurrent: Recurrent, tmp_path: Path) -> None:
    recurrent.save(tmp_path / "m")
    with pytest.raises(TransferLMError, match="width"):
        tl.load(tmp_path / "m", width=99)


def test_a_wrong_name_brings_a_hint() -> None:
    with pytest.raises(SourceError, match="did you mean 'minilm'"):
        tl.load("minilmm")


def test_a_source_that_is_not_fetched_tells_how() -> None:
    with pytest.raises(SourceError, match="run `transferlm fetch minilm`"):
        tl.load("minilm")


def test_a_manifest_without_model_and_config_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "transferlm.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(ModelFolderError):
        tl.load(tmp_path / "m")


@pytest.mark.parametrize("model", ["text", [1], {"family": 3}, {"family": "tfidf"}, {"family": "recurrent"}])
def test_a_manifest_of_the_wrong_form_is_one_clear_line(tmp_path: Path, model: object) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "transferlm.json").write_text(json.dumps({"format": 1, "model": model}))
    with pytest.raises(TransferLMError):
        tl.load(tmp_path / "m")


# ------------------------------------------------------------------ pretrain, transfer, evaluate


def test_pretraining_makes_a_new_model_with_its_story(review_texts: list[str]) -> None:
    empty = Recurrent(width=8, embedding_width=8, epochs=1, batch_size=4, sequence_length=8)
    trained = tl.pretrain(empty, review_texts, seed=3)
    assert trained is not empty
    assert not empty.trained
    assert trained.trained  # type: ignore[attr-defined]
    lineage = trained.lineage
    assert (lineage.step, lineage.seed, lineage.method["name"]) == ("pretrain", 3, "recurrent")
    assert lineage.data[0]["hash"] == tl.Corpus(review_texts).hash
    assert trained.fingerprint == tl.pretrain(empty, tl.Corpus(review_texts), seed=3).fingerprint


def test_pretraining_forgets_what_was_learnt_before(recurrent: Recurrent, review_texts: list[str]) -> None:
    """The tokenizer stays, since weights of another vocabulary would be another architecture."""
    before = recurrent.fingerprint
    first = tl.pretrain(recurrent, review_texts, seed=1)
    assert recurrent.fingerprint == before
    assert first.fingerprint == tl.pretrain(first, review_texts, seed=1).fingerprint


def test_pretraining_an_opened_model_keeps_its_architecture_and_words(
    bert_folder: Path, review_texts: list[str]
) -> None:
    model = tl.load(bert_folder)
    assert isinstance(model, MaskedTransformer)
    model.steps = 2
    made = tl.pretrain(model, review_texts)
    assert isinstance(made, MaskedTransformer)
    assert made.tokenizer is model.tokenizer
    assert [p.shape for p in made.module.parameters()] == [p.shape for p in model.module.parameters()]
    assert not made.lacks_head
    assert model.lacks_head


def test_pretraining_what_can_not_learn_from_text_is_refused(review_texts: list[str]) -> None:
    model = tl.compress(tl.models.KneserNey(order=2).fit(review_texts))
    with pytest.raises(UnsupportedError, match="pretrain needs a model that is trainable on text"):
        tl.pretrain(model, ["a"])


def test_the_whole_story(recurrent: Recurrent, review_file: Path, tmp_path: Path) -> None:
    examples = tl.read(review_file, tl.tasks.Classification())
    train, test = examples.split(test=0.25, seed=0)
    assert len(train) + len(test) == 80
    made = tl.transfer(recurrent, train, tl.strategies.FeatureExtraction())
    scores = tl.evaluate(made, test)
    assert scores.metrics["accuracy"] > 0.7
    made.save(tmp_path / "m")
    again = lifecycle.task_model(tmp_path / "m")
    assert np.array_equal(tl.evaluate(again, test).probabilities, scores.probabilities)
    assert made.lineage.step == "transfer"
    assert made.lineage.data[0]["hash"] == train.hash


def test_a_task_model_is_transferred_by_its_body(recurrent: Recurrent, make_examples: Callable[..., Any]) -> None:
    strategy = tl.strategies.FeatureExtraction(regularisation=1.0)
    first = tl.transfer(recurrent, make_examples(40), strategy)
    second = tl.transfer(first, make_examples(40, seed=1), strategy)
    assert second.model.fingerprint == recurrent.fingerprint


def test_untrained_of_a_model_and_of_a_task_model(recurrent: Recurrent, make_examples: Callable[..., Any]) -> None:
    made = tl.transfer(recurrent, make_examples(40), tl.strategies.FeatureExtraction(regularisation=1.0))
    assert tl.untrained(made, 4).fingerprint == tl.untrained(recurrent, 4).fingerprint
    assert tl.untrained(recurrent, 4).fingerprint != recurrent.fingerprint


def test_a_folder_without_a_task_is_no_task_model(recurrent: Recurrent, tmp_path: Path) -> None:
    recurrent.save(tmp_path / "m")
    with pytest.raises(UnsupportedError, match="predicts no task yet: transfer it first"):
        lifecycle.task_model(tmp_path / "m")


# ------------------------------------------------------------------ several sources


def test_sources_are_named_by_their_folders(recurrent: Recurrent, bert_folder: Path, tmp_path: Path) -> None:
    recurrent.save(tmp_path / "ours")
    named = lifecycle.sources_of([tmp_path / "ours", bert_folder, TfIdf()], max_length=9)
    assert list(named) == ["ours", bert_folder.name, "tfidf"]
    assert named["ours"].hyper_parameters()["max_length"] == 9


def test_two_sources_of_one_name_are_refused(bert_folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(bert_folder, tmp_path / "other" / bert_folder.name)
    with pytest.raises(TransferLMError, match="two sources are called"):
        lifecycle.sources_of([bert_folder, other])


def test_max_length_of_several_sources_does_not_change_a_given_model(recurrent: Recurrent) -> None:
    before = recurrent.max_length
    lifecycle.sources_of([recurrent], max_length=9)
    assert recurrent.max_length == before, "inputs are never mutated"


def test_reading_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.csv"):
        tl.read(tmp_path / "nothing.csv", tl.tasks.Classification())
