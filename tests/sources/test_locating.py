"""A source is a path, a fetched name or a hub name; only the last may ask the network, and then politely."""

from __future__ import annotations

import huggingface_hub
import pytest
from tiny_packages import pinned, source, wheel

from transferlm import sources
from transferlm.errors import SourceError

NAME = "tiny_pack-1.0-py3-none-any.whl"


def test_a_path_is_itself(tmp_path):
    (tmp_path / "vectors.txt").write_text("")
    assert sources.locate(tmp_path) == tmp_path
    assert sources.locate(str(tmp_path / "vectors.txt")) == tmp_path / "vectors.txt"


def test_a_known_name_is_fetched_only_when_asked(register, configure, tmp_path):
    content = wheel({"a": b"x"})
    register(source("tiny", pinned(NAME, content), {"a": "a"}))
    (tmp_path / "tiny-pack").mkdir()
    (tmp_path / "tiny-pack" / NAME).write_bytes(content)
    configure(str(tmp_path))
    with pytest.raises(SourceError, match="run `transferlm fetch tiny`"):
        sources.locate("tiny")
    folder = sources.locate("tiny", fetch=True)
    assert sources.locate("tiny") == folder
    assert (folder / "a").read_bytes() == b"x"


def test_an_unknown_name_suggests_the_near_one():
    with pytest.raises(SourceError, match="did you mean 'minilm'"):
        sources.locate("mini-lm")


@pytest.mark.parametrize("path", ["../nowhere", "runs/models/nowhere", "/nowhere"])
def test_a_path_that_is_not_there_never_reaches_the_hub(monkeypatch, path):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(SourceError, match="does not exist"):
        sources.locate(path)


def test_a_mistyped_folder_never_reaches_the_hub(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(SourceError, match="runs/bset does not exist"):
        sources.locate("runs/bset")


@pytest.mark.parametrize("offline", ["", "1"])
def test_a_hub_name_brings_only_safe_files(monkeypatch, tmp_path, offline):
    asked = {}

    def snapshot(name, **settings):
        asked.update(settings, name=name)
        (tmp_path / "model.safetensors").write_bytes(b"")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    assert sources.locate("someone/model") == tmp_path
    assert asked["name"] == "someone/model"
    assert asked["local_files_only"] is bool(offline)
    assert not [pattern for pattern in asked["allow_patterns"] if pattern.endswith((".bin", ".pt", ".py", "*"))]


def test_a_hub_model_without_safetensors_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    with pytest.raises(SourceError, match="has no safetensors weights"):
        sources.locate("someone/model")


def test_offline_the_hub_name_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set and the hub's cache lacks it") as error:
        sources.locate("someone-who-is-not/there")
    assert "\n" not in str(error.value)
