"""Models that give each next token a probability, and those that follow from counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transferlm.errors import SettingError
from transferlm.models._beams import best_texts
from transferlm.models._contract.model import Trainable
from transferlm.models._sampling import Continuation, Drawing, Reread
from transferlm.models._side_by_side import TOGETHER, Alone, SideBySide, drawn_pieces, drawn_texts
from transferlm.seeding import derive

if TYPE_CHECKING:
    from transferlm.counts.counted_text import CountedText

__all__ = ["Causal", "CountBased", "Exportable", "HiddenStates", "TokenScores", "Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """What a causal model's probabilities are distributed over.

    Attributes:
        name: For people: "word, 10,000 types, closed".
        size: Number of tokens.
        closed: Some strings can't be written in it, so bits per byte would not be a distribution over strings.
        hash: Perplexities of two models may be compared only when these agree.
    """

    name: str
    size: int
    closed: bool
    hash: str


@dataclass(frozen=True)
class TokenScores:
    """A text's log-probability, token by token.

    Attributes:
        log_probs: Natural logarithms, float64 of shape (tokens,); the last is the end of the text.
        offsets: int32 of shape (tokens, 2): each token's characters in the text; (n, n) for the end.
        ids: int32 of shape (tokens,): the tokens themselves, as the model's tokenizer numbers them.
    """

    log_probs: np.ndarray
    offsets: np.ndarray
    ids: np.ndarray


class Causal(ABC):
    """A model that gives each next token a probability."""

    tokenizer: Any
    """How texts become tokens (`text/tokenizers/`)."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """What the probabilities are distributed over."""

    @abstractmethod
    def token_scores(self, texts: Iterable[str], context: Literal["text", "stream"] = "text") -> Iterator[TokenScores]:
        """Nats a token, one text after the other, in memory that does not grow with their number.

        Args:
            texts: The texts to score, read as they are needed.
            context: `text` scores each on its own; `stream` carries the state from text to text, as the published
                tables of Penn Treebank and WikiText do.

        Returns:
            Scores in the order of the texts.
        """

    @abstractmethod
    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the next token: float64 of shape (contexts, vocabulary); each row's exp sums to 1."""

    def log_probs(self, texts: Iterable[str]) -> np.ndarray:
        """Log-probability of each whole text with its end, in nats: shape (texts,)."""
        return np.array([scores.log_probs.sum() for scores in self.token_scores(texts)])

    def sample(
        self, prompt: str = "", count: int = 1, *, beams: int | None = None, seed: int = 0, **drawing: Any
    ) -> list[str]:
        """Draw texts that begin with a prompt, or search the most probable ones.

        Args:
            prompt: How each text begins; it is part of what is returned, as it was given.
            count: How many texts.
            beams: Follow that many hypotheses and return the texts with the highest mean log-probability a token, best
                first, instead of drawing; 4 to 10 are usual.
            seed: Decides every draw. The first texts are the same however many are asked for.
            drawing: `length` (100 tokens a text at the most), `temperature` (1; less prefers what is probable, 0 takes
                the most probable token), `top_k`, `top_p` and `repetition_penalty`, as `Drawing` tells them.

        Returns:
            Whole texts. The unknown token is never written, save where a model says how (`Continuation.barred`).

        Raises:
            SettingError: A setting is unknown or out of its range.
            DataError: The model has seen no text yet, or gives no token a probability.
        """
        if count < 1:
            raise SettingError(f"count {count}: give 1 text or more")
        how, generators = Drawing.of(drawing), [_draws(seed, number) for number in range(count)]
        if beams is not None:
            return best_texts(self._continuations(prompt, generators[:1]), how, beams, count)
        groups = [generators[first : first + TOGETHER] for first in range(0, count, TOGETHER)]
        return [text for group in groups for text in drawn_texts(self._continuations(prompt, group), how, group)]

    def sample_pieces(self, prompt: str = "", *, seed: int = 0, **drawing: Any) -> Iterator[str]:
        """The first text of `sample` in pieces as they are drawn, the prompt first; settings and errors are its own."""
        how, generator = Drawing.of(drawing), _draws(seed, 0)
        return drawn_pieces(self._continuations(prompt, [generator]), how, generator)

    def _continuation(self, prompt: str, generator: np.random.Generator) -> Continuation:  # noqa: ARG002
        """A text that begins so. `generator` is for what a family draws beside tokens."""
        return Reread(self, prompt)

    def _continuations(self, prompt: str, generators: Sequence[np.random.Generator]) -> SideBySide:
        """As many texts as there are generators. A family that reads them together has a group of its own."""
        return Alone(self._continuation(prompt, generator) for generator in generators)


def _draws(seed: int, number: int) -> np.random.Generator:
    """What decides the draws of one text."""
    return np.random.default_rng(derive(seed, "sample", number))


class HiddenStates(Causal):
    """A causal model that predicts each token from a vector and tells it: what a cache of states needs."""

    @abstractmethod
    def predicting_states(
        self, texts: Iterable[str], context: Literal["text", "stream"] = "text"
    ) -> Iterator[tuple[TokenScores, np.ndarray]]:
        """What `token_scores` gives, and beside each text's the hidden states that its tokens were predicted from.

        Those of one text are in memory together: 4 bytes times the width a token.

        Returns:
            Scores and states, float32 of shape (tokens, width); the last state predicts the end of the text.
        """


class Exportable(ABC):
    """A model that other n-gram tools can read."""

    @abstractmethod
    def export(self, path: Path) -> None:
        """Write an ARPA file; compressed if its name ends in `.gz`.

        Raises:
            DataError: There is nothing to write yet.
        """


class CountBased(Causal, Trainable, Exportable):
    """A causal model that follows from n-gram counts: counts out, model from counts."""

    unit: str
    """What is counted: words or characters (`text.lexicon.UNITS`)."""

    @property
    @abstractmethod
    def counts(self) -> CountedText:
        """The raw counts that the model was made from.

        Raises:
            UnsupportedError: They were not kept.
            DataError: Nothing was counted yet.
        """

    @abstractmethod
    def counted(self, corpus: Iterable[str], scratch: Path | None = None) -> CountedText:
        """Raw counts of other texts, such that they may be added to `counts` or taken away from them."""

    @abstractmethod
    def adopt(self, counts: CountedText) -> None:
        """Take these counts for one's own and estimate anew, in place."""

    def notes(self) -> list[str]:
        """What a person should know of how the probabilities were estimated."""
        return []
