"""`transferlm show`: the story from the last step back to the first, and what is known of weights of others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import transferlm as tl
from transferlm.models.recurrent import Recurrent
from transferlm.storage import Lineage, open_folder

Run = Callable[..., Any]


def test_the_steps_stand_in_order_the_last_one_first(
    run: Run, recurrent: Recurrent, review_file: Path, tmp_path: Path
) -> None:
    pretrained = Lineage().child(
        "pretrain", method={"name": "recurrent"}, data=[{"name": "wiki.txt", "hash": "ab" * 32}]
    )
    recurrent.lineage = pretrained.child(
        "update",
        method={"name": "continued_pretraining", "hyper_parameters": {"steps": 100}},
        data=[{"name": "reviews.txt", "texts": 1234}],
        scores={"new after": 3.25},
        notes=["forgetting was not measured: no old text was given"],
        seed=4,
    )
    examples = tl.read(review_file, tl.tasks.Classification())
    tl.transfer(recurrent, examples, tl.strategies.FeatureExtraction(regularisation=1.0)).save(tmp_path / "m")
    told = run("show", tmp_path / "m")
    assert told.code == 0, told.err
    wanted = [
        "predicts classification: negative, positive",
        "Its story, the last step first:",
        "- transfer by feature_extraction on ",
        "reviews.csv",
        "- update by continued_pretraining on ",
        "data: reviews.txt, 1,234 texts",
        "settings: steps 100",
        "measured: new after 3.25",
        "note: forgetting was not measured: no old text was given",
        "- pretrain by recurrent on ",
        f"data: wiki.txt, SHA-256 {'ab' * 32}",
    ]
    places = [told.out.index(part) for part in wanted]
    assert places == sorted(places)
    assert ", seed 4\n" in told.out


def test_a_task_without_labels_is_told_by_its_name_alone(run: Run, recurrent: Recurrent, tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("text\tscore\na fine film\t4\na dull film\t1\na good room\t3\n")
    examples = tl.read(tmp_path / "data.tsv", tl.tasks.Regression())
    tl.transfer(recurrent, examples, tl.strategies.FeatureExtraction(regularisation=1.0)).save(tmp_path / "m")
    assert "  predicts regression\n" in run("show", tmp_path / "m").out


def test_several_parents_stand_further_in(run: Run, recurrent: Recurrent, tmp_path: Path) -> None:
    from dataclasses import asdict

    parents = [asdict(Lineage().child("pretrain", data=[{"name": name}])) for name in ("one.txt", "other.txt")]
    recurrent.lineage = Lineage("combine", parents=parents)
    recurrent.save(tmp_path / "m")
    lines = run("show", tmp_path / "m").out.splitlines()
    first, second = (next(line for line in lines if line.endswith(f"made from, {n} of 2:")) for n in (1, 2))
    assert lines.index(first) < lines.index(second)
    pretrained = [line for line in lines if "- pretrain" in line]
    assert len(pretrained) == 2
    assert all(len(line) - len(line.lstrip()) > len(first) - len(first.lstrip()) for line in pretrained)


@pytest.fixture
def fetched(bert_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "encoder-1.0"
    shutil.copytree(bert_folder, folder)
    record = {
        "name": "encoder",
        "what": "sentence encoder",
        "licence": "Apache-2.0",
        "research_only": True,
        "packages": [{"package": "encoder-weights", "version": "1.0", "sha256": "cd" * 32}],
        "fetched": "2026-01-02T03:04:05+00:00",
    }
    (folder / "source.json").write_text(json.dumps(record))
    return folder


def test_fetched_weights_tell_package_and_licence(run: Run, fetched: Path) -> None:
    told = run("show", fetched).out
    for part in (
        "model_type: bert",
        "- imported on 2026-01-02 03:04:05 UTC",
        "Apache-2.0",
        "encoder-weights",
        "cd" * 32,
    ):
        assert part in told
    assert "note: for non-commercial research only" in told


def test_the_licence_goes_on_into_what_is_made_from_them(run: Run, fetched: Path, review_file: Path) -> None:
    made = fetched.parent / "m"
    words = ("--strategy", "feature_extraction", "--regularisation", "1", "-o", made)
    assert run("transfer", fetched, review_file, *words).code == 0
    told = run("show", made).out
    assert told.index("- transfer by feature_extraction") < told.index("- imported") < told.index("licence Apache-2.0")
    assert "for non-commercial research only" in told
    assert open_folder(made).lineage().parents[0]["data"][0]["licence"] == "Apache-2.0"


def test_another_librarys_folder_tells_what_its_configuration_says(run: Run, bert_folder: Path) -> None:
    told = run("show", bert_folder).out
    assert "a model of another library" in told
    assert "hidden_size: 32" in told
    assert "architectures: BertModel" in told
    assert "- imported" in told
