"""What strategies share that leave the model's weights alone: settings, a model that is ready, what is told."""

from __future__ import annotations

from typing import Protocol

from transferlm.errors import SettingError
from transferlm.models.base import Encoding, GradientTrained, Model, Trainable
from transferlm.tasks.base import Examples
from transferlm.text.framing import parts

__all__ = ["SolverSettings", "check_solver", "ready", "told"]


class SolverSettings(Protocol):
    """The settings of a linear model whose strength may be chosen by cross-validation."""

    @property
    def regularisation(self) -> float | None:
        """Inverse strength of the L2 penalty; None chooses it."""

    @property
    def folds(self) -> int:
        """Folds of the cross-validation."""

    @property
    def steps(self) -> int:
        """Most iterations."""


def check_solver(settings: SolverSettings) -> None:
    """Refuse settings that make no sense.

    Raises:
        SettingError: One is out of its range.
    """
    if settings.regularisation is not None and not settings.regularisation > 0:
        raise SettingError(f"regularisation {settings.regularisation}: give a number above 0")
    if settings.steps < 1:
        raise SettingError(f"steps {settings.steps}: give 1 or more")
    if settings.folds < 2:
        raise SettingError(f"folds {settings.folds}: give 2 or more")


def ready(model: Model, examples: Examples, seed: int) -> Model:
    """The model; a trainable one without data (tfidf) learns from the examples' texts first."""
    if not isinstance(model, Trainable) or isinstance(model, GradientTrained) or model.trained:
        return model
    return model.untrained(seed).fit([part for text in examples.texts for part in parts(text) if part], seed)


def told(encoding: Encoding, iterations: int, steps: int) -> tuple[dict[str, float], list[str]]:
    """Scores and notes for the story: what share of the texts was read and known, and whether the solver was done."""
    scores = {"train_share_read": float(encoding.read.mean())}
    if encoding.known is not None:
        scores["train_share_known"] = float(encoding.known.mean())
    stopped = iterations >= steps
    return scores, [f"the solver stopped after {steps} iterations, short of its tolerance: raise steps"] * stopped
