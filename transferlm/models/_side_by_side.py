"""Several texts that grow by a token each at a time, so that a network reads all their tokens in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from transferlm.models._sampling import Continuation, Drawing

__all__ = ["TOGETHER", "Alone", "SideBySide", "drawn_pieces", "drawn_texts"]

TOGETHER = 16
"""Texts of a group: more take more memory for what a network keeps of each and gain little speed."""
_HALF = "\ufffd"
"""What stands for the bytes of a character that is not whole yet."""


class SideBySide(ABC):
    """Texts that begin with a prompt: what may come next in each, and what has come.

    Attributes:
        end_id: The token that ends a text.
        barred: As `Continuation` has it.
    """

    end_id: int
    barred: np.ndarray

    @abstractmethod
    def log_probs(self) -> np.ndarray:
        """Log-probabilities of each text's next token: float64 of shape (texts, vocabulary), the caller's to change."""

    @abstractmethod
    def take(self, rows: Sequence[int], tokens: Sequence[int]) -> None:
        """Go on with texts `rows`, each by its token; one may be named twice, and goes on in both ways, or left out."""

    @abstractmethod
    def text(self, row: int) -> str:
        """The prompt as it was given, and what that text took."""


class Alone(SideBySide):
    """Texts that know nothing of one another: as quick as one after the other."""

    def __init__(self, texts: Iterable[Continuation]) -> None:
        self._texts = list(texts)
        self.end_id, self.barred = self._texts[0].end_id, self._texts[0].barred

    def log_probs(self) -> np.ndarray:
        """The distribution after each text."""
        return np.stack([text.log_probs() for text in self._texts])

    def take(self, rows: Sequence[int], tokens: Sequence[int]) -> None:
        """Each goes on; a text that goes on in several ways is forked for all but the last."""
        left, grown = Counter(rows), []
        for row, token in zip(rows, tokens, strict=True):
            left[row] -= 1
            text = self._texts[row].fork() if left[row] else self._texts[row]
            text.take(token)
            grown.append(text)
        self._texts = grown

    def text(self, row: int) -> str:
        """The prompt and what was taken."""
        return self._texts[row].text()


def drawn_texts(group: SideBySide, drawing: Drawing, generators: Sequence[np.random.Generator]) -> list[str]:
    """Every text of the group drawn to its end, or to the drawing's length; each draws with a generator of its own."""
    texts = [""] * len(generators)
    for number, row in _taken(group, drawing, generators):
        if row is not None:
            texts[number] = group.text(row)
    return texts


def drawn_pieces(group: SideBySide, drawing: Drawing, generator: np.random.Generator) -> Iterator[str]:
    """The text of a group of one in pieces, the prompt first, each as soon as it is whole characters."""
    told = group.text(0)
    yield told
    for _, row in _taken(group, drawing, [generator]):
        text = group.text(0)
        whole = text if row is not None else text.rstrip(_HALF)
        if len(whole) > len(told):
            yield whole[len(told) :]
            told = whole


def _taken(
    group: SideBySide, drawing: Drawing, generators: Sequence[np.random.Generator]
) -> Iterator[tuple[int, int | None]]:
    """Draw token after token; yields a text's number at each of its tokens, and its row in the group at its end."""
    alive, drawn = list(range(len(generators))), [list[int]() for _ in generators]
    for _ in range(drawing.length):
        logs, going = group.log_probs(), list[tuple[int, int]]()
        for row, number in enumerate(alive):
            token = drawing.token(drawing.weighed(logs[row], group.barred, drawn[number]), generators[number])
            if token == group.end_id:
                yield number, row
            else:
                going.append((row, token))
                drawn[number].append(token)
        if not going:
            return
        alive = [alive[row] for row, _ in going]
        group.take([row for row, _ in going], [token for _, token in going])
        yield from ((number, None) for number in alive)
    yield from ((number, row) for row, number in enumerate(alive))
