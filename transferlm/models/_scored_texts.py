"""From texts to their tokens' scores and hidden states: what neural models share, whatever reads the tokens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from transferlm.models._causal import Context, refuse_context
from transferlm.models.base import HiddenStates, TokenScores
from transferlm.text.tokenizers.base import Tokens
from transferlm.text.windows import windows

__all__ = ["Scored", "TokenScorer", "TellsStates", "opening_of", "scored_texts", "with_end"]


class Scored(NamedTuple):
    """Tokens of a text.

    Attributes:
        log_probs: Natural logs, float64 of shape (tokens,).
        states: What they were predicted from, float32 of shape (tokens, width); of width 0 where they are not kept.
    """

    log_probs: np.ndarray
    states: np.ndarray

    @classmethod
    def joined(cls, parts: Iterable[Scored]) -> Scored:
        """Parts one after the other, with or without states all of them."""
        filled = [part for part in parts if len(part.log_probs)]
        if not filled:
            return cls(np.empty(0), np.empty((0, 0), np.float32))
        logs, states = zip(*filled, strict=True)
        return cls(np.concatenate(logs), np.concatenate(states))

    def split(self, places: Sequence[int] | np.ndarray) -> list[Scored]:
        """The parts between these places."""
        parts = zip(np.split(self.log_probs, places), np.split(self.states, places), strict=True)
        return [Scored(logs, states) for logs, states in parts]


class TokenScorer(Protocol):
    """Scores token ids: `alone` each text by itself, `streamed` after all texts before it."""

    def alone(self, targets: Sequence[np.ndarray]) -> list[Scored]:
        """Each text on its own."""

    def streamed(self, targets: Sequence[np.ndarray]) -> list[Scored]:
        """As `alone`, but after all texts before, those of earlier calls too."""


class TellsStates(HiddenStates):
    """A model whose scores of a text and the states behind them are found in one reading."""

    def token_scores(self, texts: Iterable[str], context: Context = "text") -> Iterator[TokenScores]:
        """Nats a token, the end of each text included; in fp32, so that probabilities sum to 1.

        Raises:
            DataError: The model has seen no text yet.
            SettingError: `context` is neither `text` nor `stream`.
        """
        refuse_context(context)
        return (scores for scores, _ in self._scored(texts, context, states=False))

    def predicting_states(
        self, texts: Iterable[str], context: Context = "text"
    ) -> Iterator[tuple[TokenScores, np.ndarray]]:
        """Scores, and the states that the output layer reads, each as it was when its token was scored."""
        refuse_context(context)
        return self._scored(texts, context, states=True)

    @abstractmethod
    def _scored(self, texts: Iterable[str], context: Context, states: bool) -> Iterator[tuple[TokenScores, np.ndarray]]:
        """Each text's scores and states; the states of width 0 where they are not asked for."""


def scored_texts(
    texts: Iterable[str],
    context: Context,
    encode: Callable[[list[str]], Sequence[Tokens]],
    end_id: int,
    scorer: TokenScorer,
) -> Iterator[tuple[TokenScores, np.ndarray]]:
    """Each text's scores, its end among them, and hidden states.

    Args:
        texts: Read as they are needed.
        context: As in `Causal.token_scores`.
        encode: Cuts texts into the tokens that are predicted.
        end_id: The token that ends a text.
        scorer: Reads them.
    """
    for window in windows(texts):
        ends = [with_end(tokens, text, end_id) for text, tokens in zip(window, encode(window), strict=True)]
        ids = [tokens.ids for tokens in ends]
        found = scorer.streamed(ids) if context == "stream" else scorer.alone(ids)
        for tokens, (logs, states) in zip(ends, found, strict=True):
            yield TokenScores(logs, tokens.offsets, tokens.ids), states


def with_end(tokens: Tokens, text: str, end_id: int) -> Tokens:
    """A text's tokens and its end."""
    after = np.full((1, 2), len(text), dtype=np.int32)
    return Tokens(np.append(tokens.ids, np.int32(end_id)), np.concatenate([tokens.offsets, after]), tokens.cut)


def opening_of(prefix: np.ndarray, end_id: int) -> np.ndarray:
    """What a text's first token is predicted from: the tokenizer's own prefix, or the end of the text before."""
    return prefix if len(prefix) else np.array([end_id], np.int32)
