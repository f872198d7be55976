"""Labelled examples as rows that a model reads, each with what is true of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferlm.errors import ModelFolderError
from transferlm.models.base import GradientTrained
from transferlm.tasks.base import Examples, TokenTask
from transferlm.text.framing import shares_read

__all__ = ["Rows", "Scale"]

_LEAST = 64
"""Tokens of a long text that a tagger reads at once at the least, however short the texts that it learnt from."""


@dataclass(frozen=True)
class Scale:
    """The standardisation under which numbers are learnt: mean 0 and deviation 1, as heads and rates expect.

    It is linear, so a trained head takes it into its weights, and nothing of it is left to remember.

    Attributes:
        mean: The training targets' mean.
        deviation: Their standard deviation; 1 where all are alike.
    """

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, targets: np.ndarray) -> Scale:
        """That of these numbers."""
        return cls(float(targets.mean()), float(targets.std()) or 1.0)

    @classmethod
    def kept(cls, facts: Mapping[str, Any]) -> Scale:
        """That which was kept with a model.

        Raises:
            ModelFolderError: It is not as it was written.
        """
        try:
            mean, deviation = float(facts["mean"]), float(facts["deviation"])
        except (KeyError, TypeError, ValueError, OverflowError):
            mean, deviation = math.nan, math.nan
        if not (math.isfinite(mean) and 0 < deviation < math.inf):
            raise ModelFolderError(f"the scale {dict(facts)} kept with the model is damaged: copy the folder again")
        return cls(mean, deviation)

    def inward(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A head for targets in their own units as one for standardised targets."""
        if self == Scale():
            return weights, bias
        return weights / np.float32(self.deviation), (bias - np.float32(self.mean)) / np.float32(self.deviation)

    def outward(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A head for standardised targets as one for targets in their own units."""
        if self == Scale():
            return weights, bias
        return weights * np.float32(self.deviation), bias * np.float32(self.deviation) + np.float32(self.mean)


class Rows:
    """Labelled examples as rows.

    Args:
        body: Lays them out.
        examples: Texts beyond the maximum length give several rows where the task reads them whole: a text's class or
            number holds for each of its rows, and tokens have targets of their own.
        train: Row numbers of the examples that are trained on, None for all: numbers are standardised by these.
        scale: How numbers are standardised, where that is settled already.
    """

    def __init__(
        self,
        body: GradientTrained,
        examples: Examples,
        train: np.ndarray | None = None,
        scale: Scale | None = None,
    ) -> None:
        self.windows = body.windows(examples.texts, examples.task.reads_whole)
        self.ids = [row.ids for row in self.windows]
        self.types = [row.types for row in self.windows] if examples.task.paired else None
        self.owners = np.array([row.text for row in self.windows], dtype=np.int64)
        self.read = shares_read(examples.texts, self.windows)
        self.output = examples.task.output(examples.labels)
        self.weights = examples.task.weights(examples.targets, examples.labels)
        self.scale = scale or Scale()
        self.targets: np.ndarray | None = None
        self._token_targets: list[np.ndarray] = []
        self.counts = np.ones(len(self.windows), dtype=np.int64)
        if isinstance(examples.task, TokenTask):
            self._lay_tokens(examples, examples.task)
        else:
            if self.output.link == "squared" and scale is None:
                self.scale = Scale.of(examples.targets if train is None else examples.targets[train])
            self.targets = self._per_text(examples.targets)

    @property
    def window(self) -> int | None:
        """Tokens of a long text to be tagged at once: what 95% of the rows have here, as taggers do worse beyond it.

        None for other outputs: an answer is sought in as much as can be read.
        """
        if self.output.per != "token" or self.output.link == "span":
            return None
        return max(_LEAST, int(np.quantile([len(ids) for ids in self.ids], 0.95)))

    def of(self, examples: np.ndarray) -> np.ndarray:
        """The rows of these examples, in their order."""
        return np.flatnonzero(np.isin(self.owners, examples))

    def token_targets(self, places: np.ndarray, longest: int) -> np.ndarray:
        """Targets of a batch: places of first and last token (rows, 2), or an index a token (rows, longest)."""
        if self.output.link == "span":
            return np.stack([self._token_targets[place] for place in places])
        laid = np.full((len(places), longest), -1, dtype=np.int64)
        for row, place in enumerate(places):
            start = self.windows[place].start
            laid[row, start : start + len(self._token_targets[place])] = self._token_targets[place]
        return laid

    def possible(self, places: np.ndarray, longest: int) -> np.ndarray:
        """Which tokens a span may begin or end with: those of the text, and the one that stands for no answer."""
        laid = np.zeros((len(places), longest), dtype=bool)
        for row, place in enumerate(places):
            window = self.windows[place]
            laid[row, window.start : window.start + len(window.offsets)] = True
            laid[row, window.sees_all] = True
        return laid

    def _per_text(self, targets: np.ndarray) -> np.ndarray:
        if self.output.link == "softmax":
            return targets[self.owners]
        if self.output.link == "squared":
            targets = ((targets - self.scale.mean) / self.scale.deviation)[:, None]
        return targets.astype(np.float32)[self.owners]

    def _lay_tokens(self, examples: Examples, task: TokenTask) -> None:
        for place, row in enumerate(self.windows):
            text, target = examples.texts[row.text], examples.targets[row.text]
            target = task.token_targets(text, target, row.offsets, examples.labels, row.ahead)
            if self.output.link == "span":
                target = np.full(2, row.sees_all) if target[0] < 0 else target + row.start
            else:
                self.counts[place] = np.count_nonzero(target >= 0)
            self._token_targets.append(target)
