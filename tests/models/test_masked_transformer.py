"""The BERT family against `transformers` itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from transferlm.errors import ModelFolderError, SettingError
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.storage import open_folder

TEXTS = ["the film was good and warm", "the room", "bad"]


def opened(folder: Path, **settings: Any) -> MaskedTransformer:
    model = MaskedTransformer.read(open_folder(folder))
    for name, value in settings.items():
        setattr(model, name, value)
    return model


def by_hand(folder: Path, pooling: str) -> np.ndarray:
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state
    if pooling == "cls":
        return states[:, 0].numpy()
    mask = tokens["attention_mask"][..., None]
    return ((states * mask).sum(1) / mask.sum(1)).numpy()


@pytest.fixture
def folder(bert_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(bert_folder, tmp_path / "bert"))


def changed(folder: Path, name: str, **settings: Any) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **settings}))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_encoding_is_what_transformers_computes(pooling: str, bert_folder: Path, in_fp32: None) -> None:
    features = opened(bert_folder, pooling=pooling).encode(TEXTS).features
    assert np.allclose(features, by_hand(bert_folder, pooling), atol=1e-5)
    assert features.dtype == np.float32


def test_an_encoding_does_not_depend_on_its_company(bert_folder: Path, review_texts: list[str], in_fp32: None) -> None:
    model = opened(bert_folder)
    texts = [*TEXTS, *review_texts[:20]]
    together = model.encode(texts).features
    assert np.allclose(together, model.encode(texts[::-1]).features[::-1], atol=1e-6)
    assert np.allclose(together[:1], model.encode(texts[:1]).features, atol=1e-5)


def test_side_files_of_sentence_encoders_are_heeded(folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    model = opened(folder)
    assert (model.pooling, model.max_length) == ("cls", 20)


def test_the_maximum_length_is_never_over_the_positions_there_are(bert_folder: Path) -> None:
    assert opened(bert_folder).max_length == 64


def test_a_longer_text_is_cut_and_the_share_read_told(bert_folder: Path) -> None:
    model = opened(bert_folder, max_length=5)
    read = model.encode(["the film was good and warm", "the film"]).read
    assert read.tolist() == [len("the film was") / 26, 1.0]


def test_the_untrained_twin_has_the_same_shape_and_other_weights(bert_folder: Path) -> None:
    model = opened(bert_folder)
    twin = model.untrained(1)
    assert not twin.trained
    assert model.trained
    assert twin.hyper_parameters() == model.hyper_parameters()
    assert {n: p.shape for n, p in twin.module.named_parameters()} == {
        n: p.shape for n, p in model.module.named_parameters()
    }
    assert not np.allclose(twin.encode(TEXTS).features, model.encode(TEXTS).features, atol=1e-2)
    assert twin.fingerprint == model.untrained(1).fingerprint != model.untrained(2).fingerprint


def test_an_untrained_one_says_so_after_opening(bert_folder: Path, tmp_path: Path) -> None:
    opened(bert_folder).untrained(1).save(tmp_path / "m")
    assert not opened(tmp_path / "m").trained


def test_what_is_saved_opens_in_transformers(bert_folder: Path, tmp_path: Path, in_fp32: None) -> None:
    model = opened(bert_folder)
    model.save(tmp_path / "m")
    assert np.allclose(by_hand(tmp_path / "m", "mean"), model.encode(TEXTS).features, atol=1e-5)
    again = opened(tmp_path / "m")
    assert again.fingerprint == model.fingerprint
    assert np.array_equal(again.encode(TEXTS).features, model.encode(TEXTS).features)
    assert not list((tmp_path / "m").glob("*.bin"))


def test_hyper_parameters_are_saved(bert_folder: Path, tmp_path: Path) -> None:
    model = opened(bert_folder, pooling="cls", max_length=9, masking="whole_word")
    model.save(tmp_path / "m")
    found = opened(tmp_path / "m").hyper_parameters()
    assert found == model.hyper_parameters()
    named = ("shape", "layers", "heads", "width", "pooling", "max_length", "masking")
    assert [found[name] for name in named] == ["opened", 2, 2, 32, "cls", 9, "whole_word"]


def test_layer_groups_go_from_the_input_up(bert_folder: Path) -> None:
    model = opened(bert_folder)
    groups = model.layer_groups()
    assert len(groups) == 3
    names = {id(p): name for name, p in model.module.named_parameters()}
    assert all(names[id(p)].startswith("embeddings.") for p in groups[0])
    assert all(names[id(p)].startswith("encoder.layer.1.") for p in groups[2])
    assert sum(len(group) for group in groups) == len({id(p) for group in groups for p in group})


def test_the_pooler_of_a_folder_is_not_carried_along(bert_folder: Path) -> None:
    assert not [name for name, _ in opened(bert_folder).module.named_parameters() if "pooler" in name]


# ------------------------------------------------------------------ folders that are refused


def test_remote_code_is_refused(folder: Path) -> None:
    changed(folder, "config.json", auto_map={"AutoModel": "evil.Model"})
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelFolderError, match="asks to run code of its own, which is never done"):
        opened(folder)


def test_a_tokenizer_larger_than_the_table_is_refused(folder: Path) -> None:
    with (folder / "vocab.txt").open("a") as file:
        file.write("more\nwords\n")
    with pytest.raises(ModelFolderError, match="they don't belong together"):
        opened(folder)


def test_only_a_pickle_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelFolderError, match=r"only a pickle \(pytorch_model\.bin\)"):
        opened(folder)


def _wrong_shape(folder: Path) -> None:
    changed(folder, "config.json", intermediate_size=48)


def _missing_tensor(folder: Path) -> None:
    changed(folder, "config.json", num_hidden_layers=3)


def _truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _no_tokenizer(folder: Path) -> None:
    (folder / "vocab.txt").unlink()


def _unknown_heads(folder: Path) -> None:
    changed(folder, "config.json", num_attention_heads=5)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_wrong_shape, "has another shape"),
        (_missing_tensor, "is missing"),
        (_truncated, "bert"),
        (_no_weights, r"model\.safetensors is missing"),
        (_no_tokenizer, r"neither tokenizer\.json nor vocab\.txt"),
        (_unknown_heads, "attention heads"),
    ],
)
def test_damage_is_one_clear_line(damage: Callable[[Path], None], told: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(ModelFolderError, match=told) as error:
        opened(folder)
    assert "\n" not in str(error.value)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingError, match="pooling 'max': choose mean, cls"):
        MaskedTransformer(pooling="max")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="max_length 2"):
        MaskedTransformer(max_length=2)
    for name, value in {
        "shape": "albert",
        "masking": "words",
        "layers": 0,
        "dropout": 1.0,
        "learning_rate": 0.0,
    }.items():
        with pytest.raises(SettingError, match=name):
            MaskedTransformer(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="width 30: give a multiple of 4"):
        MaskedTransformer(width=30)


def test_an_unknown_hyper_parameter_is_named(bert_folder: Path, tmp_path: Path) -> None:
    opened(bert_folder).save(tmp_path / "m")
    manifest = tmp_path / "m" / "transferlm.json"
    manifest.write_text(manifest.read_text().replace('"pooling"', '"pouring"'))
    with pytest.raises(ModelFolderError, match="has no hyper-parameter 'pouring'"):
        opened(tmp_path / "m")


def test_a_maximum_length_over_the_positions_is_one_clear_error(bert_folder: Path) -> None:
    import transferlm as tl
    from transferlm.errors import TransferLMError

    def encoded() -> None:
        model = tl.load(bert_folder, max_length=500)
        model.encode(["good " * 400])  # type: ignore[union-attr]

    with pytest.raises(TransferLMError, match="64"):
        encoded()
