"""Without examples: which label a model finds probable or alike, and calibration worked by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models.base import Causal, Encoder, Encoding, Model, TokenScores, Vocabulary
from transferlm.models.label_likelihood import LabelLikelihood
from transferlm.strategies.fine_tuning import FineTuning
from transferlm.strategies.zero_shot import ZeroShot
from transferlm.tasks.base import Examples
from transferlm.tasks.classification import Classification

Maker = Callable[..., Examples]
TASK = Classification()
TWO = Examples.without_texts(TASK, ["good", "bad"])


@dataclass
class Told(Model, Causal):
    """A causal model that finds a text as probable as a table says."""

    table: dict[str, float]

    @property
    def family(self) -> str:
        return "told"

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary("word", 2, True, "told")

    def token_scores(self, texts: Iterable[str], context: Any = "text") -> Iterator[TokenScores]:
        for text in texts:
            value = np.log(self.table[text]) if self.table[text] else -np.inf
            yield TokenScores(np.array([value]), np.zeros((1, 2), np.int32), np.zeros(1, np.int32))

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        raise NotImplementedError

    def write(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def read(cls, folder: Any) -> Told:
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        return "told"


def told(**more: float) -> Told:
    """Beside no text `good` is three times as probable as `bad`, and always likelier than it should be."""
    content_free = {
        "good": 0.03,
        "bad": 0.01,
        "N/A good": 0.06,
        "N/A bad": 0.02,
        "[MASK] good": 0.02,
        "[MASK] bad": 0.02,
    }
    return Told({**{name if "/" in name or "[" in name else f" {name}": p for name, p in content_free.items()}, **more})


FILM = {"film good": 0.02, "film bad": 0.01}


def chances(model: Model, examples: Examples = TWO, **settings: Any) -> np.ndarray:
    made = ZeroShot(template="{text} {label}", **settings).transfer(model, examples)
    return made.predict_proba(["film"])[0]


def test_without_calibration_the_more_probable_sentence_wins() -> None:
    assert chances(told(**FILM), calibration="none") == pytest.approx([2 / 3, 1 / 3], rel=1e-5)


def test_pmi_by_hand() -> None:
    # 0.02 / 0.03 against 0.01 / 0.01 (Holtzman et al. 2021, eq. 3): 2/5 and 3/5.
    assert chances(told(**FILM), calibration="pmi") == pytest.approx([0.4, 0.6], rel=1e-5)


def test_contextual_calibration_by_hand() -> None:
    # p(good) beside N/A, [MASK] and nothing: 3/4, 1/2, 3/4; mean 2/3 (Zhao et al. 2021). 2/3 / (2/3) = 1/3 / (1/3).
    assert chances(told(**FILM), calibration="contextual") == pytest.approx([0.5, 0.5], rel=1e-5)
    assert chances(told(**FILM)) == pytest.approx([0.5, 0.5], rel=1e-5), "what is done where there are no examples"


def test_batch_calibration_by_hand_weighs_classes_alike() -> None:
    table = {"x good": 0.08, "x bad": 0.02, "y good": 0.05, "y bad": 0.05}
    examples = Examples(TASK, ["x", "x", "x", "y"], np.array([0, 0, 0, 1]), ("good", "bad"), name="few")
    # Mean log-probabilities, a class alike: good (ln .8 + ln .5) / 2, bad (ln .2 + ln .5) / 2; their odds are 2.
    found = chances(told(**FILM, **table), examples, temperature=1.0)
    assert found == pytest.approx([0.5, 0.5], rel=1e-5)
    # Fitted: x is 2 : 1 for good after calibration, y 1 : 2. All four are right, so 5 : 1 is believed (Platt 1999).
    fitted = ZeroShot(template="{text} {label}").transfer(told(**FILM, **table), examples)
    assert fitted.lineage.scores["temperature"] == pytest.approx(np.log(2) / np.log(5), rel=1e-2)
    assert fitted.predict_proba(["x", "y"])[:, 0] == pytest.approx([5 / 6, 1 / 6], rel=1e-2)


def test_a_temperature_is_fitted_to_examples_that_contradict() -> None:
    table = {"x good": 0.09, "x bad": 0.01, "y good": 0.01, "y bad": 0.09}
    targets = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    examples = Examples(TASK, ["x"] * 4 + ["y"] * 4, targets, ("good", "bad"), name="few")
    made = ZeroShot(template="{text} {label}").transfer(told(**table), examples)
    # Of eight labels, each worth 9 : 1, three in four are right: 0.75 * 0.9 + 0.25 * 0.1 = 0.7, so 9 : 1 becomes 7 : 3.
    assert made.lineage.scores["temperature"] == pytest.approx(np.log(9) / np.log(7 / 3), rel=1e-2)
    assert made.predict_proba(["x"])[0] == pytest.approx([0.7, 0.3], rel=1e-2)


def test_what_is_impossible_with_every_label_tells_nothing() -> None:
    table = {"film good": 0.0, "film bad": 0.0}
    assert chances(told(**table), calibration="none") == pytest.approx([0.5, 0.5])
    assert chances(told(**{**table, "film bad": 0.1}), calibration="none") == pytest.approx([0, 1])


def test_names_and_descriptions_stand_in_the_template_and_chinese_has_its_own(review_texts: list[str]) -> None:
    model = tl.models.KneserNey(order=2, unit="character").fit(review_texts)

    def sentences(labels: list[str], **settings: Any) -> str:
        made = ZeroShot(**settings).transfer(model, Examples.without_texts(TASK, labels))
        return made.lineage.notes[0]

    assert sentences(["very_good", "bad"]).endswith("This text is about very good.; This text is about bad.")
    assert "这段文字是关于体育的。" in sentences(["体育", "财经"])
    assert "关于好评的" in sentences(["pos", "neg"], descriptions="pos=好评；neg=差评")
    assert sentences(["a", "b"], template="{label}: {text}", descriptions="a=praise").endswith("praise:; b:")


def test_a_language_model_that_knows_the_words_classifies_and_is_saved(tmp_path: Path) -> None:
    known = {"splendid": "good", "awful": "bad", "charming": "good", "dull": "bad"}
    model = tl.models.KneserNey(order=3).fit([f"the film was {word} and {known[word]}" for word in known] * 3)
    made = ZeroShot(template="{text} and {label}").transfer(model, TWO)
    texts = [f"the film was {word}" for word in known]
    assert [prediction.label for prediction in made.predict(texts)] == list(known.values())  # type: ignore[union-attr]
    made.save(tmp_path / "m")
    again = tl.load(tmp_path / "m")
    assert isinstance(again, tl.TaskModel)
    assert np.array_equal(again.predict_proba(texts), made.predict_proba(texts))
    (tmp_path / "m" / "labels.json").write_text("{}")
    with pytest.raises(ModelFolderError, match="no list of words"):
        tl.load(tmp_path / "m")


@dataclass
class Axes(Model, Encoder):
    """An encoder of three words."""

    @property
    def family(self) -> str:
        return "axes"

    @property
    def encoding_width(self) -> int:
        return 2

    def encode(self, texts: Sequence[str]) -> Encoding:
        axes = {"sport": (3.0, 0.0), "art": (0.0, 3.0), "match": (2.0, 1.0)}
        rows = [np.sum([axes.get(word, (0, 0)) for word in text.split()], axis=0) for text in texts]
        return Encoding(np.array(rows, np.float32).reshape(-1, 2), np.ones(len(texts)))

    def write(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def read(cls, folder: Any) -> Axes:
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        return "axes"


def test_likeness_by_hand() -> None:
    labels = Examples.without_texts(TASK, ["sport", "art"])
    made = ZeroShot(template="{label}").transfer(Axes(), labels)
    # Vectors (2, 1) along unit axes, over the sentences' length 3, over a temperature of 0.05.
    assert made.scores(["match"])[0][0] == pytest.approx([2 / 3 * 20, 1 / 3 * 20], rel=1e-5)
    assert made.predict(["match"])[0].label == "sport"  # type: ignore[union-attr]


def test_a_model_that_can_do_both_is_asked_what_is_wanted(recurrent: Any) -> None:
    likelihood, similarity = (ZeroShot(by=by).transfer(recurrent, TWO) for by in ("auto", "similarity"))  # type: ignore[arg-type]
    assert isinstance(likelihood.model, LabelLikelihood)
    assert similarity.model is recurrent


def test_what_can_not_be_is_refused(make_examples: Maker, bert_folder: Path) -> None:
    with pytest.raises(UnsupportedError, match="by likelihood needs a model that is a causal"):
        ZeroShot(by="likelihood").transfer(Axes(), TWO)
    with pytest.raises(UnsupportedError, match="zero_shot needs a model that is an encoder"):
        ZeroShot(by="similarity").transfer(told(), TWO)
    with pytest.raises(SettingError, match="descriptions name 'god', which is no label: did you mean 'good'"):
        ZeroShot(descriptions="god=x").transfer(Axes(), TWO)
    with pytest.raises(SettingError, match="give label=words"):
        ZeroShot(descriptions="good").transfer(Axes(), TWO)
    with pytest.raises(SettingError, match="batch needs the texts of examples"):
        ZeroShot(calibration="batch").transfer(Axes(), TWO)
    with pytest.raises(SettingError, match=r"\{text\} must stand in it once"):
        ZeroShot(template="{label}").transfer(told(), TWO)
    for settings in ({"template": "x"}, {"temperature": 0.0}, {"by": "x"}, {"calibration": "x"}):
        with pytest.raises(SettingError, match=next(iter(settings))):
            ZeroShot(**settings)  # type: ignore[arg-type]
    for names in (["one"], ["a", "a"], ["a", " "]):
        with pytest.raises(DataError, match="give two or more that differ"):
            Examples.without_texts(TASK, names)


def test_what_learns_from_examples_says_so_where_there_are_none(bert_folder: Path) -> None:
    model = tl.load(bert_folder)
    with pytest.raises(DataError, match=r"fine_tuning learns from labelled examples, .*: zero_shot"):
        tl.transfer(model, TWO, FineTuning())


def test_on_the_command_line_labels_are_enough(run: Any, tmp_path: Path, bert_folder: Path, review_file: Path) -> None:
    out = tmp_path / "m"
    made = run("transfer", bert_folder, "--labels", "positive,negative", "--strategy", "zero_shot", "-o", out, "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["labels"] == ["positive", "negative"]
    assert run("predict", out, "a good film").out.split()[0] in {"positive", "negative"}
    # With examples, the labels' order is the one given.
    second = ("transfer", bert_folder, review_file, "--labels", "positive,negative", "--strategy", "zero_shot")
    assert run(*second, "-o", tmp_path / "n").code == 0
    assert tl.load(tmp_path / "n").labels == ("positive", "negative")  # type: ignore[union-attr]
    neither = run("transfer", bert_folder, "--strategy", "zero_shot", "-o", tmp_path / "o")
    assert neither.code == 2
    assert "give DATA with labelled examples, or --labels" in neither.err
