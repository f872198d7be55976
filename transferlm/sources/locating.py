"""What a person means by a source: a path, a fetched name, or a model on the Hugging Face hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from transferlm.errors import SourceError, alternatives
from transferlm.sources import cache
from transferlm.sources.table import SOURCES

__all__ = ["locate"]

_KEPT = ["*.safetensors", "*.json", "*.txt", "*.model"]
"""What is taken from the hub: weights, configuration, vocabularies; never a pickle or a Python file."""


def locate(source: str | Path, *, fetch: bool = False) -> Path:
    """The existing file or folder that `source` stands for.

    The network is asked only for a hub name, and for a known name with `fetch`.

    Args:
        source: A path; a name from `SOURCES`; or `organisation/model` on the hub, whose files come from the
            hub's own cache or are downloaded into it (with `HF_HUB_OFFLINE=1` from the cache only).
        fetch: Fetch a known name that isn't in the cache yet, rather than refuse.

    Raises:
        SourceError: It is none of these, not fetched yet, or the hub can't give it.
    """
    if Path(source).exists():
        return Path(source)
    name = str(source)
    if name in SOURCES:
        return _fetched(name, fetch)
    if isinstance(source, str) and _is_hub_name(name):
        return _snapshot(name)
    if "/" in name or os.sep in name:
        raise SourceError(f"{name} does not exist")
    raise SourceError(f"{name!r} is no file, no folder and no source: {alternatives(name, SOURCES)}")


def _fetched(name: str, fetch: bool) -> Path:
    if cache.is_fetched(name):
        return cache.folder_of(SOURCES[name])
    if fetch:
        return cache.fetch(name)
    raise SourceError(f"{name} is not fetched yet: run `transferlm fetch {name}`")


def _is_hub_name(name: str) -> bool:
    """Whether `name` reads as `organisation/model`, and not as a path into a folder that is here."""
    parts = re.fullmatch(r"([\w-][\w.-]*)/([\w-][\w.-]*)", name)
    return parts is not None and not Path(parts[1]).exists()


def _snapshot(name: str) -> Path:
    """The folder in the hub's cache with a model's safe files."""
    from huggingface_hub import snapshot_download

    offline = os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")
    try:
        folder = Path(snapshot_download(name, allow_patterns=_KEPT, local_files_only=offline))
    except Exception as error:  # noqa: BLE001 - the hub's client raises its own, httpx's and the system's errors
        first = str(error).strip().split("\n")[0] or type(error).__name__
        why = "HF_HUB_OFFLINE is set and the hub's cache lacks it" if offline else first
        raise SourceError(
            f"{name} is no existing path and could not be had from the hub ({why}): "
            "give a folder, or a name of `transferlm list sources`"
        ) from None
    if not any(folder.rglob("*.safetensors")):
        raise SourceError(
            f"{name} has no safetensors weights on the hub, and a pickle is never read: "
            "convert it with its own library and give the folder"
        )
    return folder
