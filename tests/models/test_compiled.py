"""A compiled model says what its model says, without torch, and refuses files that are not its own."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from masked_folders import KINDS, TEXTS, write

from transferlm import lifecycle
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models.base import Kept, Model
from transferlm.models.compiled import Compiled
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.models.tfidf import TfIdf
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Task
from transferlm.tasks.classification import Classification
from transferlm.tasks.multilabel import Multilabel
from transferlm.tasks.ner import NER
from transferlm.tasks.question_answering import QuestionAnswering
from transferlm.tasks.regression import Regression

WRITTEN = sorted(set(KINDS) - {"electra", "mpnet"})
Pair = tuple[MaskedTransformer, Compiled]
"""A model, and what it was compiled to."""

LONG = " ".join(["the film was good and the room was dull"] * 9)
"""Beyond the 40 positions of these models."""
PAIR = ("was the room dull", "the room was bad ; the film was good")


@pytest.fixture(scope="module", params=WRITTEN)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return _both(request.param, tmp_path_factory)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return _both("bert", tmp_path_factory)


def _both(kind: str, places: pytest.TempPathFactory) -> Pair:
    folder = places.mktemp(kind)
    write(kind, folder)
    model = lifecycle.load(folder)
    made = lifecycle.compiled(model, int8=True)
    assert isinstance(model, MaskedTransformer)
    assert isinstance(made, Compiled)
    return model, made


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_the_models(both: Pair, pooling: str) -> None:
    model = both[0].copy()
    model.adjust(pooling=pooling)
    made = lifecycle.compiled(model)
    assert isinstance(made, Compiled)
    texts = [*TEXTS, LONG, *TEXTS[:2], "", "film"]
    expected = model.encode_quickly(texts, "fp32")
    assert np.abs(made.encode_quickly(texts, "fp32") - expected).max() < 1e-5
    encoding = made.encode(texts)
    assert np.abs(encoding.features - expected).max() < 1e-5
    assert np.array_equal(encoding.read, model.encode(texts).read)
    assert encoding.read[4] < 1
    assert np.ptp(expected, axis=0).max() > 0.1, "all texts look alike, so the comparison says nothing"


def test_pairs_and_long_texts_in_windows_too(both: Pair) -> None:
    model, made = both
    for texts, whole in (([PAIR, ("the film", LONG), PAIR[::-1]], False), ([LONG, "bad"], True)):
        expected = model.encode_quickly(texts, "fp32", whole)
        assert np.abs(made.encode_quickly(texts, "fp32", whole) - expected).max() < 1e-5


def test_token_scores_are_the_models(both: Pair) -> None:
    model, made = both
    weights = np.random.default_rng(0).normal(size=(made.token_width, 3)).astype(np.float32)
    bias = np.array([0.5, -1.0, 2.0], dtype=np.float32)
    rows = model.windows([*TEXTS, LONG, PAIR, ""], whole=True)
    found = made.score_rows(made.windows([*TEXTS, LONG, PAIR, ""], whole=True), weights, bias)
    for one, other in zip(model.score_quickly(rows, weights, bias, "fp32"), found, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() < 1e-4


def test_integers_stay_near(both: Pair) -> None:
    made = both[1]
    assert made.precisions == ("int8", "fp32")
    exact, rough = (made.encode_quickly([*TEXTS, LONG], name) for name in ("fp32", "int8"))
    assert 0 < np.abs(exact - rough).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("task", "labels", "width", "texts"),
    [
        (Classification(), ("bad", "good"), 2, [*TEXTS, LONG]),
        (Multilabel(), ("film", "phone", "room"), 3, TEXTS),
        (Regression(), (), 1, TEXTS),
        (NER(), ("WORK",), 3, [*TEXTS, LONG]),
        (QuestionAnswering(), (), 2, [PAIR, ("what was good", LONG)]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Task) else "",
)
def test_a_task_model_predicts_the_same_from_its_folder(
    task: Task,
    labels: tuple[str, ...],
    width: int,
    texts: list[Any],
    bert: Pair,
    tmp_path: Path,
) -> None:
    head = np.random.default_rng(1).normal(size=(bert[0].encoding_width, width)).astype(np.float32)
    model = TaskModel(bert[0], task, labels, head, np.ones(width, np.float32), precision="fp32")
    lifecycle.compiled(model).save(tmp_path / "m")
    opened = lifecycle.load(tmp_path / "m")
    assert isinstance(opened, TaskModel)
    assert (opened.labels, opened.task, opened.lineage.step) == (labels, task, "compile")
    told, expected = ([str(one) for one in each.predict(texts)] for each in (opened, model))
    assert told == expected
    one, other = opened.scores(texts)[0], model._quick(texts, "fp32")
    if task.output(labels).per == "text":
        assert np.abs(one - other).max() < 1e-4
    _scores_stand_in_the_file_too(opened, tmp_path / "m" / "model.onnx", one)


def _scores_stand_in_the_file_too(opened: TaskModel, file: Path, scores: Any) -> None:
    """Other programs find the head's scores in the graph: here the first text's."""
    import onnxruntime

    assert isinstance(opened.model, Compiled)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    text = PAIR if opened.task.paired else TEXTS[0]
    row = opened.model.windows([text], opened.task.reads_whole)[0]
    ids = row.ids.astype(np.int64)[None]
    types = np.zeros_like(ids) if row.types is None else row.types[None]
    found = session.run(["scores"], {"ids": ids, "types": types})[0][0]
    if opened.task.output(opened.labels).per == "token":
        found, scores = found[row.start : row.start + len(row.offsets)], [scores[0][0].scores]
    assert np.abs(found - scores[0]).max() < 1e-5


def test_what_updates_left_stays_behind(bert: Pair) -> None:
    head = np.ones((bert[0].encoding_width, 2), np.float32)
    kept = {"memory": Kept({}, {"texts": ["an example that was learnt from"]})}
    model = TaskModel(bert[0], Classification(), ("bad", "good"), head, np.zeros(2, np.float32), kept=kept)
    model.precision, model.rounding = "int8", {"int8": 0.01}
    made = lifecycle.compiled(model)
    assert isinstance(made, TaskModel)
    assert (made.kept, made.precision, made.rounding) == ({}, None, {})


def test_another_process_can_have_it_once_it_has_run(bert: Pair) -> None:
    compiled = bert[1]
    known = compiled.encode(TEXTS).features
    again = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_array_equal(again.encode(TEXTS).features, known)


def test_torch_is_never_loaded(bert: Pair, tmp_path: Path) -> None:
    head = np.ones((bert[0].encoding_width, 2), np.float32)
    model = TaskModel(bert[0], Classification(), ("bad", "good"), head, np.zeros(2, np.float32))
    lifecycle.compiled(model).save(tmp_path / "m")
    script = (
        f"import sys; from transferlm.cli import main; main(['predict', {str(tmp_path / 'm')!r}, 'the film'])\n"
        "print([name for name in ('torch', 'transformers', 'onnx') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def test_a_graph_that_is_not_the_one_written_is_refused(bert: Pair, tmp_path: Path) -> None:
    bert[1].save(tmp_path / "m")
    place = tmp_path / "m" / "model.onnx"
    place.write_bytes(place.read_bytes().replace(b"MultiHeadAttention", b"MultiHeadAttentiom"))
    with pytest.raises(ModelFolderError, match=r"model\.onnx is not the file that transferlm\.json names"):
        lifecycle.load(tmp_path / "m")
    _refused(tmp_path / "m", ["film"], r"can't be run by ONNX Runtime \(.*MultiHeadAttentiom")


def test_numbers_in_other_files_are_refused(bert: Pair, tmp_path: Path) -> None:
    import onnx

    bert[1].save(tmp_path / "m")
    place = tmp_path / "m" / "model.onnx"
    onnx.save(onnx.load(place), place, save_as_external_data=True, location="elsewhere.bin", size_threshold=0)
    _told_anew(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="takes numbers from other files"):
        lifecycle.load(tmp_path / "m")


def test_another_graph_is_refused(bert: Pair, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    bert[1].save(tmp_path / "m")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("one", "other")]
    graph = helper.make_graph([helper.make_node("Identity", ["one"], ["other"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (tmp_path / "m" / "model.onnx").write_bytes(model.SerializeToString())
    _refused(tmp_path / "m", ["film"], r"leads from one to .*, not from ids and types")


def test_a_graph_that_fails_on_tokens_is_told_in_one_line(bert: Pair, tmp_path: Path) -> None:
    import onnx

    bert[1].save(tmp_path / "m")
    place = tmp_path / "m" / "model.onnx"
    graph = onnx.load(place)
    tokens = next(one for one in graph.graph.initializer if one.name == "tokens")
    tokens.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tokens)[:1], "tokens"))
    onnx.save(graph, place)
    _refused(tmp_path / "m", ["film"], r"can't be run by ONNX Runtime \(.*out of data bounds")


def test_vectors_of_another_number_of_texts_are_not_spread_over_these(bert: Pair, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    bert[1].save(tmp_path / "m")
    width = bert[1].encoding_width
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["a", "b"]) for name in ("ids", "types")]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width]) for name in ("states", "encoding")]
    zeros = helper.make_tensor("zeros", TensorProto.FLOAT, [1, width], [0.0] * width)
    nodes = [helper.make_node("Identity", ["zeros"], [name]) for name in ("states", "encoding")]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [zeros])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (tmp_path / "m" / "model.onnx").write_bytes(model.SerializeToString())
    _refused(tmp_path / "m", ["film", "room"], r"encoding as float32 of shape \(1, \d+\), not float32 of shape \(2, ")


@pytest.mark.parametrize("fact", ["width", "positions"])
def test_infinite_facts_are_refused(fact: str, bert: Pair, tmp_path: Path) -> None:
    bert[1].save(tmp_path / "m")
    manifest = json.loads((tmp_path / "m" / "transferlm.json").read_text())
    manifest["model"]["compiled"][fact] = float("inf")
    (tmp_path / "m" / "transferlm.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelFolderError, match="the compiled model is not whole"):
        lifecycle.load(tmp_path / "m")


def _told_anew(folder: Path) -> None:
    """Let the manifest name the file that stands there now, as whoever forges a folder would."""
    manifest = json.loads((folder / "transferlm.json").read_text())
    own = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    manifest["model"]["compiled"]["graphs"]["fp32"] = own
    (folder / "transferlm.json").write_text(json.dumps(manifest))


def _refused(folder: Path, texts: list[str], said: str) -> None:
    """A forged folder opens, and its graph is refused in one line when it first runs."""
    _told_anew(folder)
    opened = lifecycle.load(folder)
    assert isinstance(opened, Compiled)
    with pytest.raises(ModelFolderError, match=said) as error:
        opened.encode(texts)
    assert "\n" not in str(error.value)


def test_what_it_reads_of_long_texts_can_be_checked(bert: Pair, run: Any, tmp_path: Path) -> None:
    bert[1].save(tmp_path / "m")
    rows = [f"{LONG} {number},{'good' if number % 2 else 'bad'}" for number in range(12)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    told = run("check", tmp_path / "data.csv", "--from", tmp_path / "m")
    assert told.code == 0, told.err
    assert "40 tokens" in told.out


def test_what_cannot_be_compiled_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"tfidf is not.*masked_transformer"):
        lifecycle.compiled(TfIdf())
    write("mpnet", tmp_path)
    with pytest.raises(UnsupportedError, match="mpnet with these layers can't be compiled"):
        lifecycle.compiled(lifecycle.load(tmp_path))
    with pytest.raises(DataError, match="made from another by `transferlm export --to onnx`"):
        Compiled().encode(["text"])


def test_a_precision_that_was_not_written_and_a_length_beyond_the_places_are_refused(
    bert: Pair,
) -> None:
    made = lifecycle.compiled(bert[0])
    assert isinstance(made, Compiled)
    with pytest.raises(SettingError, match="'int8': this model was compiled for fp32"):
        made.encode_quickly(["film"], "int8")
    with pytest.raises(SettingError, match="max_length 41: the weights know 40 positions"):
        made.adjust(max_length=41)
    made.adjust(max_length=5)
    assert made.encode([LONG]).read[0] < 0.2


@pytest.mark.parametrize(("package", "told"), [("onnx", "written by the package onnx"), ("onnxruntime", "run by")])
def test_a_missing_extra_is_named(package: str, told: str, bert: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    made = lifecycle.compiled(bert[0])
    assert isinstance(made, Compiled)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingError, match=rf"{told}.*: pip install 'transferlm\[onnx\]'"):
        lifecycle.compiled(bert[0]) if package == "onnx" else made.encode(["film"])


def test_exported_from_the_command_line(bert: Pair, run: Any, tmp_path: Path) -> None:
    body, source, out = bert[0], tmp_path / "source", tmp_path / "out"
    assert isinstance(body, Model)
    body.save(source)
    told = run("export", str(source), str(out), "--to", "onnx", "--int8", "--json")
    assert told.code == 0, told.err
    sizes = json.loads(told.out)["bytes"]
    assert sizes == {name: (out / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")}
    opened = lifecycle.load(out)
    assert isinstance(opened, Compiled)
    assert opened.fingerprint == bert[1].fingerprint
    assert run("export", str(source), str(source), "--to", "onnx").code == 1
    assert run("export", str(source), str(out), "--int8").code == 2
