"""Finished arms of a comparison, kept on disk as they finish: a killed run goes on where it stopped."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transferlm.atomic import replace_file
from transferlm.errors import DataError, SettingError
from transferlm.progress import say

__all__ = ["Arm", "Cell", "CellStore", "by_arm", "key_of", "same_seeds"]

FORMAT = 1
"""Version of a cell's file; a file of another version is computed again."""

_STALE = 3600.0
"""Seconds after which a half-written file is taken for what a killed run left: writing one takes
milliseconds."""


class Arm(NamedTuple):
    """What is compared: a source with a strategy, at so many labels a class."""

    source: str
    strategy: str
    labels: int

    @property
    def name(self) -> str:
        """As a person reads it, without the number of labels.

        >>> Arm("minilm", "fine_tuning", 64).name
        'minilm with fine_tuning'
        """
        return f"{self.source} with {self.strategy}"


@dataclass(frozen=True)
class Cell:
    """One arm with one seed, trained and tested.

    Attributes:
        source: Name of the source; that of an untrained twin ends in `-untrained`.
        strategy: Name of the strategy.
        labels: Labelled training examples a class.
        seed: The seed of the draw of training examples and of training.
        scores: Metrics by name, between 0 and 1.
        seconds: Wall time of training and testing.
        peak_bytes: Peak resident memory meanwhile.
        targets: Hash of the test examples' true labels, so that only cells of one test part are paired.
        predicted: Predicted class of each test example, int32 (examples,).
        correct: Whether it is the true one, bool (examples,).
        extras: What else is worth knowing, as JSON values: share of the text read, training rows, classes
            capped.
    """

    source: str
    strategy: str
    labels: int
    seed: int
    scores: dict[str, float]
    seconds: float
    peak_bytes: int
    targets: str
    predicted: np.ndarray
    correct: np.ndarray
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def arm(self) -> Arm:
        """Source, strategy and labels: what its cells of other seeds share."""
        return Arm(self.source, self.strategy, self.labels)


def by_arm(cells: Sequence[Cell]) -> dict[Arm, list[Cell]]:
    """Cells grouped by arm in the order of their first cell, each group ordered by seed.

    Raises:
        DataError: Two cells of one arm and seed, or cells of different test parts.
    """
    groups: dict[Arm, list[Cell]] = {}
    for cell in cells:
        if cell.targets != cells[0].targets or len(cell.correct) != len(cells[0].correct):
            raise DataError(f"{cell.arm.name} was tested on other examples than {cells[0].arm.name}: use one test part")
        groups.setdefault(cell.arm, []).append(cell)
    for arm, group in groups.items():
        group.sort(key=lambda cell: cell.seed)
        if len({cell.seed for cell in group}) < len(group):
            raise DataError(
                f"{arm.name}, {arm.labels} labels a class has two cells of one seed: name its variants apart"
            )
    return groups


def same_seeds(ours: Sequence[Cell], theirs: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """The cells of two arms whose seeds both have, in the order of those seeds.

    Raises:
        DataError: They share no seed.
    """
    shared = {cell.seed for cell in ours} & {cell.seed for cell in theirs}
    if not shared:
        raise DataError(f"{ours[0].arm.name} and {theirs[0].arm.name} share no seed: nothing can be paired")
    return [cell for cell in ours if cell.seed in shared], [cell for cell in theirs if cell.seed in shared]


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
    body["predicted"] = _packed(cell.predicted)
    body["correct"] = _packed(cell.correct)
    try:
        plain = _plain(body, "")
    except SettingError as error:
        raise DataError(
            f"{cell.arm.name}, {cell.labels} labels a class, seed {cell.seed} can't be kept: {error}"
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
    arrays = {"predicted": _unpacked(body["predicted"]), "correct": _unpacked(body["correct"]).astype(bool)}
    return Cell(**{**body, **arrays})


def _packed(array: np.ndarray) -> str:
    """Integers as base64 of little-endian int32: compact, and read without running anything."""
    return base64.b64encode(np.asarray(array).astype("<i4").tobytes()).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<i4").astype(np.int32)


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
