"""Text in: corpora that stream, readers of tables, tokenizers, duplicates, splits and checks. Imported when
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transferlm.text.checks import check
    from transferlm.text.corpus import Corpus
    from transferlm.text.readers import read_rows
    from transferlm.text.splits import split

__all__ = ["Corpus", "check", "read_rows", "split"]

_FILES = {"Corpus": "corpus", "check": "checks", "read_rows": "readers", "split": "splits"}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
