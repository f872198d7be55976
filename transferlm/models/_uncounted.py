"""Models that are words and a scorer and no more: no counts, so that no text can be added."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from transferlm import storage
from transferlm.counts.mapped_arrays import map_arrays, part, prefixed
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models._automaton_scored import BackOffScored, check_words
from transferlm.models.base import digest, made_from
from transferlm.text.lexicon import UNITS, Lexicon

__all__ = ["Uncounted"]


_LITERAL = "literal_share"


class Uncounted(BackOffScored):
    """A model that another one's file or folder was made into.

    A family is a dataclass with `unit` and `open_vocabulary` among its fields.
    """

    scorer: ClassVar[tuple[str, Any]]
    """What its scorer is called in the folder, and its class."""
    how_made: ClassVar[str]
    """What to say where there is none."""
    adjustable: ClassVar[frozenset[str]] = frozenset({"open_vocabulary"})

    _content: tuple[Lexicon, Any] | None = None
    _literal: float | None = None

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise SettingError(f"unit {self.unit!r}: choose {' or '.join(UNITS)}")

    def _known(self) -> tuple[Lexicon, Any]:
        if self._content is None:
            raise DataError(self.how_made)
        return self._content

    @property
    def fingerprint(self) -> str:
        """SHA-256 over settings, words and probabilities."""
        lexicon, scorer = self._known()
        arrays = scorer.arrays()
        parts = [np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(arrays)]
        settings = f"{self.open_vocabulary} {self._literal}"
        return digest(self.family, self.unit, settings, lexicon.hash, *parts)

    @property
    def _literal_share(self) -> float:
        """As the model that it was made from had it, where that knew."""
        return super()._literal_share if self._literal is None else self._literal

    def _arrays(self) -> dict[str, np.ndarray]:
        lexicon, scorer = self._known()
        arrays = prefixed("lexicon.", lexicon.arrays()) | prefixed(f"{self.scorer[0]}.", scorer.arrays())
        return arrays if self._literal is None else {**arrays, _LITERAL: np.array([self._literal])}

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there; nothing but its outline is read before it is used."""
        model = made_from(cls, folder)
        path, (name, kind) = folder.weights(), cls.scorer
        arrays = map_arrays(path)
        try:
            lexicon = Lexicon.from_arrays(model.unit, part("lexicon.", arrays))
            model._content = lexicon, kind.from_arrays(part(f"{name}.", arrays))
        except ModelFolderError as error:
            raise ModelFolderError(f"{path}: {error}") from None
        check_words(path, *model._content)
        literal = arrays.get(_LITERAL)
        if literal is not None:
            if literal.shape != (1,) or not 0 <= literal[0] < 1:
                raise ModelFolderError(f"{path}: {_LITERAL} is no share below 1: copy it again")
            model._literal = float(literal[0])
        return model
