"""Models that turn texts, or words, into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transferlm.models._contract.model import Trainable
from transferlm.text.framing import Frame, Text, Window, framed

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from transferlm.vectors.table import Asked, Near, WordTable
    from transferlm.vectors.words import Chinese

__all__ = [
    "Compilable",
    "Encoder",
    "Encoding",
    "GrowingVectors",
    "MapsVectors",
    "QuickEncoder",
    "TokenEncoder",
    "WordVectors",
]


@dataclass(frozen=True)
class Encoding:
    """Texts as vectors.

    Attributes:
        features: float32 of shape (texts, width), dense or a SciPy CSR matrix.
        read: float64 of shape (texts,): the share of each text's characters that fitted in the maximum length.
        known: float64 of shape (texts,): the share of each text's words that have a vector, 1 where it has no word;
            None for models that leave no word out.
    """

    features: np.ndarray | csr_matrix
    read: np.ndarray
    known: np.ndarray | None = None


class Encoder(ABC):
    """A model that turns a text into a vector."""

    @property
    @abstractmethod
    def encoding_width(self) -> int:
        """Length of the vector."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Encoding:
        """One vector a text, in the order given, whatever the batches inside."""


class MapsVectors(Encoder):
    """An encoder that has another one read the texts, and makes something of its vectors."""

    @property
    @abstractmethod
    def model(self) -> Any:
        """The encoder that reads."""

    @abstractmethod
    def mapped(self, encoding: Encoding) -> Encoding:
        """What becomes of the vectors of that encoder, text by text."""

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The texts' vectors, mapped."""
        return self.mapped(self.model.encode(texts))


class TokenEncoder(ABC):
    """A model that reads rows of tokens, cut by a tokenizer of its own, and has a vector for each token of a row."""

    tokenizer: Any
    """How texts become tokens (`text/tokenizers/`)."""
    max_length: int
    """Tokens of a text that are read; what is longer is cut, and said."""

    @abstractmethod
    def frame(self, pair: bool = False) -> Frame:
        """The special tokens around a text, or around a pair and between its two."""

    def windows(self, texts: Sequence[Text], whole: bool = False, longest: int | None = None) -> list[Window]:
        """Texts and pairs as the rows that the model reads, in order.

        Args:
            texts: Texts and pairs.
            whole: Whether what is beyond the maximum length goes on in further rows, which overlap; else it is cut.
            longest: Tokens of a row, where that is less than the maximum length.

        Raises:
            SettingError: The maximum length leaves no room for text.
        """
        self.frame()  # a model that has no tokenizer yet says so
        return framed(texts, self.tokenizer, self.frame, min(longest or self.max_length, self.max_length), whole)

    @property
    @abstractmethod
    def token_width(self) -> int:
        """Length of a token's vector."""

    @abstractmethod
    def encode_rows(self, rows: Sequence[Window], width: int) -> np.ndarray:
        """One vector a row: float32 of shape (rows, width); `width` is that of an encoding."""

    @abstractmethod
    def score_rows(self, rows: Sequence[Window], weights: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """A linear function of every token's vector: float32 of shape (tokens, size) for each row.

        Args:
            rows: What `windows` gave.
            weights: float32 of shape (token width, size).
            bias: float32 of shape (size,).
        """


class QuickEncoder(Encoder, TokenEncoder):
    """An encoder with forward passes made for prediction, in precisions that need a check before they are trusted."""

    @property
    @abstractmethod
    def precisions(self) -> tuple[str, ...]:
        """The precisions that this machine computes natively, the quickest first; none where there is no such pass."""

    @abstractmethod
    def encode_quickly(self, texts: Sequence[Text], precision: str, whole: bool = False) -> np.ndarray:
        """What `encode` gives, without what only training and reports need: float32 of shape (texts, width).

        Args:
            texts: Texts, or pairs that the model reads together.
            precision: One of `precisions`.
            whole: Whether a long text is read in overlapping windows, its vector being the mean of theirs.
        """

    @abstractmethod
    def score_quickly(
        self, rows: Sequence[Window], weights: np.ndarray, bias: np.ndarray, precision: str
    ) -> list[np.ndarray]:
        """What `score_rows` gives, in one of `precisions`; weights and bias are applied in fp32."""


class Compilable(QuickEncoder):
    """A quick encoder whose forward pass can be written down for a runtime without torch."""

    @property
    @abstractmethod
    def positions(self) -> int:
        """Tokens of a row that the weights can tell the places of."""

    @abstractmethod
    def graph(self, head: tuple[np.ndarray, np.ndarray, str] | None = None, int8: bool = False) -> bytes:
        """The forward pass as the content of an ONNX file (`neural/onnx_graph.py`).

        Args:
            head: Weights, bias, and whether a `text` or a `token` has scores; none writes no scores.
            int8: Whether matrices are 8-bit integers.

        Raises:
            UnsupportedError: The body computes something that has no such form.
        """


class WordVectors(Encoder):
    """A model that gives every word a vector, the same wherever it stands; a text is the mean of its words' vectors."""

    lowercase: bool
    """Whether capital letters are read as small ones."""
    punctuation: bool
    """Whether punctuation and symbols are split off as words of their own."""
    chinese: Chinese
    """How the words of Chinese are told."""

    @property
    @abstractmethod
    def table(self) -> WordTable:
        """The words and their vectors: similarity, nearest words, analogies.

        Raises:
            DataError: There are none yet.
        """

    def words_of(self, text: str) -> list[str]:
        """The words of a text, as the vectors have them."""
        from transferlm.vectors.words import cut

        return cut(text, self.lowercase, self.punctuation, self.chinese)

    def vectors_of(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Words' vectors: float32 of shape (words, width), zeros where unknown; and bool (words,), which are known."""
        rows = self.table.rows(words)
        known = rows >= 0
        return np.where(known[:, None], self.table.vectors[rows], np.float32(0)), known

    def nearest(self, word: str, count: int = 10) -> Near:
        """The words whose vectors have the largest cosine with this word's, itself left out.

        Raises:
            DataError: The word has no vector.
        """
        return self.table.nearest(self._asked(word), count)

    def analogy(self, a: str, b: str, c: str, count: int = 1) -> Near:
        """What is to `c` as `b` is to `a` (`WordTable.analogy`).

        Raises:
            DataError: A word has no vector.
        """
        return self.table.analogy(self._asked(a), self._asked(b), self._asked(c), count)

    def similarity(self, one: str, other: str) -> float:
        """Cosine between two words' vectors.

        Raises:
            DataError: A word has no vector.
        """
        return self.table.similarity(self._asked(one), self._asked(other))

    def _asked(self, word: str) -> Asked:
        """How the table is asked for a word; families that make vectors of unknown words give these."""
        return word

    @property
    def encoding_width(self) -> int:
        """Length of the vector."""
        return self.table.width

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The mean of the vectors of each text's known words, zeros where it has none: float32 (texts, width)."""
        features = np.zeros((len(texts), self.encoding_width), np.float32)
        shares = np.ones(len(texts))
        for row, text in enumerate(texts):
            words = self.words_of(text)
            vectors, known = self.vectors_of(words)
            if known.any():
                features[row] = vectors[known].mean(axis=0, dtype=np.float64)
            if words:
                shares[row] = known.mean()
        return Encoding(features, np.ones(len(texts)), shares)


class GrowingVectors(WordVectors, Trainable):
    """Word vectors that learn new words, and more of the old ones, from new text."""

    @abstractmethod
    def grow(
        self,
        corpus: Iterable[str],
        seed: int = 0,
        *,
        epochs: int = 5,
        learning_rate: float | None = None,
        plasticity: float = 1.0,
    ) -> None:
        """Take the text's new words into the vocabulary, behind the old ones, and go on training, in place.

        Args:
            corpus: The new text.
            seed: Decides every random choice.
            epochs: Passes.
            learning_rate: Step size at the start; none takes that of the model's own training.
            plasticity: How far the vectors of old words may move: 1 as those of new ones, 0 not at all.

        Raises:
            DataError: The model has seen no text yet, or there is none to learn from.
        """
