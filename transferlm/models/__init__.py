"""Language models, one file a family; `transferlm.models.Recurrent` imports its file only when asked for."""

from typing import Any

from transferlm import catalog


def __getattr__(name: str) -> Any:
    for entry in catalog.entries("models").values():
        if entry.class_name == name:
            return entry.load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(entry.class_name for entry in catalog.entries("models").values())
