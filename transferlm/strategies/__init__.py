"""How a model becomes a task model, one file a strategy, imported only when asked for."""

from typing import Any

from transferlm import catalog


def __getattr__(name: str) -> Any:
    for entry in catalog.entries("strategies").values():
        if entry.class_name == name:
            return entry.load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(entry.class_name for entry in catalog.entries("strategies").values())
