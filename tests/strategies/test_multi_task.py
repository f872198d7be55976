"""Several tasks at once: mixed by size and temperature, learnt together, kept in one folder, each used by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import transferlm as tl
from transferlm import storage
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.neural.task_mixing import batches_of_each, mixed, mixing_rates
from transferlm.tasks.base import Entity, Examples
from transferlm.tasks.classification import Classification
from transferlm.tasks.ner import NER
from transferlm.tasks.regression import Regression

Run = Callable[..., Any]
NOUNS = {"film": "ART", "book": "ART", "story": "ART", "staff": "WHO"}


def sets(make_reviews: Callable[..., Any], count: int = 48, seed: int = 0) -> dict[str, Examples]:
    """Whether a review praises, what it names, and how long it is."""
    texts, labels = make_reviews(count, seed)
    names = [text.split()[1] for text in texts]
    entities = [(Entity(4, 4 + len(name), NOUNS[name], name),) if name in NOUNS else () for name in names]
    targets = np.fromiter(entities, dtype=object, count=count)
    praise = np.array([label == "positive" for label in labels], dtype=np.int64)
    return {
        "praise": Examples(Classification(), texts, praise, ("negative", "positive")),
        "names": Examples(NER(), texts, targets, ("ART", "WHO")),
        "length": Examples(Regression(), texts, np.array([float(len(name)) for name in names]), ()),
    }


def quick(**settings: Any) -> Any:
    least = {"learning_rate": 3e-3, "epochs": 1, "minimum_steps": 3, "precision": "fp32"}
    return tl.strategies.MultiTask(**{**least, **settings})


def test_each_task_is_learnt_beside_the_others(make_reviews: Callable[..., Any], bert_folder: Path) -> None:
    train, test = sets(make_reviews, 96), sets(make_reviews, 40, 5)
    made = tl.transfer(tl.load(bert_folder), train, quick(minimum_steps=420, patience=None))
    found = made.score(test)
    assert list(found) == ["praise", "names", "length"]
    assert found["praise"].metrics["accuracy"] > 0.9
    assert found["names"].metrics["f1"] > 0.9
    assert found["length"].metrics["pearson"] > 0.8
    assert len({id(one.model) for one in made.values()}) == 1
    assert {"names held_out_loss", "praise held_out_loss"} <= set(made.lineage.scores)


def test_it_comes_back_from_one_folder_to_the_bit_and_its_body_is_a_source(
    make_reviews: Callable[..., Any], bert_folder: Path, tmp_path: Path
) -> None:
    train = sets(make_reviews)
    source: Any = tl.load(bert_folder)
    before = source.fingerprint
    made = tl.transfer(source, train, quick())
    assert source.fingerprint == before
    made.save(tmp_path / "both")
    files = {path.name for path in (tmp_path / "both").iterdir()}
    assert "heads.safetensors" in files
    assert sum(name.endswith(".safetensors") for name in files) == 2
    back = tl.load_tasks(tmp_path / "both")
    for name, examples in train.items():
        assert back[name].predict(examples.texts[:5]) == made[name].predict(examples.texts[:5])
        assert back[name].labels == made[name].labels
        assert np.array_equal(back[name].weights, made[name].weights)
    body: Any = tl.load(tmp_path / "both")
    assert not isinstance(body, tl.TaskModel)
    assert body.fingerprint == made.model.fingerprint != before


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    make_reviews: Callable[..., Any], bert_folder: Path
) -> None:
    train, source = sets(make_reviews, 24), tl.load(bert_folder)
    one, two, other = (tl.transfer(source, train, quick(), seed) for seed in (0, 0, 1))
    assert one.model.fingerprint == two.model.fingerprint != other.model.fingerprint
    assert all(np.array_equal(one[name].weights, two[name].weights) for name in train)


def test_an_interrupted_run_goes_on_to_the_same_bits(
    make_reviews: Callable[..., Any], bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transferlm.strategies import multi_task

    train, source, method = sets(make_reviews, 24), tl.load(bert_folder), quick(minimum_steps=12)
    whole = tl.transfer(source, train, method)
    monkeypatch.setattr("transferlm.neural.checkpoint.SECONDS_BETWEEN", 0.0)
    steps, batch = [0], multi_task._Mixture._batches

    def killed(self: Any, epoch: int) -> Any:
        if epoch == 2:
            raise KeyboardInterrupt
        steps[0] += 1
        return batch(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(multi_task._Mixture, "_batches", killed)
        with pytest.raises(KeyboardInterrupt):
            tl.transfer(source, train, method, checkpoints=tmp_path / "state")
    assert steps[0] == 2
    again = tl.transfer(source, train, method, checkpoints=tmp_path / "state")
    assert again.model.fingerprint == whole.model.fingerprint


def test_one_task_alone_is_fine_tuning(make_examples: Callable[..., Any], bert_folder: Path) -> None:
    source, examples = tl.load(bert_folder), make_examples(24)
    least: dict[str, Any] = {"epochs": 1, "minimum_steps": 3, "precision": "fp32"}
    alone = tl.transfer(source, examples, tl.strategies.MultiTask(**least))
    assert np.array_equal(alone.weights, tl.transfer(source, examples, tl.strategies.FineTuning(**least)).weights)


def test_refusals_name_what_would_work(make_reviews: Callable[..., Any], bert_folder: Path) -> None:
    train, source = sets(make_reviews, 24), tl.load(bert_folder)
    with pytest.raises(
        UnsupportedError, match="fine_tuning learns one task at a time; what learns several: multi_task"
    ):
        tl.transfer(source, train, tl.strategies.FineTuning())
    with pytest.raises(UnsupportedError, match="works with"):
        tl.transfer(tl.load("tfidf"), train, quick())
    with pytest.raises(SettingError, match="need a name each"):
        tl.transfer(source, {}, quick())
    made = tl.transfer(source, train, quick())
    with pytest.raises(SettingError, match="no task is called 'name' here: did you mean 'names'"):
        made["name"]
    with pytest.raises(DataError, match="no examples to score"):
        made.score({})
    for settings in ({"temperature": 0.5}, {"limit": 0}):
        with pytest.raises(SettingError, match=next(iter(settings))):
            quick(**settings)


def test_a_folder_without_a_head_is_refused(
    make_reviews: Callable[..., Any], bert_folder: Path, tmp_path: Path
) -> None:
    tl.transfer(tl.load(bert_folder), sets(make_reviews, 24), quick()).save(tmp_path / "both")
    manifest = tmp_path / "both" / storage.MANIFEST
    told = json.loads(manifest.read_text())
    del told["tasks"]["length"]
    manifest.write_text(json.dumps(told))
    with pytest.raises(ModelFolderError, match=r"'length\.(bias|weights)', of which"):
        tl.load_tasks(tmp_path / "both")
    told["tasks"] |= {"length": {"name": "regression", "settings": {}, "labels": []}, "more": told["tasks"]["names"]}
    manifest.write_text(json.dumps(told))
    with pytest.raises(ModelFolderError, match="not weights and bias"):
        tl.load_tasks(tmp_path / "both")


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    st.floats(1, 50),
    st.integers(1, 10**6),
    st.integers(1, 400),
)
def test_shares_are_those_of_the_paper_and_every_task_has_a_batch(
    sizes: list[int], temperature: float, limit: int, total: int
) -> None:
    rates = mixing_rates(sizes, temperature, limit)
    capped = np.minimum(sizes, limit) / np.minimum(sizes, limit).sum()
    assert rates == pytest.approx(capped ** (1 / temperature) / (capped ** (1 / temperature)).sum())
    counts = batches_of_each(rates, total)
    assert counts.min() >= 1
    assert counts.sum() == max(total, len(sizes))
    assert np.abs(counts - 1 - max(0, total - len(sizes)) * rates).max() < 1 + 1e-9


def test_a_task_shows_all_its_batches_before_one_comes_again() -> None:
    counts = np.array([1, 3])
    epochs = [mixed(counts, 7, epoch) for epoch in range(5)]
    assert [number for epoch in epochs for task, number in epoch if task == 0] == list(range(5))
    assert [number for epoch in epochs for task, number in epoch if task == 1] == list(range(15))
    assert epochs[2] == mixed(counts, 7, 2)
    assert len({tuple(task for task, _ in epoch) for epoch in epochs}) > 1


@pytest.fixture
def named(tmp_path: Path, write_review_file: Callable[..., Path], make_reviews: Callable[..., Any]) -> Path:
    """A TOML file that names a classification and entities."""
    write_review_file(tmp_path / "reviews.csv", 24)
    tagged = "\n\n".join(
        "\n".join(f"{word} {'B-' + NOUNS[word] if word in NOUNS else 'O'}" for word in text.split())
        for text in make_reviews(24)[0]
    )
    (tmp_path / "names.conll").write_text(tagged + "\n")
    path = tmp_path / "tasks.toml"
    path.write_text(
        '[praise]\ntask = "classification"\ndata = "reviews.csv"\ntest = "reviews.csv"\n'
        'class_weights = { positive = 2, negative = 1 }\n[names]\ntask = "ner"\ndata = "names.conll"\ntag_column = 1\n'
    )
    return path


def test_from_the_command_line_it_is_made_shown_scored_and_used(
    run: Run, named: Path, bert_folder: Path, tmp_path: Path
) -> None:
    made = tmp_path / "both"
    flags = ("--strategy", "multi_task", "--epochs", "1", "--minimum-steps", "2", "-o", made, "--json")
    told = run("transfer", bert_folder, named, *flags)
    assert told.code == 0, told.err
    document = json.loads(told.out)
    assert document["tasks"]["names"] == {"labels": ["ART", "WHO"], "scores": None}
    shown = run("show", made).out
    assert "praise predicts classification: negative, positive" in shown
    assert "names predicts ner: ART, WHO" in shown
    assert "task names" in shown
    scored = run("evaluate", made, tmp_path / "reviews.csv", "--task", "praise", "--json")
    assert json.loads(scored.out)["scores"] == document["tasks"]["praise"]["scores"]
    said = run("predict", made, "the film was good", "--task", "names", "--json")
    assert set(json.loads(said.out)) == {"entities", "text"}
    for words in (("predict", made, "a film"), ("evaluate", made, tmp_path / "reviews.csv")):
        refused = run(*words)
        assert refused.code == 1
        assert "holds several tasks: name one with --task (praise, names)" in refused.err
    assert "did you mean 'names'" in run("predict", made, "a film", "--task", "name").err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[names", "no valid TOML"),
        ("", "it names no task"),
        ("names = 1", "write [names] with its task and its data"),
        ('[names]\ntask = "ner"', "write [names] with its task and its data"),
        ('[names]\ntask = "ner"\ndata = "x"\ntest = 5', "[names]: test is 5: write the path of a file in quotes"),
        ('[names]\ntask = "nre"\ndata = "x"', "[names]: no task is called 'nre': did you mean 'ner'"),
        ('[names]\ntask = "ner"\ndata = "x"\ntags = 1', "[names]: ner has no hyper-parameter 'tags'"),
        ('[names]\ntask = "ner"\ndata = "x.conll"\ntag_column = "last"', "[names]: tag_column 'last' is none of: int"),
        ('[names]\ntask = "ner"\ndata = "x.conll"', "x.conll"),
    ],
)
def test_a_file_of_tasks_that_is_wrong_is_refused_by_one_line(
    content: str, says: str, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "tasks.toml"
    path.write_text(content)
    told = run("transfer", "tfidf", path, "--strategy", "multi_task", "-o", tmp_path / "both")
    assert told.code == 1
    assert told.err.count("\n") == 1
    assert says in told.err


def test_a_file_of_tasks_goes_with_no_task_of_its_own(run: Run, named: Path, tmp_path: Path) -> None:
    words = ("transfer", "tfidf", named, "--strategy", "multi_task", "--task", "ner", "-o", tmp_path / "both")
    told = run(*words)
    assert told.code == 2
    assert "leave --task, --labels and --test out" in told.err
