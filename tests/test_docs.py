"""What the docs show works: every Python block runs, every command is named, every docstring example is true."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import transferlm
from transferlm.cli import COMMANDS

ROOT = Path(transferlm.__file__).parent.parent
DOCS = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
MODULES = [
    module.name
    for module in pkgutil.walk_packages(transferlm.__path__, "transferlm.")
    if not module.name.endswith("__main__")
]


def fetched(name: str, content: Path) -> None:
    """Lay `content` into the cache as `fetch` would have laid the source."""
    from transferlm.sources import SOURCES, cache

    source = SOURCES[name]
    folder = cache.folder_of(source)
    shutil.copytree(content, folder)
    (folder / cache.RECORD).write_text(json.dumps(cache._record(source, folder)), encoding="utf-8")
    assert cache.is_whole(source, folder)


@pytest.fixture
def desk(
    tmp_path: Path, bert_folder: Path, write_review_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder as a reader has it: `reviews.csv`, unlabelled text, and `minilm` already fetched (a tiny stand-in)."""
    fetched("minilm", bert_folder)
    folder = tmp_path / "desk"
    folder.mkdir()
    write_review_file(folder / "reviews.csv", 80)
    texts = [line.split('"')[1] for line in (folder / "reviews.csv").read_text().splitlines()[1:]]
    (folder / "unlabelled.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_runs(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert page.is_file(), f"{page.name} is missing"
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text[: block.start(1)].count("\n")
        code = compile("\n" * line + block[1], str(page), "exec")
        exec(code, namespace)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_names_every_command(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).is_file() else ""
    assert [command for command in COMMANDS if f"transferlm {command}" not in text] == []


def test_the_readme_shows_python() -> None:
    assert BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8")), "README.md has no Python example"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    assert page.is_file(), f"{page.name} is missing"
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target} is not there"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0
