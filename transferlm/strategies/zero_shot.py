"""Classify by what the labels' names mean: no labelled examples are needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from transferlm.errors import SettingError
from transferlm.models._inputs import encoded
from transferlm.models.base import Causal, Encoder, Model, able
from transferlm.models.label_likelihood import LabelLikelihood
from transferlm.storage import Lineage
from transferlm.strategies._temperature import sharpness_of
from transferlm.strategies._verbalised import described, filled, template_for
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["ZeroShot"]

_CONTENT_FREE = ("N/A", "[MASK]", "")
"""Texts without content (Zhao et al. 2021, section 5)."""
_BOUNDS = (0.01, 100.0)
_COSINES = 20.0
"""Sharpness of cosines without examples: SimCSE's temperature of 0.05 (Gao et al. 2021)."""


@dataclass(frozen=True)
class ZeroShot(Strategy):
    """A text gets the label whose name, in a sentence, is most probable beside it, or most like it.

    A causal model tells how probable text and label are together; an encoder, the cosine between the text and the
    label's sentence. Labelled examples are not needed; those there are serve to calibrate: their texts the labels'
    scores, their labels the temperature.
    """

    by: Literal["auto", "likelihood", "similarity"] = "auto"
    """What is asked of the model: `likelihood` of a causal one, `similarity` of an encoder; `auto` asks for the first
    where the model can."""
    template: str | None = None
    """The sentence, with `{text}` and `{label}` in it; similarity leaves the text out. None is `{text}`, and on a new
    line `This text is about {label}.`, in Chinese where the labels are."""
    descriptions: str | None = None
    """What labels mean, as `positive=a good film;negative=a bad film`; one that is left out is read by its name."""
    calibration: Literal["auto", "contextual", "pmi", "batch", "none"] = "auto"
    """What is taken from each label's score: its mean log-probability beside texts without content (`contextual`, Zhao
    et al. 2021), beside no text (`pmi`, Holtzman et al. 2021), or its mean score over the examples' texts, every class
    alike (`batch`, Zhou et al. 2024). `auto`: `batch` where there are examples, else `contextual` for likelihoods."""
    temperature: float | None = None
    """Divides the calibrated scores; none fits it to the examples, and without any takes 1 for log-probabilities, 0.05
    for cosines."""

    needs_examples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, choices in (
            ("by", ("auto", "likelihood", "similarity")),
            ("calibration", ("auto", "contextual", "pmi", "batch", "none")),
        ):
            if getattr(self, name) not in choices:
                raise SettingError(f"{name} {getattr(self, name)!r}: choose {', '.join(choices)}")
        if self.temperature is not None and not self.temperature > 0:
            raise SettingError(f"temperature {self.temperature}: give a number above 0")
        if self.template is not None and "{label}" not in self.template:
            raise SettingError(f"template {self.template!r}: {{label}} must stand in it")

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:  # noqa: ARG002
        """Put the labels into words, and calibrate.

        Raises:
            UnsupportedError: The model is neither causal nor an encoder, or not what `by` asks for.
            SettingError: A description of a label that there is not, or `batch` without examples.
        """
        words = described(examples.labels, self.descriptions)
        template = self.template or template_for(words)
        body, heads = (
            self._by_likelihood(model, words, template)
            if self._asks_likelihood(model)
            else (
                able(model, Encoder, "zero_shot"),
                _label_vectors(model, filled(template, words)),
            )
        )
        assert isinstance(body, Model)
        features = _dense(encoded(body, examples.texts, examples.task.reads_whole)) if len(examples) else None
        scores = None if features is None else features @ heads
        method, shift = self._shift(body, heads, scores, examples)
        sharpness, told = self._sharpness(body, scores, shift, examples)
        weights, bias = (heads * sharpness).astype(np.float32), (shift * sharpness).astype(np.float32)
        notes = [f"labels are read as: {'; '.join(filled(template, words))}", f"calibration: {method}"]
        return TaskModel(body, examples.task, examples.labels, weights, bias, Lineage(scores=told, notes=notes))

    def _asks_likelihood(self, model: Model) -> bool:
        return self.by == "likelihood" or (self.by == "auto" and isinstance(model, Causal))

    def _by_likelihood(self, model: Model, words: tuple[str, ...], template: str) -> tuple[Any, np.ndarray]:
        able(model, Causal, "zero_shot by likelihood")
        return LabelLikelihood.of(model, words, template=template), np.eye(len(words))

    def _shift(
        self, body: Model, heads: np.ndarray, scores: np.ndarray | None, examples: Examples
    ) -> tuple[str, np.ndarray]:
        """The calibration's name, and what is added to each label's score: float64 (labels,)."""
        likelihood, method = isinstance(body, LabelLikelihood), self.calibration
        if method == "auto":
            method = "batch" if scores is not None else "contextual" if likelihood else "none"
        if method == "none":
            return method, np.zeros(heads.shape[1])
        if method == "batch":
            if scores is None:
                raise SettingError("calibration batch needs the texts of examples: give some, or choose another")
            present = [scores[examples.targets == label].mean(axis=0) for label in np.unique(examples.targets)]
            return method, -np.mean(present, axis=0)
        free = _dense(encoded(body, _CONTENT_FREE if method == "contextual" else ("",))) @ heads
        # Zhao et al. 2021 take the mean of probabilities and divide by it.
        return method, -(np.log(np.exp(free).mean(axis=0)) if likelihood else free.mean(axis=0))

    def _sharpness(
        self, body: Model, scores: np.ndarray | None, shift: np.ndarray, examples: Examples
    ) -> tuple[float, dict[str, float]]:
        if self.temperature is not None or scores is None:
            usual = 1.0 if isinstance(body, LabelLikelihood) else _COSINES
            return (usual if self.temperature is None else 1 / self.temperature), {}
        sharpness, loss = sharpness_of(scores + shift, examples.targets, _BOUNDS, smoothed=True)
        return sharpness, {"train_loss": loss, "temperature": 1 / sharpness}


def _label_vectors(model: Model, sentences: list[str]) -> np.ndarray:
    """A head that gives cosines to texts whose vectors are as long as these sentences': float64 (width, labels)."""
    vectors = _dense(encoded(model, sentences))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    typical = float(np.sqrt((lengths**2).mean())) or 1.0
    head: np.ndarray = (vectors / np.maximum(lengths, 1e-12)).T / typical
    return head


def _dense(encoding: Any) -> np.ndarray:
    features = encoding.features
    return np.asarray(features if isinstance(features, np.ndarray) else features.todense(), dtype=np.float64)
