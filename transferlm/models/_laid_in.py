"""A token table that begins with word vectors of others instead of drawn numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch

from transferlm import storage
from transferlm.errors import SettingError, UnsupportedError
from transferlm.models._pretrainable import Pretrainable
from transferlm.models._pretrained_table import Pretrained
from transferlm.text.corpus import Corpus

__all__ = ["LaidIn", "check_laid_in"]

_DRAWN_LENGTH = 3**-0.5
"""Root mean square length of a drawn row, whose numbers are uniform within 1 / sqrt(width) of 0."""


@dataclass(eq=False)
class LaidIn(Pretrainable):
    """A model over words whose first layer may begin from a table of word vectors, as `intersect_word2vec_format` does.

    The vectors are multiplied by one number, so that they are as long as drawn rows are in the root mean square: output
    layers that share the table would begin far off otherwise. A word that the table has in small letters only gets that
    vector; all others keep their drawn rows.
    """

    pretrained: str | None = None
    """Word vectors for the first layer, as wide as it is: a file, fetched name or model's folder; none draws all."""
    pretrained_words: Literal["trained", "frozen"] = "trained"
    """Whether pretraining moves their rows, or leaves them as they are; a task's fine-tuning moves all."""

    _begun: Sequence[storage.Lineage] = field(default=(), init=False, repr=False)
    _still: np.ndarray | None = field(default=None, init=False, repr=False)

    @property
    def begun_from(self) -> Sequence[storage.Lineage]:
        """The lineage of the word vectors that were laid in, if any were, and how many words got one."""
        return self._begun

    def begin(self, corpus: Corpus, seed: int = 0) -> None:
        """Make what the training needs and the model lacks, and lay the word vectors in.

        Raises:
            SettingError: The vectors' width is not that of the first layer.
            DataError: They have none of the words.
            UnsupportedError: The tokenizer cuts words into pieces.
        """
        super().begin(corpus, seed)
        if self.pretrained is not None and not self.trained:
            self._lay_in(self.pretrained)

    def _lay_in(self, source: str) -> None:
        reader, embedding = self._reader(), self.embedding
        if reader.kind not in ("word", "character"):
            raise UnsupportedError(
                f"{source} has vectors of words, and the {reader.kind} tokenizer cuts them into pieces: give"
                " --tokenizer word, or leave pretrained out"
            )
        pretrained = Pretrained.of(source, embedding.embedding_dim, "embedding_width")
        rows, vectors = pretrained.shared([_known(word, pretrained) for word in reader.vocabulary])
        length = float(np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
        with torch.no_grad():
            laid = torch.from_numpy(vectors * np.float32(_DRAWN_LENGTH / length))
            embedding.weight[torch.from_numpy(rows)] = laid.to(embedding.weight.device)
        told = {"words laid in": float(len(rows)), "of words": float(len(reader.vocabulary))}
        self._begun = (replace(pretrained.lineage, scores={**pretrained.lineage.scores, **told}),)
        self._still = rows if self.pretrained_words == "frozen" else None

    def _keeps_still(self) -> Callable[[Sequence[torch.Tensor]], None] | None:
        """Takes the gradient of the rows that are frozen away; None where none is."""
        if self._still is None or self.trained:
            return None
        weight: torch.Tensor = self.embedding.weight
        rows = torch.from_numpy(self._still).to(weight.device)

        def pull(_: Sequence[torch.Tensor]) -> None:
            if weight.grad is not None:
                weight.grad[rows] = 0

        return pull


def check_laid_in(pretrained_words: str, softmax: str) -> None:
    """Refuse settings that make no sense.

    Raises:
        SettingError: There is no such way, or frozen rows meet a softmax that moves the drawn rows alone.
    """
    if pretrained_words not in ("trained", "frozen"):
        raise SettingError(f"pretrained_words {pretrained_words!r}: choose trained or frozen")
    if pretrained_words == "frozen" and softmax == "sampled":
        raise SettingError("pretrained_words frozen needs the full softmax: a sampled one moves drawn rows by itself")


def _known(word: str, pretrained: Pretrained) -> str:
    """The word as the table has it: as it stands, or in small letters."""
    return word if word in pretrained.table else word.lower()
