"""What every model shares that holds another one: the part inside, its folder; and reading as it does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar, Self

from transferlm import storage
from transferlm.errors import DataError
from transferlm.models._opening import open_part
from transferlm.models.base import Causal, Model, Vocabulary, made_from

__all__ = ["Around", "Wrapped"]

_INSIDE = "model"


class Around(Model):
    """A model around another one, which is never changed."""

    inside_needs: ClassVar[tuple[type, ...]]
    """Capabilities that the model inside must have."""
    how_made: ClassVar[str]
    """What to say where there is none inside."""

    _model: Model | None = None

    @property
    def model(self) -> Any:
        """The model inside.

        Raises:
            DataError: There is none.
        """
        if self._model is None:
            raise DataError(self.how_made)
        return self._model

    def copy(self) -> Self:
        """An independent model."""
        twin = copy.copy(self)
        twin._model = None if self._model is None else self._model.copy()
        twin.lineage = copy.deepcopy(self.lineage)
        return twin

    def write(self, folder: Path) -> None:
        """The model, in a folder of its own."""
        self.model.save(folder / _INSIDE)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there."""
        made = made_from(cls, folder)
        made._model = open_part(folder, _INSIDE, cls.inside_needs)
        return made


class Wrapped(Around, Causal):
    """A causal model around another one, whose tokens and vocabulary are its own."""

    inside_needs: ClassVar[tuple[type, ...]] = (Causal,)

    @property
    def tokenizer(self) -> Any:
        """The model's own."""
        return self.model.tokenizer

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's own."""
        vocabulary: Vocabulary = self.model.vocabulary
        return vocabulary
