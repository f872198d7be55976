"""Reading named members out of a wheel or source archive; names, links and sizes checked as if hostile."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Protocol

from transferlm.errors import SourceError

__all__ = ["extract", "join"]

LARGEST = 2 * 1024**3
"""Bytes that an archive may unpack to: four times the largest source."""

_CHUNK = 1 << 20


class _Reader(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def extract(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Copy `members` (path in the archive -> path in `folder`) out of a zip or a compressed tar archive.

    Nothing else is unpacked, and nothing in the archive is run.

    Raises:
        SourceError: It is no archive or damaged; a member is missing or a link; a name climbs out; it unpacks
            to more than `LARGEST` bytes.
    """
    missing = set(members)
    try:
        for name, content in _wanted(archive, members):
            target = folder / members[name]
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("wb") as file:
                _copy(content, file, f"{archive.name}: {name}")
            missing.discard(name)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise SourceError(f"{archive.name} can't be unpacked ({error}): it is damaged or no archive") from None
    if missing:
        raise SourceError(f"{archive.name} has no member {sorted(missing)[0]}")


def join(archives: list[Path], parts: tuple[str, ...], whole: Path) -> None:
    """Take one part out of each archive and write them, one after the other, as the file `whole`."""
    with whole.open("wb") as file:
        for archive, part in zip(archives, parts, strict=True):
            piece = whole.with_suffix(".piece")
            extract(archive, {part: piece.name}, whole.parent)
            with piece.open("rb") as content:
                shutil.copyfileobj(content, file, _CHUNK)
            piece.unlink()


def _wanted(archive: Path, members: Mapping[str, str]) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        return _from_zip(archive, members)
    return _from_tar(archive, members)


def _from_zip(archive: Path, members: Mapping[str, str]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as unpacked:
        total = 0
        for member in unpacked.infolist():
            _refuse_climbing(archive, member.filename)
            if member.filename not in members:
                continue
            total += member.file_size
            _refuse_large(archive, total)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir() or kind not in (0, stat.S_IFREG):
                raise SourceError(f"{archive.name}: {member.filename} is no plain file: refused")
            yield member.filename, unpacked.open(member)


def _from_tar(archive: Path, members: Mapping[str, str]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r|*") as unpacked:
        for member in unpacked:
            _refuse_climbing(archive, member.name)
            _refuse_large(archive, member.offset_data + member.size)
            if member.name not in members:
                continue
            content = unpacked.extractfile(member) if member.isreg() else None
            if content is None:
                raise SourceError(f"{archive.name}: {member.name} is no plain file: refused")
            yield member.name, content


def _refuse_climbing(archive: Path, name: str) -> None:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise SourceError(f"{archive.name} holds the path {name!r}, which leads out of it: refused")


def _refuse_large(archive: Path, size: int) -> None:
    if size > LARGEST:
        raise SourceError(f"{archive.name} unpacks to over {LARGEST:,} bytes: refused")


def _copy(content: _Reader, file: IO[bytes], name: str) -> None:
    """Copy, counting what really comes: a header may understate it."""
    copied = 0
    while chunk := content.read(_CHUNK):
        copied += len(chunk)
        if copied > LARGEST:
            raise SourceError(f"{name} unpacks to over {LARGEST:,} bytes: refused")
        file.write(chunk)
