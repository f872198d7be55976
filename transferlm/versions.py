"""Versions of a model folder: what a newer model replaced is kept beside it, so that going back is one command.

They lie in `.NAME.versions` beside the folder NAME, numbered in the order in which they were replaced. Every step is
"link, exchange, remove": the files of a version are hard-linked, not copied, the new folder takes the old one's place
in one step, and what is then superfluous is removed last. So a kill at any moment leaves a whole model in place and
every version whole; what it may leave besides is a version that is the model itself, which the next step removes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transferlm import launched
from transferlm.errors import ModelFolderError, SettingError
from transferlm.storage import MANIFEST, open_folder, put_in_place

__all__ = ["KEEP", "Version", "replacing", "rollback", "versions_of"]

KEEP = 3
"""Versions kept by default: enough to go back past a bad week, at three times the model's size on disk."""


@dataclass(frozen=True)
class Version:
    """A model that was replaced.

    Attributes:
        number: Its number; higher ones were replaced later.
        path: Its folder, which any command opens.
        step: What made it, and by which method.
        time: When it was made, in UTC.
        bytes: What keeping it takes on disk.
    """

    number: int
    path: Path
    step: str
    time: str
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {**asdict(self), "path": str(self.path)}


def versions_of(folder: str | Path) -> list[Version]:
    """The versions kept of a model folder, the one replaced last at the end; none is no error."""
    target = Path(folder).absolute()
    return [_told(path) for path in _numbered(target) if not _is_the_model(path, target)]


@contextmanager
def replacing(folder: str | Path, keep: int = KEEP) -> Iterator[None]:
    """Within the block a model is saved to `folder`; what stood there is a version by then. One process at a time.

    Args:
        folder: Where; a folder that is not there yet has no versions.
        keep: Most versions kept; the oldest go. 0 keeps none.

    Raises:
        SettingError: `keep` is below 0.
    """
    if keep < 0:
        raise SettingError(f"keep {keep}: give the number of versions to keep, 0 for none")
    target = Path(folder).absolute()
    if not (target / MANIFEST).is_file() or not launched.main_process():
        yield
        return
    with _locked(target):
        added = _keep(target) if keep else None
        try:
            yield
        except BaseException:
            if added is not None:
                _remove(added)
            raise
        kept = _numbered(target)
        for path in kept[: max(0, len(kept) - keep)]:
            _remove(path)


def rollback(folder: str | Path, to: int | None = None) -> Version:
    """Put an earlier version in the place of a model; what it replaces becomes a version in turn.

    Args:
        folder: The model folder.
        to: Number of the version; none takes the one that was replaced last.

    Returns:
        The version that stands in `folder` now, under the number that it had.

    Raises:
        ModelFolderError: No version is kept, or none of that number.
    """
    target = Path(folder).absolute()
    if not _home(target).is_dir():
        raise ModelFolderError(f"{folder}: no earlier version is kept of it")
    with _locked(target):
        found = versions_of(target)
        if not found:
            raise ModelFolderError(f"{folder}: no earlier version is kept of it")
        numbers = {version.number: version for version in found}
        chosen = numbers.get(found[-1].number if to is None else to)
        if chosen is None:
            there = ", ".join(map(str, numbers))
            raise ModelFolderError(f"{folder}: no version {to} is kept; there are: {there}")
        if target.exists():
            _keep(target)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
        try:
            put_in_place(_linked(chosen.path, scratch / "model"), target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        _remove(chosen.path)
    return chosen


def _home(target: Path) -> Path:
    return target.with_name(f".{target.name}.versions")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """One process at a time; what a killed one left is removed first."""
    from filelock import FileLock

    home = _home(target)
    home.mkdir(exist_ok=True)
    with FileLock(home / "lock"):
        for left in home.glob("*.partial"):
            shutil.rmtree(left, ignore_errors=True)
        for path in _numbered(target):
            if _is_the_model(path, target):
                _remove(path)
        yield


def _numbered(target: Path) -> list[Path]:
    """The folders of all versions, the oldest first."""
    home = _home(target)
    found = [path for path in home.iterdir() if path.name.isdigit()] if home.is_dir() else []
    return sorted(found, key=lambda path: int(path.name))


def _keep(target: Path) -> Path:
    """Make a version of the model that stands in its place."""
    home, kept = _home(target), _numbered(target)
    number = int(kept[-1].name) + 1 if kept else 1
    partial = _linked(target, home / f"{number}.partial")
    return partial.rename(home / str(number))


def _linked(source: Path, target: Path) -> Path:
    """A folder with the same files, copied only where the disk knows no hard links."""
    shutil.copytree(source, target, symlinks=True, copy_function=_link)
    return target


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _remove(path: Path) -> None:
    """Remove a version in one step: a kill leaves it whole, or under a name that counts for nothing."""
    gone = path.rename(path.with_name(f"{path.name}-removed.partial"))
    shutil.rmtree(gone, ignore_errors=True)


def _is_the_model(path: Path, target: Path) -> bool:
    """Whether a version's files are those of the model itself."""
    one, other = path / MANIFEST, target / MANIFEST
    return one.is_file() and other.is_file() and one.samefile(other)


def _told(path: Path) -> Version:
    opened = open_folder(path)
    lineage, model = opened.lineage(), opened.said("model")
    step = lineage.step or ("fitted" if model.get("trained", True) else "untrained")
    method = lineage.method.get("name") or model.get("family")
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Version(int(path.name), path, f"{step} by {method}" if method else step, lineage.time, size)
