"""A corpus as masked language models read it: rows of tokens that know where words begin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from transferlm.models.base import digest
from transferlm.neural.batching import EpochBatch, by_length, epoch_batches, window_batches
from transferlm.sources import cache_folder
from transferlm.text.corpus import Corpus
from transferlm.text.token_rows import TokenRows, token_rows
from transferlm.text.tokenizers.base import Tokenizer
from transferlm.text.word_starts import begins_word

__all__ = ["MaskedText", "PackedText", "TextRows", "parted"]


def parted(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Token ids, and where words begin: in the file the id of a token that goes on with a word is `-1 - id`."""
    return np.where(row < 0, ~row, row), row >= 0


class MaskedText(ABC):
    """Rows of a corpus, in an order that seed and epoch decide; `parted` reads them."""

    @abstractmethod
    def batches(self, epoch: int, batch_size: int, seed: int) -> Sequence[EpochBatch]:
        """An epoch's batches."""

    @abstractmethod
    def whole(self) -> Sequence[np.ndarray]:
        """Row numbers of everything, in batches for measuring."""

    @abstractmethod
    def row(self, number: int) -> np.ndarray:
        """A row's tokens, without the model's marks around them."""

    @abstractmethod
    def tokens(self, rows: np.ndarray) -> int:
        """Tokens in these rows."""


class TextRows(MaskedText):
    """Each text a row; what is beyond `room` tokens goes on in a row of its own, so that nothing is left off."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, room: int, whole_words: bool) -> None:
        def pieces(texts: Sequence[str]) -> Iterator[np.ndarray]:
            for row in _marked(texts, tokenizer, whole_words):
                yield from (row[start : start + room] for start in range(0, len(row), room))

        key = digest("masked texts", corpus.hash, tokenizer.hash, str(room), str(whole_words))
        self.rows: TokenRows = token_rows(corpus, pieces, key, cache_folder() / "tokens")

    def batches(self, epoch: int, batch_size: int, seed: int) -> Sequence[EpochBatch]:
        """Rows of like length together, in a new order each epoch."""
        return epoch_batches(self.rows.lengths, batch_size, epoch, seed)

    def whole(self) -> Sequence[np.ndarray]:
        """All rows, the longest first."""
        return by_length(self.rows.lengths)

    def row(self, number: int) -> np.ndarray:
        """The row of that number."""
        return np.asarray(self.rows[number])

    def tokens(self, rows: np.ndarray) -> int:
        """Tokens in these rows."""
        return int(self.rows.lengths[rows].sum())


class PackedText(MaskedText):
    """Texts one after the other, an end token after each, in windows that are full from end to end.

    RoBERTa's full sentences (Liu et al. 2019, section 4.2): nothing is padded, and a window goes on into the next text.
    A row's number is the place of its first token.
    """

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, room: int, whole_words: bool) -> None:
        end = np.array([tokenizer.end_id], dtype=np.int32)

        def ended(texts: Sequence[str]) -> Iterator[np.ndarray]:
            return (np.concatenate([row, end]) for row in _marked(texts, tokenizer, whole_words) if len(row))

        key = digest("packed texts", corpus.hash, tokenizer.hash, str(whole_words))
        self.stream = token_rows(corpus, ended, key, cache_folder() / "tokens").ids
        self.window = min(room, len(self.stream))

    def batches(self, epoch: int, batch_size: int, seed: int) -> Sequence[EpochBatch]:
        """Windows in a new order each epoch, laid so that the few tokens left over change too."""
        return window_batches(len(self.stream), self.window, batch_size, epoch, seed)

    def whole(self) -> Sequence[np.ndarray]:
        """Windows side by side; the last one is shorter where they don't fit."""
        starts = np.arange(0, len(self.stream), self.window)
        return np.array_split(starts, -(-len(starts) * self.window // _TOKENS))

    def row(self, number: int) -> np.ndarray:
        """The window that begins there."""
        return np.asarray(self.stream[number : number + self.window])

    def tokens(self, rows: np.ndarray) -> int:
        """Tokens in these windows."""
        return int(np.minimum(self.window, len(self.stream) - rows).sum())


_TOKENS = 8192
"""Tokens of a batch for measuring, about."""


def _marked(texts: Sequence[str], tokenizer: Tokenizer, whole_words: bool) -> Iterator[np.ndarray]:
    """Each text's tokens, those that go on with a word marked (see `parted`)."""
    for text, tokens in zip(texts, map(tokenizer.bare, tokenizer.encode(texts)), strict=True):
        yield np.where(begins_word(text, tokens.offsets), tokens.ids, ~tokens.ids) if whole_words else tokens.ids
