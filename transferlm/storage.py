"""A model folder: safe tensors, JSON, a card and a lineage, written whole or not at all and opened with suspicion."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from transferlm import launched
from transferlm.atomic import exchange
from transferlm.errors import ModelFolderError

__all__ = [
    "FORMAT",
    "Folder",
    "Lineage",
    "file_hash",
    "open_folder",
    "put_in_place",
    "refuse_occupied",
    "save_tensors",
    "versions",
    "write_json",
    "written_whole",
]

FORMAT = 1
"""Version of the layout below; a folder of a later version is refused."""

MANIFEST = "transferlm.json"
LINEAGE = "lineage.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
FETCHED = "source.json"
"""Lies beside fetched weights and says where they came from."""
RESEARCH_ONLY = "for non-commercial research only: neither this model nor one made from it may go into a product"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill")


@dataclass
class Lineage:
    """Where a model comes from, saved with it and printed by `transferlm show`.

    Attributes:
        step: What made it: `pretrain`, `update`, `transfer`, `combine`, `compress`, `compile`, `cache`, `fitted`,
            `imported`, or nothing yet.
        method: The method's name and hyper-parameters.
        data: One entry a data set: its name, SHA-256 and number of texts.
        parents: Lineages of the models it was made from.
        scores: What was measured when it was made.
        seed: The seed of that step.
        notes: Plain sentences a user should know (classes capped, texts cut).
        versions: Versions of the libraries used.
        time: When, in UTC.
    """

    step: str = ""
    method: dict[str, Any] = field(default_factory=dict)
    data: list[dict[str, Any]] = field(default_factory=list)
    parents: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    seed: int | None = None
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    time: str = ""

    def child(self, step: str, **facts: Any) -> Lineage:
        """The lineage of a model made from this one by `step`, stamped with versions and time."""
        parents = [self.as_json()] if self.step else []
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Lineage(step, parents=parents, versions=versions(), time=now, **facts)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data, as a child keeps it."""
        return asdict(self)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    """Read once: looking a package up takes milliseconds."""
    found = {"python": platform.python_version()}
    for package in ("transferlm", "torch", "transformers", "tokenizers", "scikit-learn", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree that is not installed
            continue
    return found


@contextmanager
def written_whole(folder: str | Path) -> Iterator[Path]:
    """Yield a scratch folder that takes the place of `folder` when the block ends, or vanishes if it fails.

    A model that already stands there is replaced; anything else there is left alone. Of several processes that a
    launcher started the main one writes; what the others put into their scratch folder vanishes.

    Raises:
        ModelFolderError: `folder` exists and is not a model folder or an empty folder.
    """
    target = refuse_occupied(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        yield scratch
        if not launched.main_process():
            return
        _flush(scratch)
        scratch.chmod(0o755)
        put_in_place(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def refuse_occupied(folder: str | Path) -> Path:
    """The folder as a path, if a model may be written there: asked before long work, not after it.

    Raises:
        ModelFolderError: Something that is no model stands there.
    """
    target = Path(folder)
    if not launched.main_process():
        return target  # the main process may have written it by now
    if target.exists() and not (target.is_dir() and (_is_ours(target) or not any(target.iterdir()))):
        raise ModelFolderError(f"{target} exists and is no model folder: choose another place to write to")
    return target


def _is_ours(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def _flush(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())


def put_in_place(scratch: Path, target: Path) -> None:
    """Let a whole folder take another's place, in one step where the system can; the other's remains are the caller's.

    Where it can't, a kill between two steps leaves the other one hidden beside its place: `open_folder` says where.
    """
    if not target.exists():
        scratch.rename(target)
        return
    if exchange(scratch, target):
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    target.rename(aside / "model")
    scratch.rename(target)
    shutil.rmtree(aside, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable UTF-8 JSON; not-a-number is refused rather than written as invalid JSON."""
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def save_tensors(tensors: dict[str, np.ndarray], path: Path) -> None:
    """Write numpy arrays to a `.safetensors` file (torch's own are written by `neural/weights.py`)."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class Folder:
    """An existing model folder: the only way in to its files.

    Attributes:
        path: Where it is.
        manifest: What `transferlm.json` says; empty for a folder of another library.
        depth: In how many folders of other models it lies that were opened before it.
    """

    path: Path
    manifest: dict[str, Any]
    depth: int = 0

    def said(self, part: str) -> dict[str, Any]:
        """What the manifest says under `part` ("model", "task"); empty for a folder of another library.

        Raises:
            ModelFolderError: It is no JSON object.
        """
        found = self.manifest.get(part, {})
        if not isinstance(found, dict):
            raise ModelFolderError(f"{self.path / MANIFEST}: {part!r} is no object: the folder is damaged")
        return found

    def file(self, name: str) -> Path:
        """The path of the file called `name`.

        Raises:
            ModelFolderError: There is none, or the name or a link leads out of the folder.
        """
        path = self.path / name
        if not path.is_file():
            raise ModelFolderError(f"{self.path}: {name} is missing, the model is not whole")
        _refuse_climbing(self.path, path)
        return path

    def has(self, name: str) -> bool:
        """Whether there is a file called `name`."""
        return (self.path / name).is_file()

    def json(self, name: str) -> Any:
        """The content of a JSON file.

        Raises:
            ModelFolderError: It is missing or no JSON.
        """
        path = self.file(name)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ModelFolderError(f"{path} is no JSON ({error}): the folder is damaged, copy it again") from None

    def tensors(self, name: str = WEIGHTS) -> dict[str, np.ndarray]:
        """The arrays of a `.safetensors` file.

        Raises:
            ModelFolderError: It is missing, truncated, or only a pickle stands in its place.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays: dict[str, np.ndarray] = load_file(self.weights(name))
        except SafetensorError as error:
            raise ModelFolderError(f"{self.path / name} can't be read ({error}): copy it again") from None
        return arrays

    def weights(self, name: str = WEIGHTS) -> Path:
        """The path of a weight file; a pickle in its place is refused by name."""
        if not self.has(name):
            pickles = sorted(f.name for f in self.path.iterdir() if f.suffix in _PICKLES)
            if pickles:
                raise ModelFolderError(
                    f"{self.path} holds only a pickle ({pickles[0]}), which can run code when opened: "
                    f"convert it to {name} with its own library and try again"
                )
        return self.file(name)

    def lineage(self) -> Lineage:
        """The saved lineage, or for a folder of another library one that says it was imported."""
        if not self.has(LINEAGE):
            return self._imported()
        try:
            return Lineage(**self.json(LINEAGE))
        except TypeError as error:
            raise ModelFolderError(f"{self.path / LINEAGE}: {error}") from None

    def _imported(self) -> Lineage:
        """What is known of weights that others trained: for fetched ones their package and licence."""
        told = self.json(FETCHED) if self.has(FETCHED) else None
        if not isinstance(told, dict):
            return Lineage("imported", data=[{"name": self.path.name}])
        facts = {name: told[name] for name in ("name", "what", "licence") if name in told}
        packages = told.get("packages") or [{}]
        facts |= {name: packages[0][name] for name in ("package", "version", "sha256") if name in packages[0]}
        notes = [RESEARCH_ONLY] if told.get("research_only") else []
        return Lineage("imported", data=[facts], notes=notes, time=str(told.get("fetched", "")))


def open_folder(path: str | Path, depth: int = 0) -> Folder:
    """Open a model folder of ours or of Hugging Face's layout for reading.

    Args:
        path: The folder.
        depth: In how many folders of other models it lies; the outermost has looked at all links below it.

    Raises:
        ModelFolderError: No folder, no model in it, a later format, or a link that leads out of it.
    """
    place = Path(path)
    if not place.is_dir():
        left = next(place.absolute().parent.glob(f".{glob.escape(place.name)}.*.old/model"), None)
        told = "give the folder that a model was saved in" if left is None else f"it was being replaced, rename {left}"
        raise ModelFolderError(f"{place} is no folder: {told}")
    for file in () if depth else place.rglob("*"):
        _refuse_climbing(place, file)
    folder = Folder(place, {}, depth)
    if not folder.has(MANIFEST):
        if not folder.has("config.json"):
            raise ModelFolderError(f"{place} holds no model: neither {MANIFEST} nor config.json is there")
        return folder
    manifest = folder.json(MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ModelFolderError(f"{place / MANIFEST} does not name its format: it was not written by transferlm")
    if manifest["format"] > FORMAT:
        raise ModelFolderError(f"{place} has format {manifest['format']}, this transferlm reads {FORMAT}: upgrade it")
    return Folder(place, manifest, depth)


def _refuse_climbing(folder: Path, file: Path) -> None:
    """Links may stay inside the folder; a hub snapshot's may lead to the `blobs` beside it, as the hub lays them."""
    home, target = folder.resolve(), file.resolve()
    blobs = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
    if not (target.is_relative_to(home) or target.is_relative_to(blobs)):
        raise ModelFolderError(f"{file} leads out of the model folder to {target}: refused")
