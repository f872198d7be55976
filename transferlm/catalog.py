"""The folder is the registry: every file of a plug-in folder is one method, found without importing it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from transferlm.errors import SettingError, alternatives

__all__ = ["KINDS", "Entry", "HyperParameter", "entries", "entry", "find", "lazily", "name_of", "values_of"]

KINDS = {
    "models": "models",
    "tokenizers": "text/tokenizers",
    "tasks": "tasks",
    "updates": "updates",
    "strategies": "strategies",
    "combinations": "combinations",
}
"""Kind of plug-in -> its folder in the package."""


@dataclass(frozen=True)
class HyperParameter:
    """One field of a plug-in's class, as its source states it.

    Attributes:
        name: The field's name (`learning_rate`).
        annotation: Its type as written (`float | None`).
        default: Its default value.
        help: The string literal that follows it.
    """

    name: str
    annotation: str
    default: Any
    help: str

    @property
    def choices(self) -> str:
        """The words that a `Literal` allows, as `a|b|c`; empty for other types."""
        found = [m for m in _members(ast.parse(self.annotation, mode="eval").body) if isinstance(m, ast.Subscript)]
        words = [ast.literal_eval(m.slice) for m in found if isinstance(m.value, ast.Name) and m.value.id == "Literal"]
        return "|".join(str(w) for word in words for w in (word if isinstance(word, tuple) else (word,)))

    def parse(self, text: str) -> Any:
        """Turn a command-line word into this hyper-parameter's type.

        Raises:
            SettingError: The word is none of the values that the annotation allows.
        """
        node = ast.parse(self.annotation, mode="eval").body
        for kind in _members(node):
            value = _read_as(kind, text)
            if value is not _MISFIT:
                return value
        raise SettingError(f"{self.name} {text!r} is none of: {self.choices or self.annotation}")


@dataclass(frozen=True)
class Entry:
    """One plug-in: what `transferlm list` shows and where to import it from.

    Attributes:
        kind: A key of `KINDS`.
        name: The file's name without `.py`: its name in commands, saved models and docs.
        class_name: The one public class in the file.
        summary: First line of the class's docstring.
        hyper_parameters: Its dataclass fields, in order.
    """

    kind: str
    name: str
    class_name: str
    summary: str
    hyper_parameters: tuple[HyperParameter, ...]

    def load(self) -> type[Any]:
        """Import the file (only now) and return its class."""
        module = f"transferlm.{KINDS[self.kind].replace('/', '.')}.{self.name}"
        found: type[Any] = getattr(importlib.import_module(module), self.class_name)
        return found

    def hyper_parameter(self, name: str) -> HyperParameter:
        """The field called `name`, or an error that names those there are."""
        for field in self.hyper_parameters:
            if field.name == name:
                return field
        names = [field.name for field in self.hyper_parameters]
        raise SettingError(f"{self.name} has no hyper-parameter {name!r}: {alternatives(name, names)}")


@cache
def entries(kind: str) -> dict[str, Entry]:
    """All plug-ins of a kind by name, in alphabetical order, found by reading their source."""
    folder = Path(__file__).parent / KINDS[kind]
    files = sorted(f for f in folder.glob("*.py") if f.stem != "base" and not f.stem.startswith("_"))
    return {file.stem: _read(kind, file) for file in files}


def entry(kind: str, name: str) -> Entry:
    """The plug-in called `name`.

    Raises:
        SettingError: There is none by that name; the message lists the names.
    """
    known = entries(kind)
    if name not in known:
        raise SettingError(f"no {_SINGULAR[kind]} is called {name!r}: {alternatives(name, known)}")
    return known[name]


def find(kind: str, name: str) -> type[Any]:
    """Import and return the class of the plug-in called `name`."""
    return entry(kind, name).load()


def name_of(plug_in: object) -> str:
    """The catalog's name for an instance or a class: the file it was written in."""
    cls = plug_in if isinstance(plug_in, type) else type(plug_in)
    return cls.__module__.rpartition(".")[2]


_SINGULAR = {
    "models": "model",
    "tokenizers": "tokenizer",
    "tasks": "task",
    "updates": "update",
    "strategies": "strategy",
    "combinations": "combination",
}
_MISFIT = object()


def _read(kind: str, file: Path) -> Entry:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
    if len(classes) != 1:
        raise SettingError(f"{file}: a plug-in file holds one public class, this one {len(classes)}")
    summary = (ast.get_docstring(classes[0]) or "").split("\n")[0]
    return Entry(kind, file.stem, classes[0].name, summary, tuple(_all_fields(tree, classes[0]).values()))


def _all_fields(tree: ast.Module, node: ast.ClassDef) -> dict[str, HyperParameter]:
    """The fields of a class by name, those first that it has from a base in a private file, as a dataclass has them."""
    fields: dict[str, HyperParameter] = {}
    for base in node.bases:
        home = _private_home(tree, base)
        if home is not None:
            module = ast.parse(home.read_text(encoding="utf-8"))
            inherited = [n for n in module.body if isinstance(n, ast.ClassDef) and n.name == ast.unparse(base)]
            fields |= _all_fields(module, inherited[0])
    return fields | {field.name: field for field in _fields(node)}


def _private_home(tree: ast.Module, base: ast.expr) -> Path | None:
    """The file `_private.py` of this package that a name was imported from, if it was."""
    for statement in tree.body:
        if not (isinstance(statement, ast.ImportFrom) and statement.module and isinstance(base, ast.Name)):
            continue
        parts = statement.module.split(".")
        if parts[-1].startswith("_") and base.id in {alias.asname or alias.name for alias in statement.names}:
            return Path(__file__).parent.joinpath(*parts[1:]).with_suffix(".py")
    return None


def _fields(node: ast.ClassDef) -> list[HyperParameter]:
    fields = []
    for statement, following in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        annotation = ast.unparse(statement.annotation)
        if statement.target.id.startswith("_") or annotation.startswith("ClassVar") or statement.value is None:
            continue
        try:
            default = ast.literal_eval(statement.value)
        except ValueError:
            continue  # state, not a hyper-parameter: `field(init=False, ...)`
        documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        help_text = str(following.value.value) if documented else ""  # type: ignore[attr-defined]
        fields.append(HyperParameter(statement.target.id, annotation, default, " ".join(help_text.split())))
    return fields


def _members(node: ast.expr) -> list[ast.expr]:
    """The alternatives of `A | B | C`, most particular first (text accepts everything, so it comes last)."""
    if isinstance(node, ast.BinOp):
        both = _members(node.left) + _members(node.right)
        return sorted(both, key=lambda kind: isinstance(kind, ast.Name) and kind.id == "str")
    return [node]


def _read_as(kind: ast.expr, text: str) -> Any:
    match kind:
        case ast.Constant(value=None):
            return None if text.lower() == "none" else _MISFIT
        case ast.Name(id="bool"):
            return {"true": True, "false": False}.get(text.lower(), _MISFIT)
        case ast.Name(id="int" | "float" as name):
            try:
                return {"int": int, "float": float}[name](text)
            except ValueError:
                return _MISFIT
        case ast.Name(id="str"):
            return text
        case ast.Subscript(value=ast.Name(id="Literal")):
            choices = ast.literal_eval(kind.slice)
            choices = choices if isinstance(choices, tuple) else (choices,)
            return next((choice for choice in choices if str(choice) == text), _MISFIT)
        case ast.Subscript(value=ast.Name(id="dict")):
            return _read_pairs(text)
    return _MISFIT


def _read_pairs(text: str) -> Any:
    """`spam=3,ham=1` as {"spam": 3.0, "ham": 1.0}: the one compound value, for weights by name."""
    try:
        return {name: float(weight) for name, weight in (pair.rsplit("=", 1) for pair in text.split(","))}
    except ValueError:
        return _MISFIT


def values_of(plug_in: object) -> dict[str, Any]:
    """An instance's hyper-parameters: field name -> value, as given to its constructor."""
    package, _, name = type(plug_in).__module__.rpartition(".")
    kind = next(kind for kind, folder in KINDS.items() if package == f"transferlm.{folder.replace('/', '.')}")
    return {field.name: getattr(plug_in, field.name) for field in entry(kind, name).hyper_parameters}


def lazily(kind: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A plug-in package's `__getattr__` and `__dir__`: each class is imported when it is first asked for."""

    def attribute(name: str) -> Any:
        for plug_in in entries(kind).values():
            if plug_in.class_name == name:
                return plug_in.load()
        raise AttributeError(f"there is no {name!r} among the {kind}: {alternatives(name, names())}")

    def names() -> list[str]:
        return sorted(plug_in.class_name for plug_in in entries(kind).values())

    return attribute, names
