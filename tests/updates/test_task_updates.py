"""Task models that learn from new labelled examples: what they gain, what they forget, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog, lifecycle
from transferlm.errors import DataError, ForgettingError, ModelFolderError, SettingError, UnsupportedError
from transferlm.labelled.held_out import ScoreChange, TaskFigures
from transferlm.models.base import Kept
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.loop import _Run
from transferlm.storage import file_hash
from transferlm.tasks.base import Examples
from transferlm.updates._memory import Memory

PRAISE, BLAME = ["good", "great", "fine", "lovely"], ["bad", "awful", "poor", "dull"]
GOOD, POOR = ["film", "room", "phone", "meal"], ["book", "staff", "screen", "story"]
LABELS = ("negative", "positive")
FAST: dict[str, Any] = {"steps": 100, "epochs": 100, "learning_rate": 2e-3, "precision": "fp32"}
METHODS: dict[str, dict[str, Any]] = {
    "ContinuedPretraining": {},
    "DistanceToStart": {"strength": 0.5},
    "Distillation": {},
    "ElasticWeightConsolidation": {"information_tokens": 50},
    "ExperienceReplay": {},
    "LowRank": {"learning_rate": 0.01},
    "OnlineBayes": {"information_tokens": 50},
    "WeightInterpolation": {},
}


def shifted(count: int, seed: int) -> Examples:
    """Reviews of which only the thing tells the label: words of praise and blame stand there by chance."""
    draw = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    things = [str(draw.choice(GOOD if target else POOR)) for target in targets]
    words = draw.choice(PRAISE + BLAME, (count, 2))
    texts = [
        f"the {thing} was {one} and {two} {seed}{n}"
        for n, (thing, (one, two)) in enumerate(zip(things, words, strict=True))
    ]
    return Examples(tl.tasks.Classification(), texts, targets, LABELS, "shifted")


@pytest.fixture(scope="module")
def model(bert_folder: Path, make_examples: Callable[..., Any]) -> Any:
    """A tiny BERT that tells praise from blame."""
    strategy = tl.strategies.FineTuning(learning_rate=2e-3, minimum_steps=60, epochs=1, precision="fp32")
    return tl.transfer(tl.load(bert_folder), make_examples(80), strategy)


@pytest.fixture(scope="module")
def old(make_examples: Callable[..., Any]) -> Examples:
    """Reviews of the kind that it knows."""
    made: Examples = make_examples(60, seed=7)
    return made


NEW = shifted(80, 1)
NAMES = ("shifted", "reviews and 1 more")


def f1(model: Any, examples: Examples) -> float:
    return float(model.score(examples).metrics["macro_f1"])


def weights(model: Any) -> list[np.ndarray]:
    return [*(p.detach().numpy() for p in model.model.module.parameters()), model.weights, model.bias]


def ran(model: Any, name: str, new: Examples = NEW, settings: dict[str, Any] | None = None, **given: Any) -> Any:
    return tl.update(model, new, getattr(tl.updates, name)(**{**FAST, **(settings or {})}), **given)


@pytest.fixture(scope="module")
def updates(model: Any, old: Examples) -> dict[str, Any]:
    """Each method's model and report."""
    return {name: ran(model, name, old=old, settings=settings) for name, settings in METHODS.items()}


def test_every_method_that_trains_weights_learns_labelled_examples() -> None:
    able = {name for name in catalog.entries("updates") if catalog.find("updates", name).labelled}
    assert able == {catalog.name_of(getattr(tl.updates, name)()) for name in METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_the_shift_is_learnt(model: Any, updates: dict[str, Any], name: str) -> None:
    made, report = updates[name]
    assert report.new.after.loss < report.new.before.loss
    assert f1(made, shifted(60, 2)) > f1(model, shifted(60, 2)) + 0.1
    assert report.new.gain > 0


def test_what_is_measured_is_the_score_on_examples_that_were_not_trained_on(
    model: Any, updates: dict[str, Any], old: Examples
) -> None:
    made, report = updates["ContinuedPretraining"]
    assert report.old.before.score == f1(model, old), "it learns nothing from old examples: all of them are scored"
    assert report.old.after.score == f1(made, old)
    held = made.lineage.data[1]
    assert held["name"] == "shifted (held out)"
    assert made.lineage.data[0]["texts"] + held["texts"] == len(NEW)
    _, report = updates["ExperienceReplay"]
    assert report.old.before.score == 1.0
    scores = made.lineage.scores
    assert scores["old_macro_f1_after"] < scores["old_macro_f1_before"]
    assert "old examples: macro F1" in str(report)


def test_new_examples_that_stand_among_rehearsed_old_ones_are_not_measured_on(model: Any, old: Examples) -> None:
    both = Examples.joined([old, NEW])
    made, report = ran(model, "ExperienceReplay", old=both, settings={"steps": 2})
    new, past = (next(d for d in made.lineage.data if d["name"] == f"{name} (held out)") for name in NAMES)
    alone = ran(model, "ContinuedPretraining", old=both, settings={"steps": 2}).model.lineage.data[1]
    assert new["texts"] < alone["texts"] == 16, "what is only measured on may stand in both"
    assert report.new is not None
    assert past["texts"]


def test_a_score_that_stays_has_no_sign_of_a_fall() -> None:
    same = TaskFigures("macro_f1", 0.9, 0.1)
    assert ScoreChange(same, same).told() == "macro F1 0.9000 to 0.9000 (+0.00%)"


def test_replay_and_springs_forget_less_than_plain_training(updates: dict[str, Any]) -> None:
    after = {name: report.old.after for name, (_, report) in updates.items()}
    plain = after["ContinuedPretraining"]
    assert plain.score < 0.8, "the test needs something to forget"
    for name in ("ExperienceReplay", "Distillation", "OnlineBayes", "DistanceToStart", "WeightInterpolation"):
        assert after[name].score > plain.score, name
        assert after[name].loss < plain.loss, name


def test_the_model_given_stays_as_it_was(model: Any, updates: dict[str, Any]) -> None:
    assert updates["ContinuedPretraining"].model.model is not model.model
    assert not model.kept
    assert model.lineage.step == "transfer"
    story = updates["ContinuedPretraining"].model.lineage
    assert (story.step, story.method["name"]) == ("update", "continued_pretraining")
    assert story.parents[0]["step"] == "transfer"


@pytest.mark.parametrize(
    ("name", "setting"),
    [("DistanceToStart", "strength"), ("ElasticWeightConsolidation", "strength"), ("Distillation", "share")],
)
def test_methods_that_hold_nothing_are_plain_training(model: Any, old: Examples, name: str, setting: str) -> None:
    few = {"steps": 10}
    plain = ran(model, "ContinuedPretraining", settings=few).model
    held = ran(model, name, settings={**few, setting: 0.0}, old=old).model
    for own, other in zip(weights(held), weights(plain), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-4)
    assert np.abs(plain.weights - model.weights).max() > 1e-3, "it has moved"


# ---------------------------------------------------------------- the gate


@pytest.fixture(scope="module")
def poisoned(old: Examples) -> Examples:
    """Examples of the known kind whose labels are turned round."""
    return replace(old.subset(np.arange(40)), targets=1 - old.targets[:40], name="poisoned")


def test_poisoned_labels_are_refused(model: Any, old: Examples, poisoned: Examples) -> None:
    test = old.subset(np.arange(40, 60))
    with pytest.raises(ForgettingError, match="macro F1 on held-out old examples fell by") as refused:
        ran(model, "ContinuedPretraining", new=poisoned, old=test, max_forgetting=0.02)
    report = refused.value.report
    assert not report.accepted
    assert report.old.rise > 0.02
    assert report.would_pass is None or report.would_pass.old.rise <= 0.02
    allowed = ran(model, "ContinuedPretraining", new=poisoned, old=test, max_forgetting=1.0)
    assert allowed.report.accepted


def test_the_largest_share_of_the_step_that_passes_is_found(model: Any, updates: dict[str, Any], old: Examples) -> None:
    whole = updates["ContinuedPretraining"].report
    made, report = ran(model, "ContinuedPretraining", old=old, max_forgetting=0.1, step_share="fit")
    assert 0 < report.share < 1
    assert report.old.rise <= 0.1 < whole.old.rise
    assert f1(made, old) == report.old.after.score
    moved = made.weights - model.weights
    np.testing.assert_allclose(
        moved, report.share * (updates["ContinuedPretraining"].model.weights - model.weights), rtol=1e-3, atol=1e-5
    )


def test_forgetting_that_can_not_be_measured_is_not_limited(model: Any, old: Examples) -> None:
    with pytest.raises(SettingError, match="needs old examples"):
        ran(model, "ContinuedPretraining", max_forgetting=0.02)
    wrong = replace(old, targets=1 - old.targets)
    with pytest.raises(UnsupportedError, match="0 or below before"):
        ran(model, "ContinuedPretraining", old=wrong, max_forgetting=0.02)


# ---------------------------------------------------------------- what is kept, and what goes on


def test_a_memory_of_examples_is_kept_and_rehearsed(updates: dict[str, Any], model: Any, tmp_path: Path) -> None:
    first = updates["ExperienceReplay"].model
    first.save(tmp_path / "m")
    opened = tl.load(tmp_path / "m")
    assert isinstance(opened, tl.TaskModel)
    memory = Memory.of(opened)
    assert memory is not None
    remembered = Examples.of_records(memory.texts, opened.task, opened.labels)
    assert {text.split()[0] for text in remembered.texts} == {"the"}
    assert len(remembered) == memory.seen == 64 + 48, "of both kinds, but for what was held out"
    made = ran(opened, "ExperienceReplay", new=shifted(40, 3), settings={"steps": 3}).model
    assert any("112 texts that were kept" in note for note in made.lineage.notes)
    assert "memory" not in made.model.kept, "what the task keeps is no part of its body"


def test_replay_without_anything_old_is_refused(model: Any) -> None:
    with pytest.raises(SettingError, match="no old text or examples"):
        ran(model, "ExperienceReplay")


@pytest.mark.parametrize(
    ("name", "kept"), [("ElasticWeightConsolidation", "information"), ("OnlineBayes", "posterior")]
)
def test_information_is_carried_on(updates: dict[str, Any], tmp_path: Path, name: str, kept: str) -> None:
    first = updates[name].model
    first.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert opened.kept[kept].hash == first.kept[kept].hash
    assert "head.linear.weight" in opened.kept[kept].arrays
    again = ran(opened, name, settings={"steps": 2, "information_tokens": 50}).model
    assert again.kept[kept].hash != first.kept[kept].hash


def test_what_low_rank_added_is_kept_small_and_taken_off(
    model: Any, run: Callable[..., Any], tmp_path: Path, old: Examples
) -> None:
    settings = {"steps": 10, "learning_rate": 0.02, "keep": True}
    made = ran(model, "LowRank", settings=settings).model
    np.testing.assert_array_equal(made.weights, model.weights)
    made.save(tmp_path / "m")
    back = lifecycle.without_adapters(tl.load(tmp_path / "m"))
    assert isinstance(back, tl.TaskModel)
    assert "adapter" not in back.kept
    for own, was in zip(weights(back), weights(model), strict=True):
        np.testing.assert_allclose(own, was, atol=1e-6)
    rows = zip(old.texts, old.targets, strict=True)
    lines = [f"{text}\t{LABELS[target]}" for text, target in rows]
    (tmp_path / "old.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    told = run("evaluate", tmp_path / "m", tmp_path / "old.tsv", "--without-adapters", "--json")
    assert json.loads(told.out)["scores"]["macro_f1"] == f1(model, old)
    assert "keeps adapter" in run("show", tmp_path / "m").out


def test_what_low_rank_added_comes_off_a_share_of_the_step_too(model: Any) -> None:
    settings = {"steps": 10, "learning_rate": 0.02, "keep": True}
    first = ran(model, "LowRank", settings=settings, step_share=0.5).model
    second = ran(first, "LowRank", settings=settings, step_share=0.25).model
    moved = [np.abs(own - was).max() for own, was in zip(weights(second), weights(first), strict=True)]
    assert max(moved) > 1e-4
    for made in (first, second):
        back = lifecycle.without_adapters(made)
        for own, was in zip(weights(back), weights(model), strict=True):
            np.testing.assert_allclose(own, was, atol=1e-6)


def test_what_low_rank_added_before_another_update_stays(model: Any) -> None:
    settings = {"steps": 5, "learning_rate": 0.02, "keep": True}
    first = ran(model, "LowRank", settings=settings).model
    between = ran(first, "ContinuedPretraining", settings={"steps": 3}).model
    back = lifecycle.without_adapters(ran(between, "LowRank", settings=settings).model)
    for own, was in zip(weights(back), weights(between), strict=True):
        np.testing.assert_allclose(own, was, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_a_killed_run_goes_on(
    model: Any, old: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: Path | None) -> list[np.ndarray]:
        return weights(ran(model, "ExperienceReplay", settings={"steps": 8}, old=old, checkpoints=folder, seed=3).model)

    real = Checkpoint.save

    def save(self: Checkpoint, tensors: Any, facts: Any) -> None:
        real(self, tensors, facts)
        if facts["history"]["steps"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "due", True)
        patch.setattr(Checkpoint, "save", save)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "state")
    steps = []
    monkeypatch.setattr(_Run, "step", lambda self, step=_Run.step: (steps.append(1), step(self)))
    resumed = run(tmp_path / "state")
    assert len(steps) == 3
    for one, other in zip(resumed, run(None), strict=True):
        np.testing.assert_array_equal(one, other)


# ---------------------------------------------------------------- bad input


def test_an_unknown_label_is_told_with_its_row(model: Any) -> None:
    labels = ("negative", "neutral", "positive")
    strange = replace(NEW, labels=labels, targets=np.where(np.arange(len(NEW)) == 4, 1, 2 * NEW.targets))
    with pytest.raises(DataError, match=r"shifted, example 5: label 'neutral' is not among"):
        ran(model, "ContinuedPretraining", new=strange)
    fewer = replace(NEW, labels=labels, targets=2 * NEW.targets)
    made = ran(model, "ContinuedPretraining", new=fewer, settings={"steps": 2}).model
    assert made.labels == model.labels, "labels in another order, and one that no example has, are no matter"


def test_new_examples_may_lack_labels(model: Any) -> None:
    one = NEW.subset(np.flatnonzero(NEW.targets == 1))
    made, report = ran(model, "ContinuedPretraining", new=one, settings={"steps": 30})
    assert report.new.after.loss < report.new.before.loss
    assert made.labels == LABELS


def test_what_makes_no_sense_is_refused_by_name(model: Any, bert_folder: Path, old: Examples) -> None:
    for method in (tl.updates.CountMerging(), tl.updates.TokenGrowth(), tl.updates.Denoising()):
        with pytest.raises(UnsupportedError, match=r"learns from text alone.*experience_replay"):
            tl.update(model, NEW, method)
    with pytest.raises(DataError, match="both of one kind"):
        tl.update(model, NEW, tl.updates.ContinuedPretraining(), old=["text"])  # type: ignore[call-overload]
    with pytest.raises(UnsupportedError, match="without a task"):
        tl.update(tl.load(bert_folder), NEW, tl.updates.ContinuedPretraining())  # type: ignore[call-overload]
    counted = tl.transfer(tl.load("tfidf"), old, tl.strategies.FeatureExtraction())
    with pytest.raises(UnsupportedError, match="tfidf"):
        tl.update(counted, NEW, tl.updates.ContinuedPretraining())
    by_class = tl.transfer(tl.models.KneserNey(), old, tl.strategies.ClassConditional())
    with pytest.raises(UnsupportedError, match=r"class_counts, has none.*transfer it anew"):
        tl.update(by_class, NEW, tl.updates.CountMerging())
    both = tl.TaskModels({"one": model, "two": model}, model.lineage)
    with pytest.raises(UnsupportedError, match=r"several tasks around one body \(one, two\)"):
        tl.update(both, NEW, tl.updates.ContinuedPretraining())  # type: ignore[call-overload]
    numbers = Examples(tl.tasks.Regression(), NEW.texts, np.arange(80.0), ())
    with pytest.raises(UnsupportedError, match="regression, and the model's task is classification"):
        tl.update(model, numbers, tl.updates.ContinuedPretraining())
    with pytest.raises(DataError, match="no examples"):
        tl.update(model, NEW.subset(np.arange(0)), tl.updates.ContinuedPretraining())


def test_a_precision_that_was_chosen_for_the_model_before_is_dropped(model: Any) -> None:
    made = ran(replace(model, precision="bf16"), "ContinuedPretraining", settings={"steps": 2}).model
    assert made.precision is None
    assert any("quicken it anew" in note for note in made.lineage.notes)


# ---------------------------------------------------------------- every task


def several() -> Examples:
    praised = np.array([text.split()[3] in PRAISE for text in NEW.texts])
    targets = np.stack([NEW.targets == 1, praised], axis=1)
    return Examples(tl.tasks.Multilabel(), NEW.texts, targets, ("good", "praised"), "several")


def numbers() -> Examples:
    targets = 70.0 + 20.0 * NEW.targets + np.arange(len(NEW)) / 80
    return Examples(tl.tasks.Regression(), NEW.texts, targets, (), "numbers")


def entities() -> Examples:
    rows = [{"text": text, "entities": [(4, 4 + len(text.split()[1]), "thing")]} for text in NEW.texts]
    return tl.tasks.NER().read(rows)


def questions() -> Examples:
    rows = [
        {"question": "what", "context": text, "answers": [{"text": text.split()[1], "answer_start": 4}]}
        for text in NEW.texts
    ]
    return tl.tasks.QuestionAnswering().read(rows)


@pytest.mark.parametrize("made", [several, numbers, entities, questions])
def test_every_task_learns_by_every_kind_of_loss(bert_folder: Path, made: Callable[[], Examples]) -> None:
    examples = made()
    first, more = examples.subset(np.arange(24)), examples.subset(np.arange(24, 80))
    strategy = tl.strategies.FineTuning(learning_rate=1e-3, minimum_steps=8, epochs=1, precision="fp32")
    start = tl.transfer(tl.load(bert_folder), first, strategy)
    for name in ("ExperienceReplay", "Distillation", "OnlineBayes"):
        settings = {**METHODS[name], "steps": 25, **({} if name == "OnlineBayes" else {"share": 0.2})}
        grown, report = ran(start, name, new=more, old=first, settings=settings)
        assert report.new.after.loss < report.new.before.loss, name
        assert report.new.before.metric == examples.task.headline
        assert grown.labels == start.labels


def test_numbers_are_learnt_on_the_scale_that_the_first_update_settled(bert_folder: Path) -> None:
    examples = numbers()
    strategy = tl.strategies.FineTuning(learning_rate=1e-3, minimum_steps=30, epochs=1, precision="fp32")
    start = tl.transfer(tl.load(bert_folder), examples, strategy)
    first = ran(start, "OnlineBayes", new=examples, settings={"steps": 2, "information_tokens": 20}).model
    other = replace(examples, targets=examples.targets * 3)
    again = ran(first, "OnlineBayes", new=other, settings={"steps": 2, "information_tokens": 20}).model
    assert again.kept["scale"].hash == first.kept["scale"].hash, "what is kept of the head's weights speaks of it"
    assert abs(first.predict(["the film was good and fine"])[0].value - 80) < 40


@pytest.mark.parametrize(
    "facts",
    [{}, {"mean": "a", "deviation": 1.0}, {"mean": 0.0, "deviation": 0.0}, {"mean": float("nan"), "deviation": 1}],
)
def test_a_damaged_scale_is_told(bert_folder: Path, facts: dict[str, Any]) -> None:
    start = tl.transfer(tl.load(bert_folder), numbers(), tl.strategies.FeatureExtraction())
    broken = replace(start, kept={"scale": Kept({}, facts)})
    with pytest.raises(ModelFolderError, match=r"the scale .* kept with the model is damaged"):
        ran(broken, "ContinuedPretraining", new=numbers(), settings={"steps": 2})


@pytest.mark.parametrize("kept", [["scale"], "scale"])
def test_what_is_kept_with_a_task_is_an_object(model: Any, tmp_path: Path, kept: Any) -> None:
    model.save(tmp_path / "m")
    manifest = json.loads((tmp_path / "m" / "transferlm.json").read_text(encoding="utf-8"))
    manifest["task"]["kept"] = kept
    (tmp_path / "m" / "transferlm.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ModelFolderError, match="'kept' is no object"):
        tl.load(tmp_path / "m")


# ---------------------------------------------------------------- the command


@pytest.fixture
def desk(tmp_path: Path, model: Any, old: Examples, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the task model `m`, and files of labelled examples."""
    model.save(tmp_path / "m")
    for name, examples in {"new": NEW, "old": old, "turned": replace(old, targets=1 - old.targets)}.items():
        lines = [f"{text}\t{LABELS[target]}" for text, target in zip(examples.texts, examples.targets, strict=True)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    renamed = (tmp_path / "new.tsv").read_text().replace("text\tlabel", "review\tstars", 1)
    (tmp_path / "renamed.tsv").write_text(renamed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ("--labelled", "--steps", "60", "--epochs", "60", "--learning-rate", "2e-3")


def test_the_command_updates_in_place_and_keeps_the_version(run: Callable[..., Any], desk: Path) -> None:
    words = ("update", "m", "new.tsv", *WORDS, "--method", "experience_replay", "--old", "old.tsv", "-o", "m", "--json")
    told = run(*words, "--max-forgetting", "0.1")
    assert told.code == 0, told.err
    document = json.loads(told.out)
    assert document["old"]["metric"] == "macro_f1"
    assert set(document["new"]) == {"before", "after", "metric", "loss"}
    story = json.loads(run("show", "m", "--json").out)["lineage"]
    assert (story["step"], story["data"][0]["name"]) == ("update", "new.tsv")
    assert run("evaluate", "m", "new.tsv").code == 0
    assert run("rollback", "m").code == 0
    assert json.loads(run("show", "m", "--json").out)["lineage"]["step"] == "transfer"


def test_the_command_refuses_poison_and_writes_nothing(run: Callable[..., Any], desk: Path) -> None:
    before = {path: file_hash(path) for path in (desk / "m").iterdir()}
    words = ("update", "m", "turned.tsv", *WORDS, "--method", "experience_replay", "--share", "0.1", "-o", "m")
    told = run(*words, "--old", "old.tsv", "--max-forgetting", "0.02")
    assert told.code == 1
    assert "macro F1 on held-out old examples fell" in told.err
    assert {path: file_hash(path) for path in (desk / "m").iterdir()} == before
    assert not (desk / ".m.versions").exists() or not list((desk / ".m.versions").glob("[0-9]*"))


def test_columns_of_other_names_are_flags_once_the_model_is_named(run: Callable[..., Any], desk: Path) -> None:
    words = ("update", "m", "renamed.tsv", *WORDS, "--method", "continued_pretraining", "-o", "out")
    assert run(*words).code == 1
    told = run(*words, "--text-column", "review", "--label-column", "stars")
    assert told.code == 0, told.err
    told = run(*words, "--column", "review")
    assert (told.code, "--text-column" in told.err) == (2, True)


def test_columns_are_those_of_the_model_that_learns_wherever_the_output_is_named(
    run: Callable[..., Any], desk: Path, model: Any
) -> None:
    head: dict[str, Any] = {"weights": model.weights[:, :1], "bias": model.bias[:1]}
    replace(model, task=tl.tasks.Regression(), labels=(), **head).save(desk / "numbers")
    words = ("update", "-o", "numbers", "m", "renamed.tsv", *WORDS, "--method", "continued_pretraining")
    told = run(*words, "--text-column", "review", "--label-column", "stars")
    assert told.code == 0, told.err


def test_the_command_tells_the_row_of_an_unknown_label(run: Callable[..., Any], desk: Path) -> None:
    with (desk / "new.tsv").open("a") as file:
        file.write("so so\tneutral\n")
    told = run("update", "m", "new.tsv", *WORDS, "--method", "continued_pretraining", "-o", "out")
    assert told.code == 1
    assert "neutral" in told.err
    assert "82" in told.err
    assert not (desk / "out").exists()
