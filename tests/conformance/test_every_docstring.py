"""Every public module, class, function and method of the package says what it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import transferlm

PACKAGE = Path(transferlm.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
CALLED_BY_CLICK = {"cli/plugs.py", "cli/shared.py", "cli/__init__.py", "cli/compare_command.py"}
"""Files whose classes answer to click; their methods have click's names and click's meaning."""


def undocumented(node: ast.AST, path: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if child.name.startswith("_"):
            continue
        overload = any(ast.unparse(d).endswith(".setter") or ast.unparse(d) == "overload" for d in child.decorator_list)
        if not ast.get_docstring(child) and not overload:
            yield f"{path}.{child.name}"
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, f"{path}.{child.name}")


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_everything_public_is_documented(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    name = file.relative_to(PACKAGE).as_posix()
    first = (ast.get_docstring(tree) or "").split("\n")[0]
    if tree.body:
        assert first, f"{name} does not say its reason to exist"
    if name not in CALLED_BY_CLICK:
        assert list(undocumented(tree, name)) == []
