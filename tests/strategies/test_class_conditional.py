"""Classification by counting: the arithmetic by hand, what a label is worth, leaving each text out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models.class_counts import ClassCounts
from transferlm.strategies.class_conditional import ClassConditional
from transferlm.tasks.base import Examples
from transferlm.tasks.classification import Classification

Maker = Callable[..., Examples]


def examples(texts: list[str], targets: list[int], **settings: Any) -> Examples:
    labels = tuple("abcdef"[: max(targets) + 1])
    return Examples(Classification(**settings), texts, np.array(targets), labels, name="letters")


def test_the_arithmetic_by_hand() -> None:
    # Words alone, no discount, concentration 2. The general model knows nothing: x, y, z, and the four special
    # symbols, are 1/7 each. Counted: class a [x x </s>], class b [y </s>]; together x 2, </s> 2, y 1.
    settings = {"concentrations": "2", "discount": 0.0}
    made = ClassCounts.of(tl.models.KneserNey(), ["x x", "y", "z"], np.array([0, 1, 1]), 2, **settings)

    def shared(count: int) -> float:
        return (count + 2 / 7) / (7 + 2)  # 7 tokens: x x </s> y </s> z </s>

    x, end = shared(2), shared(3)
    first = np.log((2 + 2 * x) / (3 + 2) / x) + np.log((1 + 2 * end) / (3 + 2) / end)
    second = np.log((0 + 2 * x) / (4 + 2) / x) + np.log((2 + 2 * end) / (4 + 2) / end)
    assert made.encode(["x"]).features[0] == pytest.approx([first, second], rel=1e-5)


def test_a_general_model_is_the_prior() -> None:
    texts, targets = ["good film", "bad film"], np.array([0, 1])
    general = tl.models.KneserNey(order=2).fit(["the film was long", "a film"] * 5)
    with_prior, without = (ClassCounts.of(model, texts, targets, 2) for model in (general, general.untrained()))
    # A word that is probable anyway is weaker evidence than one that is not.
    assert not np.allclose(with_prior.encode(["film good"]).features, without.encode(["film good"]).features)
    assert np.isfinite(with_prior.encode(["", "nothing known", "x" * 1000]).features).all()


def test_a_text_left_out_is_encoded_as_if_it_had_not_been_counted(make_examples: Maker) -> None:
    given = make_examples(20)
    general = tl.models.KneserNey(order=2).fit(make_examples(20, seed=9).texts)
    made = ClassCounts.of(general, given.texts, given.targets, 2)
    found = made.left_out(given.texts, given.targets)
    for row in (0, 7, 19):
        rest = [i for i in range(len(given)) if i != row]
        other = ClassCounts.of(general, [given.texts[i] for i in rest], given.targets[rest], 2)
        assert other.encode([given.texts[row]]).features[0] == pytest.approx(found[row], rel=1e-4, abs=1e-5)


def test_it_learns_what_a_bag_of_words_can_tell(make_examples: Maker) -> None:
    train, test = make_examples(40), make_examples(60, seed=3)
    made = ClassConditional().transfer(tl.models.KneserNey(), train)
    assert made.score(test).metrics["accuracy"] > 0.95
    assert made.lineage.scores["temperature"] >= 1
    assert made.lineage.scores["left_out_loss"] < np.log(2)


def test_where_labels_mean_nothing_it_is_unsure() -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(list("pqrstuvw"), 12)) for _ in range(60)]
    made = ClassConditional().transfer(tl.models.KneserNey(), examples(texts, [i % 2 for i in range(60)]))
    confidence = made.predict_proba(texts).max(axis=1).mean()
    assert confidence < 0.75, "left-out texts told that the counts are not to be believed"


def test_shares_of_classes_are_the_prior_and_class_weights_change_it() -> None:
    texts, targets = ["x y"] * 9 + ["y x"], [0] * 9 + [1]
    plain = ClassConditional().transfer(tl.models.KneserNey(), examples(texts, targets))
    assert np.exp(plain.bias) == pytest.approx([0.9, 0.1])
    even = ClassConditional().transfer(tl.models.KneserNey(), examples(texts, targets, class_weights="balanced"))
    assert np.exp(even.bias) == pytest.approx([0.5, 0.5])


def test_by_character_for_chinese(make_examples: Maker) -> None:
    texts = ["房间很好", "服务很好", "房间很差", "服务很差"] * 3
    source = tl.models.KneserNey(order=2, unit="character").fit(texts)
    made = ClassConditional().transfer(source, examples(texts, [0, 0, 1, 1] * 3))
    assert [p.label for p in made.predict(["早餐很好", "早餐很差"])] == ["a", "b"]


def test_what_it_can_not_learn_from_is_refused(make_examples: Maker) -> None:
    lonely = Examples(Classification(), ["x"], np.array([0]), ("a", "b"), name="letters")
    with pytest.raises(DataError, match="label 'b' has no example"):
        ClassConditional().transfer(tl.models.KneserNey(), lonely)
    with pytest.raises(UnsupportedError, match="class_conditional needs"):
        ClassConditional().transfer(tl.models.TfIdf(), make_examples(4))
    for settings in ({"discount": 1.0}, {"discount": -0.1}, {"concentrations": "0"}, {"concentrations": "a"}):
        with pytest.raises(SettingError, match=next(iter(settings))):
            ClassConditional(**settings)


def test_a_damaged_folder_is_one_clear_error(make_examples: Maker, tmp_path: Path) -> None:
    made = ClassConditional().transfer(tl.models.KneserNey(), make_examples(8))
    made.save(tmp_path / "m")
    tl.models.WittenBell(order=2).fit(["a b"]).save(tmp_path / "other")
    (tmp_path / "m" / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(ModelFolderError, match="no counts of classes"):
        tl.load(tmp_path / "m")


def test_in_a_comparison_it_stands_beside_its_untrained_twin(make_examples: Maker, tmp_path: Path) -> None:
    train, test = make_examples(60), make_examples(20, seed=5)
    source = tl.models.KneserNey(order=2).fit(train.texts)
    found = tl.compare(
        train, test, {"news": source}, [ClassConditional()], tl.Plan(sizes=(4,), seeds=2), tmp_path / "c"
    )
    assert {cell.source for cell in found.cells} == {"news", "news-untrained", "tfidf"}


def test_a_source_that_gives_nothing_to_the_unseen_is_no_trouble(make_examples: Maker) -> None:
    source = tl.models.MaximumLikelihood(order=2, open_vocabulary=False).fit(["the film was good"])
    made = ClassConditional().transfer(source, make_examples(20))
    assert np.isfinite(made.predict_proba(["nothing of this was seen", "the film"])).all()


def test_many_classes_are_pooled_in_whatever_number() -> None:
    for classes in (1, 2, 3, 7):
        texts = [f"word{i} word{i}" for i in range(classes)] * 2
        targets = np.arange(2 * classes) % classes
        made = ClassCounts.of(tl.models.KneserNey(), texts, targets, classes)
        assert made.encode([texts[0]]).features.shape == (1, classes)
        assert made.encode([texts[0]]).features[0].argmax() == 0


def test_too_long_a_context_names_the_setting() -> None:
    with pytest.raises(SettingError, match="concentrations"):
        ClassConditional(concentrations=",".join(["1"] * 11))
