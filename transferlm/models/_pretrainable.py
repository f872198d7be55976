"""Pretraining from scratch, as every model does it that learns from plain text by gradients."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

from transferlm.catalog import find
from transferlm.errors import DataError, ModelFolderError
from transferlm.models._gradient_trained import weights_digest
from transferlm.models._own_tokenizer import own_tokenizer
from transferlm.models._training import Training
from transferlm.models.base import Model, SelfSupervised, Trainable, digest
from transferlm.storage import Folder
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["Pretrainable"]


class Pretrainable(Model, SelfSupervised, Trainable):
    """A self-supervised model whose weights are drawn and then trained on text: it says on what, and how."""

    default_tokenizer: ClassVar[str]
    """How text is cut into tokens where nothing else is said: a name of `text/tokenizers/`."""
    held_out: float
    """Share of the texts kept aside to choose the best weights; 0 keeps the last weights."""
    _learnt = False

    @property
    def trained(self) -> bool:
        """Whether the weights have seen text."""
        return self._learnt

    @property
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters, tokenizer and weights."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        if self.tokenizer is None or not hasattr(self, "module"):
            return digest(self.family, settings)
        return digest(self.family, settings, self.tokenizer.hash, *self._digests())

    def untrained(self, seed: int = 0) -> Self:
        """The same architecture and tokenizer with weights drawn anew."""
        known = self.tokenizer is not None and self.tokenizer.trained
        tokenizer = self.tokenizer if known or self.tokenizer is None else self.tokenizer.untrained()
        twin = type(self)(**self.hyper_parameters())
        twin.tokenizer = tokenizer
        if known:
            twin._build(seed, getattr(getattr(self, "module", None), "config", None))
        return twin

    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:
        """Lower the model's own loss on the corpus; a tokenizer that has learnt nothing yet learns first.

        The corpus is tokenised once into a memory-mapped file in the cache folder and never held in memory.

        Args:
            corpus: Texts, read twice where the tokenizer has to learn from them.
            seed: Decides initial weights, held-out part, order and dropout.
            checkpoints: Folder for the training state and its log; an interrupted run goes on from there.

        Raises:
            DataError: The corpus is empty, or too short for one step.
            SettingError: The weights are neither there nor can they be drawn.
        """
        whole = Corpus.of(corpus)
        self.begin(whole, seed)
        splits = self.held_out and whole.survey().texts > 1
        train, held = whole.held_out(self.held_out, seed) if splits else (whole, None)
        judge = None if held is None else self.objective(held)
        key = digest("pretrain", self.fingerprint, whole.hash, str(seed))
        self.training(train, seed).run(seed, checkpoints, key, judge)
        self._learnt = True
        return self

    def begin(self, corpus: Corpus, seed: int = 0) -> None:
        """Make what the training needs and the model lacks: a tokenizer that knows the corpus, weights drawn anew."""
        if self.tokenizer is None:
            self.tokenizer = find("tokenizers", self.default_tokenizer)()
        if not self.tokenizer.trained:
            self.tokenizer.fit(corpus)
        if not hasattr(self, "module"):
            self._build(seed)

    @abstractmethod
    def training(self, corpus: Corpus, seed: int = 0) -> Training:
        """How the model is trained on a corpus from scratch, once it has begun; the order of batches is the seed's."""

    @abstractmethod
    def _build(self, seed: int, config: Any = None) -> None:
        """Draw the weights, for the tokenizer that is there; of a body of others in the shape that `config` tells."""

    def _reader(self) -> Tokenizer:
        """The tokenizer of a model that has weights, too.

        Raises:
            DataError: One of them is lacking.
        """
        reader: Tokenizer | None = self.tokenizer
        if reader is None or not reader.trained or not hasattr(self, "module"):
            raise DataError(f"this {self.family} model has seen no text yet: pretrain it first, or open a folder")
        return reader

    def _body(self) -> Any:
        """The module of a model that has weights.

        Raises:
            DataError: There are none yet.
        """
        self._reader()
        return self.module

    def _digests(self) -> list[str]:
        """SHA-256 of all weights, module by module."""
        return [weights_digest(self.module)]

    def _open_tokenizer(self, folder: Folder) -> None:
        """Take the tokenizer that lies in the folder (see `own_tokenizer`)."""
        self.tokenizer = own_tokenizer(folder)

    def _refuse_more_tokens_than_rows(self, folder: Folder) -> None:
        """Check that weights opened from a folder have a row for every token.

        Raises:
            ModelFolderError: They haven't.
        """
        tokens, rows = len(self._reader()), self.embedding.num_embeddings
        if tokens > rows:
            raise ModelFolderError(
                f"{folder.path}: the tokenizer has {tokens:,} tokens, the weights only {rows:,} rows: they don't belong"
                " together"
            )
