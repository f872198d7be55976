"""How several models become one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from transferlm import catalog
from transferlm.errors import SettingError
from transferlm.models.base import Model, require
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus

__all__ = ["Combination"]


class Combination(ABC):
    """A way to put models together: a dataclass of hyper-parameters that says which capabilities it needs."""

    requires: ClassVar[tuple[type, ...]] = ()
    """Capabilities that every model must have."""

    def hyper_parameters(self) -> dict[str, Any]:
        """Field name -> value."""
        return catalog.values_of(self)

    def reads(self) -> list[dict[str, Any]]:
        """Files that the hyper-parameters name, each with its hash, for the story; most methods read none."""
        return []

    def combine(self, models: Sequence[Model], tuning: Corpus | Iterable[str] | None = None) -> Model:
        """One model that speaks for all; the models given are left as they were.

        Args:
            models: Two models or more.
            tuning: Texts that none of them was trained on, for methods that fit something.

        Raises:
            UnsupportedError: A model lacks a capability, or they do not go together.
            SettingError: There are fewer than two models.
            DataError: The texts are empty or can't be fitted to.
        """
        name = catalog.name_of(self)
        if len(models) < 2:
            raise SettingError(f"{name} of {len(models)} models: give two or more")
        for model in models:
            require(model, self.requires, name)
        texts = None if tuning is None else Corpus.of(tuning)
        made, scores = self.together([model.copy() for model in models], texts)
        tuned = [] if texts is None else [{"name": texts.name, "hash": texts.hash, "texts": texts.survey().texts}]
        made.lineage = Lineage().child(
            "combine",
            method={"name": name, "hyper_parameters": self.hyper_parameters()},
            data=[*self.reads(), *tuned],
            scores=scores,
        )
        made.lineage.parents = [model.origin.as_json() for model in models]
        return made

    @abstractmethod
    def together(self, models: Sequence[Model], tuning: Corpus | None) -> tuple[Model, dict[str, float]]:
        """The method itself: the combined model, and what was measured."""
