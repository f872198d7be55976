"""Turn the spaces of several word-vector models into one, which reads all of their languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from transferlm.combinations._joined_words import joined
from transferlm.combinations.base import Combination
from transferlm.errors import SettingError, UnsupportedError, alternatives
from transferlm.models._opening import vectors_of
from transferlm.models.base import Model, WordVectors
from transferlm.seeding import derive
from transferlm.storage import file_hash
from transferlm.text.corpus import Corpus
from transferlm.text.files import existing
from transferlm.vectors.dictionary import Dictionary, identical
from transferlm.vectors.mapping import by_distribution, induced, normalised, orthogonal, translated

__all__ = ["OrthogonalMap"]

_STARTS = ("identical", "distributions")


@dataclass(frozen=True)
class OrthogonalMap(Combination):
    """Word vectors of several languages in one space: a rotation lays each over the first (Smith et al. 2017).

    With a dictionary the rotation is the one that brings its pairs nearest to one another; a tenth of its words is kept
    aside at first, to tell which share of them the map translates rightly. Without one self-learning finds it (Artetxe
    et al. 2018). The result is a frozen table of all words at unit length, in which a word that several models have
    gets the mean of its vectors; a task learnt from texts of one language then reads the others.
    """

    dictionary: str | None = None
    """Text file with a pair a line, a word of the first model and one of another, parted by a tab or a space; none
    does without."""
    start: Literal["identical", "distributions"] = "identical"
    """Where self-learning begins without a dictionary: from words that are spelt alike (numbers, names), or from
    words whose likeness to all others is distributed alike, which needs no common script."""
    rounds: int | None = None
    """Rounds of self-learning; none is 0 with a dictionary, and until nothing is gained without one."""
    frequent: int = 5000
    """Words of each model, its first ones, that self-learning looks at; 20,000 for spaces learnt from much text."""
    neighbours: int = 10
    """Nearest neighbours that tell how near a word is to everything, in CSLS (Conneau et al. 2018)."""

    requires: ClassVar[tuple[type, ...]] = (WordVectors,)

    def __post_init__(self) -> None:
        if self.start not in _STARTS:
            raise SettingError(f"start {self.start!r}: {alternatives(self.start, _STARTS)}")
        for name, least in (("rounds", 0), ("frequent", 2), ("neighbours", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise SettingError(f"{name} {value}: give {least} or more")

    def reads(self) -> list[dict[str, Any]]:
        """The dictionary."""
        if self.dictionary is None:
            return []
        path = existing(self.dictionary)
        return [{"name": path.name, "hash": file_hash(path)}]

    def together(self, models: Sequence[Model], tuning: Corpus | None) -> tuple[Model, dict[str, float]]:
        """One table of all words.

        Raises:
            SettingError: Tuning text is given, which nothing is fitted to.
            UnsupportedError: The models' vectors differ in width, or they read texts differently.
            DataError: The dictionary can't be read, or too few of its pairs are known; no word is spelt alike.
        """
        if tuning is not None:
            raise SettingError("orthogonal_map fits nothing to text: leave the tuning text out, or give a dictionary")
        first, *others = [model for model in models if isinstance(model, WordVectors)]
        if any(other.table.width != first.table.width for other in others):
            widths = ", ".join(str(each.table.width) for each in (first, *others))
            raise UnsupportedError(f"vectors of widths {widths} can't be turned into one another: train them anew")
        told = None if self.dictionary is None else Dictionary.read(self.dictionary)
        spaces, scores = [normalised(first.table.vectors)], dict[str, float]()
        for place, other in enumerate(others, 2):
            mapped, found = self._turned(first, other, spaces[0], told)
            spaces.append(mapped)
            scores |= {f"{name} of model {place}" if len(others) > 1 else name: value for name, value in found.items()}
        table, reading = joined([first, *others], spaces)
        return vectors_of(table, **reading), {**scores, "words": float(len(table))}

    def _turned(
        self, first: WordVectors, other: WordVectors, target: np.ndarray, told: Dictionary | None
    ) -> tuple[np.ndarray, dict[str, float]]:
        """The other model's vectors in the first one's space, and what was measured."""
        space, scores = normalised(other.table.vectors), dict[str, float]()
        if told is not None:
            pairs = told.rows(first.table, other.table)
            scores = self._checked(space, target, pairs)
        elif self.start == "identical":
            pairs = identical(first.table, other.table)
        else:
            pairs = by_distribution(target[: self.frequent], space[: self.frequent], self.neighbours)
        rotation = orthogonal(space[pairs[:, 1]], target[pairs[:, 0]])
        scores["dictionary pairs"] = float(len(pairs))
        if self.rounds != 0 and (told is None or self.rounds):
            frequent, seed = slice(self.frequent), derive(0, "orthogonal map")
            # Pairs beyond the frequent words can't be looked at again, but the map they make is where it begins.
            begun = self._within(space @ rotation, target, pairs)
            found = induced(space[frequent], target[frequent], begun, self.neighbours, self.rounds, seed)
            rotation = found.rotation
            scores |= {"rounds": float(found.rounds), "likeness of partners": found.likeness}
        return space @ rotation, scores

    def _within(self, turned: np.ndarray, target: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Pairs (other, first) of frequent words alone; where none is, the partners that the first map gives them."""
        inside = pairs[(pairs < self.frequent).all(axis=1)][:, ::-1]
        if len(inside):
            return inside
        asked = np.arange(min(self.frequent, len(turned)))
        return np.stack([asked, translated(turned, target[: self.frequent], asked, self.neighbours)], axis=1)

    def _checked(self, space: np.ndarray, target: np.ndarray, pairs: np.ndarray) -> dict[str, float]:
        """Which share of the words kept aside is translated rightly by a map of the rest."""
        words = np.unique(pairs[:, 0])
        aside = words[np.random.default_rng(derive(0, "aside")).permutation(len(words))[: len(words) // 10]]
        held = np.isin(pairs[:, 0], aside)
        if not held.any():
            return {}
        rotation = orthogonal(space[pairs[~held, 1]], target[pairs[~held, 0]])
        answers = {(int(one), int(other)) for one, other in pairs[held]}
        scores = {"words kept aside": float(len(aside))}
        for name, neighbours in (("translated rightly", self.neighbours), ("translated rightly by cosine", 0)):
            best = translated(target, space @ rotation, aside, neighbours)
            right = [(int(one), int(other)) in answers for one, other in zip(aside, best, strict=True)]
            scores[name] = float(np.mean(right))
        return scores
