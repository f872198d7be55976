"""Finished cells of a comparison, kept on disk as they finish: a killed run goes on where it stopped."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from transferlm.atomic import replace_file
from transferlm.errors import DataError, SettingError
from transferlm.experiments.cells import Cell
from transferlm.experiments.wording import sized
from transferlm.progress import say

__all__ = ["CellStore", "key_of"]

FORMAT = 2
"""Version of a cell's file; a file of another version is computed again."""

_STALE = 3600.0
"""Seconds after which a half-written file is taken for what a killed run left: writing one takes
milliseconds."""


def key_of(**what: Any) -> str:
    """SHA-256 over everything that determines a cell, as canonical JSON: the same work has the same key
    anywhere.

    Args:
        **what: Names and JSON values (hashes of the data and of the source, strategy and hyper-parameters,
            labels, seed, versions); tuples and numpy numbers are welcome. The order of names plays no part.

    Raises:
        SettingError: A value that JSON can't hold exactly, named.

    >>> key_of(labels=8, seed=0) == key_of(seed=0, labels=8) != key_of(seed=1, labels=8)
    True
    """
    return hashlib.sha256(_canonical(_plain(what, ""))).hexdigest()


class CellStore:
    """A folder of finished cells, one JSON file each, written atomically: a SIGKILL at any moment leaves
    whole cells only.

    Args:
        folder: Made if missing.

    Raises:
        SettingError: The folder can't be made or written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(".*.partial"):
                if time.time() - left.stat().st_mtime > _STALE:
                    left.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from None

    def get(self, key: str) -> Cell | None:
        """The cell kept under `key`, or None; a damaged or foreign file is reported, never trusted."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            say(f"{path}: can't be read ({error.strerror}); computing this cell again")
            return None
        try:
            return _from_json(content, key)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200]
            say(f"{path}: not a finished cell ({reason}); computing it again")
            return None

    def put(self, key: str, cell: Cell) -> None:
        """Keep a finished cell: whole on disk when this returns.

        Raises:
            DataError: A score that is not finite, or extras that JSON can't hold.
            SettingError: The folder can't be written (a full disk, say).
        """
        path = self._path(key)
        try:
            replace_file(path, _to_json(cell, key))
        except OSError as error:
            raise self._unusable(error) from None

    def _path(self, key: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", key):
            raise SettingError(f"{key[:80]!r} is no cell key: make it with key_of")
        return self.folder / f"{key}.json"

    def _unusable(self, error: OSError) -> SettingError:
        return SettingError(f"{self.folder}: finished cells can't be kept here ({error.strerror}); name another folder")


def _to_json(cell: Cell, key: str) -> bytes:
    body = {entry.name: getattr(cell, entry.name) for entry in fields(cell)}
    body["contributions"] = {name: _packed(values) for name, values in cell.contributions.items()}
    try:
        plain = _plain(body, "")
    except SettingError as error:
        raise DataError(
            f"{cell.arm.name}, {sized(cell.labels, cell.per_class)}, seed {cell.seed} can't be kept: {error}"
        ) from None
    digest = hashlib.sha256(_canonical(plain)).hexdigest()
    return json.dumps({"format": FORMAT, "key": key, "sha256": digest, "cell": plain}).encode("ascii")


def _from_json(content: bytes, key: str) -> Cell:
    """A cell from its file, or a ValueError, TypeError or KeyError that says what is wrong with it."""
    document = json.loads(content)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"no cell of format {FORMAT}")
    if document.get("key") != key:
        raise ValueError("its key is not its name")
    body = document["cell"]
    if hashlib.sha256(_canonical(body)).hexdigest() != document["sha256"]:
        raise ValueError("its checksum is wrong")
    contributions = {name: _unpacked(values) for name, values in body["contributions"].items()}
    return Cell(**{**body, "contributions": contributions})


def _packed(values: np.ndarray) -> str:
    """Numbers to the bit, as base64 of deflated little-endian float64: compact, and read without running anything."""
    return base64.b64encode(zlib.compress(np.asarray(values).astype("<f8").tobytes())).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    try:
        content = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return np.frombuffer(content, dtype="<f8").astype(np.float64)


def _canonical(plain: Any) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode("ascii")


def _plain(value: Any, name: str) -> Any:
    """`value` as pure JSON types, or an error naming the part that JSON would change or refuse."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        if strange := next((key for key in value if not isinstance(key, str)), None):
            raise SettingError(f"{name or 'a name'}: {strange!r} is no text")
        return {key: _plain(item, f"{name}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}[{place}]") for place, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingError(f"{name} is {value}, not a finite number")
    if value is None or isinstance(value, str | int | float):
        return value
    raise SettingError(f"{name} is a {type(value).__name__}, which JSON can't hold: give text, numbers, lists or dicts")
