"""How probable a language model finds each label after a text: a classifier that needs no labelled examples."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from transferlm import storage
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models._opening import open_part
from transferlm.models.base import Causal, Encoder, Encoding, Model, digest, made_from, require
from transferlm.text.windows import windows

__all__ = ["LabelLikelihood"]

_LANGUAGE_MODEL = "language_model"
_WORDS = "labels.json"


@dataclass(eq=False)
class LabelLikelihood(Model, Encoder):
    """A causal model asked which label goes with a text: the text is encoded as each label's log-probability.

    Text and label are put into the template, and the whole is scored with each label in its place: where the label
    stands behind the text, what is compared is the label's probability given the text (Brown et al. 2020), where it
    stands in front, the text's given the label (Min et al. 2022). The log-probabilities of a text's labels are
    normalised.
    """

    template: str = "{text}\nThis text is about {label}."
    """What is scored: `{text}` and `{label}` stand for the text and for a label's words."""

    def __post_init__(self) -> None:
        for name in ("{text}", "{label}"):
            if self.template.count(name) != 1:
                raise SettingError(f"template {self.template!r}: {name} must stand in it once")
        self._causal: Any = None
        self._words: tuple[str, ...] = ()

    @classmethod
    def of(cls, causal: Model, words: Sequence[str], **settings: Any) -> Self:
        """A causal model and the words that stand for each label.

        Args:
            causal: What scores; it is copied.
            words: One a label, in the order of the labels.
            settings: Hyper-parameters.

        Raises:
            UnsupportedError: The model is not causal.
            SettingError: The template is none, or there are no words.
        """
        require(causal, (Causal,), "likelihoods of labels")
        made = cls(**settings)
        if not words or not all(word.strip() for word in words):
            raise SettingError(f"words {list(words)}: give some for each label")
        made._causal, made._words = causal.copy(), tuple(words)
        return made

    @property
    def encoding_width(self) -> int:
        """One number a label."""
        return len(self._words)

    def encode(self, texts: Sequence[str]) -> Encoding:
        """Log-probabilities of the labels, in nats, that sum to 1 over a text's labels: float32 (texts, labels).

        Where the model finds a text impossible with every label, all labels are alike.
        """
        if self._causal is None:
            raise DataError("label_likelihood has no language model yet: transfer one to a task with zero_shot")
        found = [np.zeros((0, len(self._words)))]
        for window in windows(texts):
            joint = self._causal.log_probs(self._filled(window)).reshape(len(window), len(self._words))
            joint[np.isneginf(joint).all(axis=1)] = 0.0
            found.append(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        features = np.maximum(np.concatenate(found), _LEAST).astype(np.float32)
        return Encoding(features, np.ones(len(texts)))

    def _filled(self, texts: Sequence[str]) -> Iterator[str]:
        before, between = self.template.split("{text}")
        for text in texts:
            for word in self._words:
                yield f"{before.replace('{label}', word)}{text}{between.replace('{label}', word)}"

    # ---------------------------------------------------------------- identity and storage

    def copy(self) -> Self:
        """An independent model; the language model is only read, so that both may hold the same one."""
        twin = copy.copy(self)
        twin.lineage = copy.deepcopy(self.lineage)
        return twin

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the template, the labels' words and the language model."""
        said = json.dumps([self.template, self._words])
        return digest("label_likelihood", said, self._causal.fingerprint if self._causal is not None else "")

    def write(self, folder: Path) -> None:
        """The labels' words, and the language model in a folder of its own."""
        storage.write_json(folder / _WORDS, list(self._words))
        self._causal.save(folder / _LANGUAGE_MODEL)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there."""
        model = made_from(cls, folder)
        words = folder.json(_WORDS)
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise ModelFolderError(f"{folder.path / _WORDS} holds no list of words: copy the folder again")
        model._words = tuple(words)
        model._causal = open_part(folder, _LANGUAGE_MODEL, (Causal,))
        return model


_LEAST = -1e4
"""Log-probability of a label that is impossible: finite, so that a head can be laid over it."""
