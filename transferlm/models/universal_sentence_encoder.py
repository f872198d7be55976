"""The Universal Sentence Encoder: fixed vectors for texts in 16 languages, computed by numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from transferlm import storage
from transferlm.errors import ModelFolderError
from transferlm.models._universal_sentence_encoder import Architecture, SentenceNetwork
from transferlm.models.base import Encoder, Encoding, Model, digest, made_from
from transferlm.progress import Progress

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["UniversalSentenceEncoder"]

CONFIGURATION = "config.json"
TOKENIZER = "tokenizer.json"

_TEXTS = 256
"""Texts tokenised at a time, so that token ids of a large corpus never stand in memory together."""


@dataclass(eq=False)
class UniversalSentenceEncoder(Model, Encoder):
    """Frozen sentence vectors of the multilingual Universal Sentence Encoder (Yang et al. 2019, version 3).

    Translations of one another get near vectors, so a classifier trained on one language works in others.
    The weights come from `transferlm fetch use-multilingual` and never change: it can't be fine-tuned or
    updated, and there is nothing to set. It reads a text of any length to its end.
    """

    huggingface_types: ClassVar[frozenset[str]] = frozenset({"universal_sentence_encoder"})
    """`model_type` values of `config.json` that this family opens."""

    def __post_init__(self) -> None:
        self._network: SentenceNetwork | None = None
        self._tokenizer: Tokenizer
        self._configuration: dict[str, Any] = {}

    @property
    def encoding_width(self) -> int:
        """Length of a text's vector: 512 for the published weights."""
        return self._loaded().architecture.dense[-1]

    def encode(self, texts: Sequence[str]) -> Encoding:
        """One vector of length 1 a text: float32 of shape (texts, width); every text is read whole.

        Raises:
            ModelFolderError: The model has no weights: it was made by its constructor, not opened from a folder.
        """
        network = self._loaded()
        features = np.empty((len(texts), self.encoding_width), dtype=np.float32)
        with Progress("encoding", len(texts), "texts") as progress:
            for start in range(0, len(texts), _TEXTS):
                group = list(texts[start : start + _TEXTS])
                tokens = self._tokenizer.encode_batch_fast(group)
                features[start : start + len(group)] = network.vectors([encoding.ids for encoding in tokens])
                progress.advance(len(group))
        return Encoding(features, np.ones(len(texts)))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over configuration, weights and tokenizer."""
        tensors = self._loaded().tensors
        weights = [part for name in sorted(tensors) for part in (name, tensors[name].tobytes())]
        return digest(self.family, repr(self._loaded().architecture), self._tokenizer.to_str(), *weights)

    def write(self, folder: Path) -> None:
        """Configuration, weights and tokenizer, as `fetch` lays them."""
        storage.save_tensors(dict(self._loaded().tensors), folder / storage.WEIGHTS)
        storage.write_json(folder / CONFIGURATION, self._configuration)
        self._tokenizer.save(str(folder / TOKENIZER))

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The fetched or saved model there.

        Raises:
            ModelFolderError: A file is missing or damaged, or a tensor's shape is not what config.json says.
        """
        from tokenizers import Tokenizer

        model = made_from(cls, folder) if folder.manifest else cls()
        model._configuration = folder.json(CONFIGURATION)
        architecture = _architecture(model._configuration, folder)
        tensors = folder.tensors()
        _check(tensors, architecture, folder)
        try:
            model._tokenizer = Tokenizer.from_file(str(folder.file(TOKENIZER)))
        except Exception as error:  # noqa: BLE001 - the library raises the bare class
            raise ModelFolderError(f"{folder.path / TOKENIZER} is damaged ({error}): fetch it again") from None
        if model._tokenizer.get_vocab_size() > architecture.embeddings:
            raise ModelFolderError(
                f"{folder.path}: the tokenizer has {model._tokenizer.get_vocab_size():,} tokens, "
                f"the weights only {architecture.embeddings:,} rows: they don't belong together"
            )
        model._network = SentenceNetwork(architecture, tensors)
        return model

    def _loaded(self) -> SentenceNetwork:
        if self._network is None:
            raise ModelFolderError(
                "universal_sentence_encoder has weights only when opened from a folder: "
                "run `transferlm fetch use-multilingual` and load 'use-multilingual'"
            )
        return self._network


def _architecture(configuration: Any, folder: storage.Folder) -> Architecture:
    try:
        return Architecture.of(configuration)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFolderError(
            f"{folder.path / CONFIGURATION} does not give the sizes of this network ({error}): fetch it again"
        ) from None


def _check(tensors: dict[str, np.ndarray], architecture: Architecture, folder: storage.Folder) -> None:
    """Refuse tensors that the configuration doesn't describe, before any of them is used."""
    for name, shape in architecture.shapes().items():
        if name not in tensors:
            raise ModelFolderError(f"{folder.path}: tensor {name} is missing, the model is not whole")
        kind = np.uint8 if name == "embedding.codes" else np.float32
        found = tensors[name]
        if found.shape != shape or found.dtype != kind:
            raise ModelFolderError(
                f"{folder.path}: tensor {name} is {found.dtype}{found.shape}, "
                f"{CONFIGURATION} says {np.dtype(kind)}{shape}"
            )
