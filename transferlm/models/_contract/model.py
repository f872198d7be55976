"""What every language model has: hyper-parameters, a folder, a story; and what it is before any data."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from transferlm import catalog, storage
from transferlm.errors import ModelFolderError, SettingError, alternatives
from transferlm.models._contract.kept import KEPT, Kept, write_kept

__all__ = ["FromScratch", "Model", "Trainable", "card", "digest", "made_from"]


class Model(ABC):
    """A language model: a dataclass of hyper-parameters, plus what it learnt, plus where that came from."""

    @property
    def family(self) -> str:
        """The family's name: the file it is written in."""
        return catalog.name_of(self)

    @property
    def lineage(self) -> storage.Lineage:
        """Parents, data, configuration, seeds, versions and time of the step that made this model."""
        lineage: storage.Lineage = self.__dict__.setdefault("_lineage", storage.Lineage())
        return lineage

    @lineage.setter
    def lineage(self, lineage: storage.Lineage) -> None:
        self.__dict__["_lineage"] = lineage

    @property
    def kept(self) -> Mapping[str, Kept]:
        """What methods left with the model for later ones, by name; saved with it, and no part of how it scores."""
        kept: Mapping[str, Kept] = self.__dict__.get("_kept", MappingProxyType({}))
        return kept

    @kept.setter
    def kept(self, kept: Mapping[str, Kept]) -> None:
        self.__dict__["_kept"] = dict(kept)

    @property
    def origin(self) -> storage.Lineage:
        """The lineage that a child keeps as its parent: for a model fitted by hand, what little is known."""
        if self.lineage.step:
            return self.lineage
        seen = not isinstance(self, FromScratch) or self.trained
        return storage.Lineage("fitted" if seen else "untrained", method={"name": self.family})

    def hyper_parameters(self) -> dict[str, Any]:
        """Field name -> value, as given to the constructor."""
        return catalog.values_of(self)

    without: ClassVar[Mapping[type, str]] = MappingProxyType({})
    """Capabilities that one could expect of it, and why it hasn't them."""

    adjustable: ClassVar[frozenset[str]] = frozenset()
    """Hyper-parameters that an opened model may be given anew, because its weights don't depend on them."""

    def adjust(self, **settings: Any) -> None:
        """Replace hyper-parameters of an opened model, in place.

        Raises:
            SettingError: One is unknown, out of its range, or one that the weights depend on.
        """
        for name in settings:
            catalog.entry("models", self.family).hyper_parameter(name)
            if name not in self.adjustable:
                free = ", ".join(sorted(self.adjustable)) or "none"
                raise SettingError(f"{name} can't be changed once a {self.family} model is made; what can: {free}")
        type(self)(**{**self.hyper_parameters(), **settings})
        for name, value in settings.items():
            setattr(self, name, value)
        self.check_settings()

    def check_settings(self) -> None:
        """Check hyper-parameters against the weights, once both are there; most families have nothing to check."""
        return

    def copy(self) -> Self:
        """An independent model with the same weights: what a method works on, so that inputs are never mutated."""
        return copy.deepcopy(self)

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer into an existing empty folder (called by `save`)."""

    @classmethod
    @abstractmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there.

        Raises:
            ModelFolderError: A file is missing, damaged, or of the wrong shape.
        """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters, weights and tokenizer: two models with the same one score the same."""

    def manifest(self) -> dict[str, Any]:
        """What `transferlm.json` says of this model."""
        model = {
            "family": self.family,
            "hyper_parameters": self.hyper_parameters(),
            "trained": not isinstance(self, FromScratch) or self.trained,
        }
        kept = {KEPT: {name: dict(thing.facts) for name, thing in self.kept.items()}} if self.kept else {}
        return {"format": storage.FORMAT, "model": model, **kept}

    def write_whole(self, folder: Path) -> None:
        """Write the model and what is kept with it into an existing empty folder."""
        self.write(folder)
        write_kept(self.kept, folder)

    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole or not at all.

        Raises:
            ModelFolderError: Something that is no model stands there already.
        """
        with storage.written_whole(folder) as scratch:
            self.write_whole(scratch)
            storage.write_json(scratch / storage.MANIFEST, self.manifest())
            storage.write_json(scratch / storage.LINEAGE, dataclasses.asdict(self.lineage))
            (scratch / storage.CARD).write_text(card(self.family, self.lineage), encoding="utf-8")


class FromScratch(ABC):
    """A model whose state before any data is known, so that "from scratch" is no special case anywhere."""

    @property
    @abstractmethod
    def trained(self) -> bool:
        """Whether it has seen data."""

    @abstractmethod
    def untrained(self, seed: int = 0) -> Self:
        """The same model before any data: hyper-parameters and tokenizer kept, weights drawn anew from `seed`."""


class Trainable(FromScratch):
    """A model that learns from text: hyper-parameters in the constructor, data in `fit`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Hyper-parameters that belong together, by name: those of a paper's model."""

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """An untrained model with the hyper-parameters of a preset.

        A preset is where one begins: what is given beside it replaces its value, and the model made has plain
        hyper-parameters like any other; it does not remember the name.

        Args:
            name: One of `presets`.
            changes: Hyper-parameters that the preset has otherwise, or not at all.

        Raises:
            SettingError: There is no such preset.
        """
        if name not in cls.presets:
            raise SettingError(f"{catalog.name_of(cls)} has no preset {name!r}: {alternatives(name, cls.presets)}")
        return cls(**{**cls.presets[name], **changes})

    @property
    def begun_from(self) -> Sequence[storage.Lineage]:
        """Lineages of what training began from besides chance: its model's parents; most families have none."""
        return ()

    @abstractmethod
    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:
        """Learn from the texts of `corpus`, in place, and return the model itself (scikit-learn's way).

        Args:
            corpus: The texts.
            seed: Decides every random choice.
            checkpoints: Folder for the state of long training, so that an interrupted one goes on; none keeps none.
        """


def card(family: str, lineage: storage.Lineage, body: str = "") -> str:
    """The folder's README.md: a YAML head that model hubs read, then what the model is and came from."""
    head = ["---", "library_name: transferlm", f"tags: [transferlm, {family}]", "---", ""]
    lines = [f"# A `{family}` model", "", *([body, ""] if body else [])]
    if lineage.step:
        lines += [f"Made by `{lineage.step}` on {lineage.time or 'an unknown date'}.", ""]
    lines += [
        f"- data: {d.get('name', '?')}" + (f" (SHA-256 {d['hash']})" if "hash" in d else "") for d in lineage.data
    ]
    lines += [f"- {name}: {value:.4g}" for name, value in lineage.scores.items()]
    lines += [f"- {note}" for note in lineage.notes]
    lines += [
        "",
        "Open it with `transferlm.load(folder)`; `transferlm show FOLDER` tells its whole story.",
        "",
    ]
    return "\n".join(head + lines)


def digest(*parts: bytes | memoryview | str) -> str:
    """SHA-256 over parts, each told apart from the next by its length in bytes; none of them is copied."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(memoryview(data).nbytes.to_bytes(8, "little"))
        whole.update(data)
    return whole.hexdigest()


M = TypeVar("M", bound=Model)


def made_from(family: type[M], folder: storage.Folder) -> M:
    """An empty model of the family with the hyper-parameters that the folder's manifest tells.

    Raises:
        ModelFolderError: They are missing, unknown to this version, or of the wrong kind.
    """
    given = folder.said("model").get("hyper_parameters")
    manifest = folder.path / storage.MANIFEST
    if not isinstance(given, dict):
        raise ModelFolderError(f"{manifest} tells no hyper-parameters: the folder is damaged, copy it again")
    entry = catalog.entry("models", catalog.name_of(family))
    try:
        for name, value in given.items():
            if entry.hyper_parameter(name).parse(str(value)) != value:
                raise SettingError(f"{name} is {value!r}, which is no value of it: copy the folder again")
        return family(**given)
    except (TypeError, AttributeError, SettingError) as error:
        raise ModelFolderError(f"{manifest}: {error}") from None
