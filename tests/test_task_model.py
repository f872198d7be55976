"""A task model predicts, scores, and comes back from its folder as it was."""

from __future__ import annotations

import collections
import itertools
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transferlm import lifecycle, storage
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.measure.precision_gate import agrees
from transferlm.models.base import Model, QuickEncoder, TokenEncoder
from transferlm.models.tfidf import TfIdf
from transferlm.strategies.feature_extraction import FeatureExtraction
from transferlm.task_model import Scores, TaskModel
from transferlm.tasks.base import Entities, Examples, LabelPrediction, Task
from transferlm.tasks.classification import Classification
from transferlm.tasks.ner import NER
from transferlm.tasks.question_answering import QuestionAnswering

Maker = Callable[..., Examples]


@pytest.fixture(scope="module")
def made(make_examples: Maker) -> TaskModel:
    return FeatureExtraction(regularisation=10.0).transfer(TfIdf(), make_examples(60))


def test_probabilities_are_a_softmax_of_a_linear_function(made: TaskModel, make_examples: Maker) -> None:
    texts = make_examples(10, seed=3).texts
    scores = made.model.encode(texts).features @ made.weights + made.bias  # type: ignore[attr-defined]
    by_hand = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = made.predict_proba(texts)
    assert found == pytest.approx(by_hand, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert found.dtype == np.float64


def test_predictions_are_the_most_probable_labels(made: TaskModel) -> None:
    texts = ["the film was good and lovely", "the room was awful and dull"]
    predictions = made.predict(texts)
    assert [p.label for p in predictions] == ["positive", "negative"]
    assert [p.probability for p in predictions] == pytest.approx(made.predict_proba(texts).max(axis=1))


def test_a_stream_is_read_in_chunks_in_order(made: TaskModel) -> None:
    endless = (f"the film was {'good' if n % 2 else 'bad'} {n}" for n in itertools.count())
    first = list(itertools.islice(made.predict_stream(endless, chunk=4), 10))
    assert [text.split()[-1] for text, _ in first] == [str(n) for n in range(10)]
    assert [p.label for _, p in first[:2]] == ["negative", "positive"]


def test_a_streams_memory_is_flat(made: TaskModel) -> None:
    """However many texts go by, what is held is one window of them."""

    def peak(count: int) -> int:
        tracemalloc.start()
        texts = (f"the film was good {n}" for n in range(count))
        collections.deque(made.predict_stream(texts, chunk=100), maxlen=0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(200)
    assert peak(1600) < 1.3 * peak(400)


def test_long_texts_are_not_gathered_by_the_thousand(made: TaskModel) -> None:
    taken = itertools.count()
    next(made.predict_stream("good film " * 20_000 for _ in range(500) if next(taken) >= 0))
    assert next(taken) <= 8


def test_scores_are_the_tasks_metrics(made: TaskModel, make_examples: Maker) -> None:
    test = make_examples(30, seed=5)
    scores = made.score(test)
    right = scores.predicted == test.targets
    assert scores.metrics["accuracy"] == right.mean()
    assert set(scores.metrics) == {"accuracy", "macro_precision", "macro_recall", "macro_f1"}
    assert scores.share_read == 1.0
    assert f"accuracy {right.mean():.4f}" in str(scores)


def test_a_text_read_in_part_stands_in_the_scores() -> None:
    scores = Scores({"accuracy": 0.5}, [LabelPrediction("good", 1.0)], 0.25, ("good",))
    assert str(scores) == "accuracy 0.5000, 25.0% of each text read"


def test_labels_in_another_order_are_matched_by_name(made: TaskModel, make_examples: Maker) -> None:
    test = make_examples(30, seed=5)
    turned = Examples(test.task, test.texts, 1 - test.targets, test.labels[::-1])
    assert made.score(turned).metrics == made.score(test).metrics


def test_an_unknown_label_is_refused(made: TaskModel) -> None:
    strange = Examples(Classification(), ["a", "b"], np.array([0, 1]), ("negative", "mixed"), name="new.csv")
    with pytest.raises(DataError, match=r"new\.csv: label 'mixed' is not among this model's \(negative, positive\)"):
        made.score(strange)


def test_no_examples_can_not_be_scored(made: TaskModel) -> None:
    with pytest.raises(DataError, match="no examples to score"):
        made.score(Examples(Classification(), [], np.array([], dtype=np.int64), made.labels))


def test_saved_and_opened_it_predicts_the_same(made: TaskModel, tmp_path: Path) -> None:
    made.save(tmp_path / "m")
    opened = lifecycle.load(tmp_path / "m")
    assert isinstance(opened, TaskModel)
    texts = ["good film", "dull room", "unheard of"]
    assert np.array_equal(opened.predict_proba(texts), made.predict_proba(texts))
    assert opened.labels == made.labels
    assert opened.task == made.task
    assert opened.lineage == made.lineage
    assert opened.lineage.step == "transfer"


def test_the_folder_tells_its_story(made: TaskModel, tmp_path: Path) -> None:
    made.save(tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transferlm\n")
    assert "It predicts classification: negative, positive." in card
    assert f"SHA-256 {made.lineage.data[0]['hash']}" in card
    manifest = json.loads((tmp_path / "m" / "transferlm.json").read_text())
    assert manifest["task"]["labels"] == ["negative", "positive"]
    files = {file.name for file in (tmp_path / "m").iterdir()}
    assert files == {
        "README.md",
        "head.safetensors",
        "lineage.json",
        "model.safetensors",
        "terms.json",
        "transferlm.json",
    }


def test_class_weights_come_back(make_examples: Maker, tmp_path: Path) -> None:
    examples = make_examples(40, class_weights={"negative": 3.0})
    FeatureExtraction(regularisation=1.0).transfer(TfIdf(), examples).save(tmp_path / "m")
    opened = lifecycle.load(tmp_path / "m")
    assert isinstance(opened, TaskModel)
    assert opened.task == examples.task


def damaged(folder: Path, made: TaskModel, change: Callable[[Path], None]) -> None:
    made.save(folder)
    change(folder)


def _head_of_another_shape(folder: Path) -> None:
    storage.save_tensors({"weights": np.zeros((3, 2)), "bias": np.zeros(2)}, folder / "head.safetensors")


def _head_without_bias(folder: Path) -> None:
    storage.save_tensors({"weights": np.zeros((3, 2))}, folder / "head.safetensors")


def _no_head(folder: Path) -> None:
    (folder / "head.safetensors").unlink()


def _half_a_head(folder: Path) -> None:
    head = folder / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-3])


def _rewritten(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = folder / "transferlm.json"
        text = manifest.read_text()
        assert old in text
        manifest.write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_head_of_another_shape, r"the head has shape \(3, 2\), model and labels ask for"),
        (_head_without_bias, "holds .'weights'., not weights and bias"),
        (_no_head, r"head\.safetensors is missing"),
        (_half_a_head, "can't be read"),
        (_rewritten('"classification"', '"clasification"'), "did you mean 'classification'"),
        (_rewritten('"text_column"', '"text_colum"'), "text_colum"),
        (_rewritten('"labels"', '"lables"'), "labels"),
        (_rewritten('"family": "tfidf"', '"family": "tfdif"'), "did you mean 'tfidf'"),
        (_rewritten('"ngrams": 2', '"ngrams": "two"'), "ngrams"),
    ],
)
def test_a_damaged_folder_is_one_clear_line(
    made: TaskModel, change: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    from transferlm.errors import TransferLMError

    damaged(tmp_path / "m", made, change)
    with pytest.raises(TransferLMError, match=told) as error:
        lifecycle.load(tmp_path / "m")
    assert "\n" not in str(error.value)


def test_a_model_that_is_no_encoder_can_not_carry_a_task() -> None:
    class Mute(Model):
        family = "mute"  # type: ignore[assignment]
        fingerprint = ""  # type: ignore[assignment]

        def write(self, folder: Path) -> None: ...

        @classmethod
        def read(cls, folder: storage.Folder) -> Any: ...

    with pytest.raises(ModelFolderError, match="needs an encoder, mute is none"):
        TaskModel(Mute(), Classification(), ("a", "b"), np.zeros((1, 2)), np.zeros(2))


def test_evaluating_a_model_without_a_task_is_refused(make_examples: Maker) -> None:
    with pytest.raises(UnsupportedError, match="a tfidf model predicts no task yet: transfer it first"):
        lifecycle.evaluate(TfIdf(), make_examples(4))


# ------------------------------------------------------------------ precision


@pytest.fixture(scope="module")
def read_by_bert(bert_folder: Path, make_examples: Maker) -> TaskModel:
    body = lifecycle.load(bert_folder)
    assert isinstance(body, Model)
    return FeatureExtraction().transfer(body, make_examples(60))


def test_each_distinct_text_is_computed_once(
    read_by_bert: TaskModel, make_examples: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    usual = type(read_by_bert.model).encode_quickly  # type: ignore[attr-defined]

    def counted(model: Any, texts: Any, *others: Any) -> Any:
        asked.append(len(texts))
        return usual(model, texts, *others)

    monkeypatch.setattr(type(read_by_bert.model), "encode_quickly", counted)
    one, other = make_examples(2, seed=4).texts
    first, second, third = read_by_bert.predict_proba([one, other, one])
    assert asked == [2]
    assert np.array_equal(first, third)
    assert not np.array_equal(first, second)
    assert read_by_bert.predict([other, one, other])[::2] == read_by_bert.predict([other, other])


def test_predictions_in_fp32_are_the_models_scores(read_by_bert: TaskModel, make_examples: Maker) -> None:
    texts = make_examples(20, seed=5).texts
    found = read_by_bert.predict_proba(texts, precision="fp32")
    scores = read_by_bert.scores(texts)[0]
    usual = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert found == pytest.approx(usual, abs=0.02), "the usual way may be in bfloat16"


def test_blank_lines_and_repeats_in_a_stream(read_by_bert: TaskModel) -> None:
    told = list(read_by_bert.predict_stream(["good film", "", "good film", " "], chunk=3, precision="fp32"))
    assert [text for text, _ in told] == ["good film", "", "good film", " "]
    assert told[1][1] is told[3][1] is None
    assert told[0][1] == told[2][1]


def test_no_texts_give_no_predictions(read_by_bert: TaskModel) -> None:
    assert read_by_bert.predict([]) == []
    assert read_by_bert.predict_proba([]).shape == (0, 2)


def test_a_precision_that_cannot_be_had_is_refused(made: TaskModel, read_by_bert: TaskModel) -> None:
    with pytest.raises(SettingError, match=r"'fp32'.*can do auto$"):
        made.predict(["text"], precision="fp32")
    with pytest.raises(SettingError, match=r"'fp16'.*auto, .*fp32"):
        read_by_bert.predict(["text"], precision="fp16")


def test_quicken_keeps_its_choice_and_the_folder_too(
    read_by_bert: TaskModel, make_examples: Maker, tmp_path: Path
) -> None:
    model = TaskModel.read(*_saved(read_by_bert, tmp_path / "before"))
    trials = model.quicken(make_examples(80, seed=6).texts)
    assert {trial.precision for trial in trials} == set(read_by_bert.model.precisions) - {"fp32"}  # type: ignore[attr-defined]
    taken = [trial.precision for trial in trials if trial.accepted]
    assert model.precision == (taken[-1] if taken else "fp32")
    assert TaskModel.read(*_saved(model, tmp_path / "after")).precision == model.precision


def test_what_rounding_could_turn_is_read_again(bert_folder: Path, make_examples: Maker, tmp_path: Path) -> None:
    body = lifecycle.load(bert_folder)
    assert isinstance(body, Model)
    model = FeatureExtraction().transfer(body, make_examples(60))
    texts = make_examples(80, seed=7).texts
    model.precision = next(name for name in model.model.precisions if name != "fp32")  # type: ignore[attr-defined]
    rough, exact = (model.predict_proba(texts, name) for name in (model.precision, "fp32"))
    assert np.abs(rough - exact).max() > 0
    apart = np.abs(exact[:, 0] - exact[:, 1])
    model.rounding = {model.precision: float(np.median(apart)) / 2}
    found = TaskModel.read(*_saved(model, tmp_path / "after")).predict_proba(texts)
    again = np.abs(rough[:, 0] - rough[:, 1]) <= np.median(apart)
    assert 0 < again.sum() < len(texts)
    assert found[again] == pytest.approx(exact[again], abs=1e-6)
    assert found[~again] == pytest.approx(rough[~again], abs=1e-6)


@pytest.mark.parametrize("change", [float("nan"), -0.1, float("inf"), 2.0])
def test_a_rounding_that_is_no_change_of_a_probability_is_refused(
    change: float, read_by_bert: TaskModel, tmp_path: Path
) -> None:
    folder, model = _saved(read_by_bert, tmp_path / "m")
    folder.manifest["task"]["rounding"] = {"int8": change}
    with pytest.raises(ModelFolderError, match=r"rounding .* is no number a precision"):
        TaskModel.read(folder, model)


def test_quicken_refuses_a_body_that_rounds_badly(bert_folder: Path, make_examples: Maker) -> None:
    """A head that reads tiny differences of states: fp32 tells the texts apart, rounded states do not."""
    body = lifecycle.load(bert_folder)
    assert isinstance(body, Model)
    model = FeatureExtraction().transfer(body, make_examples(60))
    texts = make_examples(80, seed=7).texts
    assert isinstance(body, QuickEncoder)
    scores = body.encode_quickly(texts, "fp32") @ model.weights
    first = scores[0, 1] - scores[0, 0]  # both labels are as likely for the first text, as long as nothing is rounded
    model.weights, model.bias = model.weights * 1e4, np.array([0, -1e4 * first], dtype=np.float32)
    trials = model.quicken(texts)
    assert trials
    assert not any(agrees(trial.same, trial.change) for trial in trials)
    assert model.precision == "fp32"


QUESTIONS = [
    ("where did it rain", f"it was {number} days ago that it rained in the town of film") for number in range(70)
]
NAMED = [f"the film number {number} was good and the room was warm" for number in range(70)]


def _of_tokens(bert_folder: Path, task: Task, labels: tuple[str, ...], width: int) -> TaskModel:
    body = lifecycle.load(bert_folder, max_length=16)
    assert isinstance(body, TokenEncoder)
    head = np.random.default_rng(3).normal(size=(body.token_width, width)).astype(np.float32)
    return TaskModel(body, task, labels, head, np.zeros(width, np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "labels", "width", "texts"),
    [(NER(), ("PER", "WORK"), 5, NAMED), (QuestionAnswering(), (), 2, QUESTIONS)],
    ids=["names", "answers"],
)
def test_tasks_of_tokens_are_predicted_quickly_too(
    bert_folder: Path,
    task: Task,
    labels: tuple[str, ...],
    width: int,
    texts: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    in_fp32: None,
) -> None:
    model = _of_tokens(bert_folder, task, labels, width)
    usual = model.task.decode(model.scores(texts)[0], texts, model.labels)
    monkeypatch.setattr(type(model.model), "token_states", None)  # the usual way's
    quick = model.predict(texts, precision="fp32")
    assert [_place(one) for one in quick] == [_place(one) for one in usual]
    assert len({repr(_place(one)) for one in quick}) > 1, "all predictions are alike, so the comparison says nothing"
    assert {trial.precision for trial in model.quicken(texts)} == set(model.model.precisions) - {"fp32"}  # type: ignore[attr-defined]


def _place(prediction: Any) -> Any:
    """What is predicted, without how probable it is."""
    if isinstance(prediction, Entities):
        return [(entity.start, entity.end, entity.label) for entity in prediction.entities]
    return prediction.start, prediction.end


def test_quicken_wants_texts_enough(read_by_bert: TaskModel) -> None:
    with pytest.raises(DataError, match="2 distinct texts say little"):
        read_by_bert.quicken(["one", "two", "one"])


def test_a_model_of_one_way_has_nothing_to_choose(made: TaskModel, make_examples: Maker) -> None:
    assert made.quicken(make_examples(70).texts) == ()
    assert made.precision is None


def test_a_damaged_precision_is_named(made: TaskModel, tmp_path: Path) -> None:
    folder, _ = _saved(made, tmp_path / "m")
    told = json.loads((folder.path / storage.MANIFEST).read_text(encoding="utf-8"))
    told["task"]["precision"] = "int3"
    (folder.path / storage.MANIFEST).write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ModelFolderError, match="'int3'"):
        lifecycle.load(folder.path)


def _saved(model: TaskModel, folder: Path) -> tuple[storage.Folder, Model]:
    model.save(folder)
    return storage.open_folder(folder), model.model
