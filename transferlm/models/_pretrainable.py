"""Pretraining from scratch, as every model does it that learns from plain text by gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Self

from transferlm.catalog import find
from transferlm.models._training import Training
from transferlm.models.base import Model, SelfSupervised, Trainable, digest
from transferlm.text.corpus import Corpus

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
    def _build(self, seed: int) -> None:
        """Draw the weights, for the tokenizer that is there."""
