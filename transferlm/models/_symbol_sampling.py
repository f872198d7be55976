"""Texts drawn from a back-off model: of the text so far only the symbols that a context reaches are kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from transferlm.counts.scorer import Scorer
from transferlm.models._sampling import Continuation, put_together
from transferlm.text.lexicon import END, UNKNOWN, Lexicon

__all__ = ["SymbolContinuation"]


class SymbolContinuation(Continuation):
    """A text of the words of a lexicon.

    Args:
        lexicon: The words.
        scorer: What comes after them.
        prompt: How the text begins.
        unknown: Gives the word to write where UNKNOWN is drawn; none bars it, and the other words share its
            probability.
    """

    end_id = END

    def __init__(
        self, lexicon: Lexicon, scorer: Scorer, prompt: str = "", unknown: Callable[[], str] | None = None
    ) -> None:
        self._lexicon, self._scorer, self._prompt, self._unknown = lexicon, scorer, prompt, unknown
        self._context = lexicon.encode([prompt]).ids[:-1][-scorer.order :]
        self._words: list[str] = []
        self.barred = np.array([UNKNOWN] if unknown is None else [], np.int64)

    def log_probs(self) -> np.ndarray:
        """What the model gives each symbol after the last ones."""
        row: np.ndarray = self._scorer.next_log_probs([self._context])[0]
        return row

    def take(self, token: int) -> None:
        """Go on by one symbol."""
        self._words.append(self._unknown() if token == UNKNOWN and self._unknown else self._lexicon.word(token))
        self._context = np.append(self._context, np.uint32(token))[-self._scorer.order :]

    def text(self) -> str:
        """The prompt and the words."""
        separator = self._lexicon.separator
        return put_together(self._prompt, separator.join(self._words), separator)
