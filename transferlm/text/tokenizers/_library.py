"""The `tokenizers` library's own files: opened with one clear error for each way that they can be broken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Library

from transferlm.errors import ModelFolderError

__all__ = ["CONFIGURATION", "VOCABULARY", "numbered_anew", "read_configuration", "read_library", "rebuilt"]

VOCABULARY = "tokenizer.json"
CONFIGURATION = "tokenizer_config.json"


def read_library(path: Path) -> Library:
    """Open a `tokenizer.json`.

    Raises:
        ModelFolderError: It is missing or damaged.
    """
    if not path.is_file():
        raise ModelFolderError(f"{path.parent}: {path.name} is missing, the tokenizer is not whole")
    try:
        return Library.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001 - the library raises plain Exception
        raise ModelFolderError(f"{path} can't be read ({str(error)[:200]}): copy it again") from None


def read_configuration(folder: Path, name: str = CONFIGURATION) -> dict[str, Any]:
    """A JSON object from a tokenizer's folder; empty where the file is not there.

    Raises:
        ModelFolderError: It is no JSON object.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFolderError(f"{path} is no JSON ({error}): copy it again") from None
    if not isinstance(content, dict):
        raise ModelFolderError(f"{path} holds no JSON object: copy it again")
    return content


def rebuilt(library: Library, **parts: Any) -> Library:
    """The library's tokenizer with parts of its JSON form replaced."""
    return Library.from_str(json.dumps({**json.loads(library.to_str()), **parts}))


def numbered_anew(library: Library, first: Sequence[str], last: str) -> Library:
    """The same vocabulary with these tokens as numbers 0, 1, ... and one more token behind all others."""
    model = json.loads(library.to_str())["model"]
    others = sorted(set(model["vocab"]) - set(first), key=model["vocab"].__getitem__)
    model["vocab"] = {token: i for i, token in enumerate([*first, *others, last])}
    return rebuilt(library, model=model)
