"""Files and folders that are replaced in one step: a kill at any moment leaves the old or the new, never half."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["exchange", "replace_file", "sync_folder"]

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Linux: relative paths start at the working folder; renameat2(2) swaps both names."""
_RENAME_SWAP = 2
"""macOS: the same for renamex_np(2)."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole, through a hidden one beside it; it lasts through a power cut when this returns.

    Raises:
        OSError: It can't be written; what stood there still stands.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; Windows has no such call and needs none."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders of one disk in one step; whether this system and disk can do it (if not, nothing happened)."""
    swap = _swap()
    return swap is not None and swap(os.fsencode(one), os.fsencode(other)) == 0


@cache
def _swap() -> Any:
    """The system's own call, or None where it has none: Python offers no such one."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None, use_errno=True)
        if platform.system() == "Linux":
            linux = library.renameat2
            return lambda one, other: linux(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE)
        if platform.system() == "Darwin":
            mac = library.renamex_np
            return lambda one, other: mac(one, other, _RENAME_SWAP)
    return None
