"""How a model and new text become an updated model."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from transferlm import catalog
from transferlm.errors import SettingError
from transferlm.models.base import Model, digest, require
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus

__all__ = ["Update"]


class Update(ABC):
    """A way to learn from new text: a dataclass of hyper-parameters that says which capabilities it needs."""

    requires: ClassVar[tuple[type, ...]] = ()
    """Capabilities a model must have."""

    exact: ClassVar[bool] = False
    """Whether the result has to hold all of the new text, the part too that is kept aside to measure on."""

    labelled: ClassVar[bool] = False
    """Whether it can teach a task model labelled examples, too."""

    uses_old: ClassVar[bool] = False
    """Whether it learns from what is old or looks at it, so that what is to be measured must be kept apart."""

    deterministic: ClassVar[bool] = False
    """Whether the seed decides nothing: the text is read once, in its order."""

    @property
    def unlearns(self) -> bool:
        """Whether the text is taken away: its loss is then measured on the very model that is without it."""
        return False

    def hyper_parameters(self) -> dict[str, Any]:
        """Field name -> value."""
        return catalog.values_of(self)

    def update(
        self,
        model: Model,
        new: Corpus | Iterable[str],
        old: Corpus | Iterable[str] | None = None,
        seed: int = 0,
        checkpoints: Path | None = None,
        *,
        measure: Callable[[Model], None] | None = None,
    ) -> Model:
        """A model that has learnt from `new`; `model` itself is left as it was.

        Args:
            model: The model as it is.
            new: Texts to learn from.
            old: Texts of the kind it learnt from before, for methods that rehearse; the others leave it alone.
            seed: Decides every random choice.
            checkpoints: Folder for the state of long training, so that an interrupted one goes on; none keeps none.
            measure: Called with the model just before its body first moves (a head that had to be made is there by
                then) and again when it is done.

        Raises:
            UnsupportedError: `model` lacks a capability; the message names families that have it.
            DataError: The text is empty or can't be learnt from.
        """
        name = catalog.name_of(self)
        require(model, self.requires, name)
        new, old = Corpus.of(new), None if old is None else Corpus.of(old)
        made = self.start(model, seed)
        notes = self.prepare(made, new, seed, checkpoints)
        if measure is not None:
            measure(made)
        learnt = self.learn(made, new, old, seed, checkpoints)
        made.lineage = self._lineage(model, new, seed, Lineage(scores=learnt.scores, notes=[*notes, *learnt.notes]))
        if measure is not None:
            measure(made)
        return made

    def start(self, model: Model, seed: int) -> Model:  # noqa: ARG002
        """What the method works on: a copy of `model`, or a composite that holds it and scores as it does."""
        return model.copy()

    def prepare(self, model: Model, new: Corpus, seed: int, checkpoints: Path | None) -> list[str]:  # noqa: ARG002
        """Add to `model`, in place, what the method needs beside its weights; gives notes for its story."""
        return []

    @abstractmethod
    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:
        """The method itself: move the weights of what `start` gave, in place, and tell scores and notes."""

    def _key(self, model: Model, new: Corpus, seed: int) -> str:
        """Hash of everything that decides how this training goes, for its checkpoint."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        return digest(catalog.name_of(self), model.fingerprint, new.hash, settings, str(seed))

    def _lineage(self, model: Model, new: Corpus, seed: int, learnt: Lineage) -> Lineage:
        return model.origin.child(
            "update",
            method={"name": catalog.name_of(self), "hyper_parameters": self.hyper_parameters()},
            data=[{"name": new.name, "hash": new.hash, "texts": new.survey().texts}],
            seed=seed,
            scores=learnt.scores,
            notes=learnt.notes,
        )


def at_least(least: int, **given: int | None) -> None:
    """Check whole-number settings.

    Raises:
        SettingError: One is below `least`.
    """
    for name, value in given.items():
        if value is not None and value < least:
            raise SettingError(f"{name} {value}: give {least} or more")
