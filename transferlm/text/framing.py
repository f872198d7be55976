"""Texts and pairs of texts as rows of token ids: special tokens around them, what is too long cut or read on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transferlm.errors import SettingError

if TYPE_CHECKING:
    from transferlm.text.tokenizers.base import Tokenizer, Tokens

__all__ = ["Frame", "Text", "Window", "flat", "framed", "parts", "shares_read", "strings_of"]

Text = str | tuple[str, str]
"""What a model reads at once: a text, or a pair of them (two sentences; a question and its context)."""

OVERLAP = 4
"""Windows over a long text share at least one token in so many."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The special tokens that a model expects around a text, or around a pair and between its two.

    Attributes:
        prefix: int32 ids before everything.
        middle: int32 ids between the two texts of a pair; none for one text.
        suffix: int32 ids after everything.
        types: Token types of the first text and of the second, where the model tells them apart by that.
        sees_last: Whether the last token is the one that has seen all others (models that read from left to right); in
            models that read both ways it is the first, as in BERT.
    """

    prefix: np.ndarray
    middle: np.ndarray
    suffix: np.ndarray
    types: tuple[int, int] | None = None
    sees_last: bool = False

    def room(self, max_length: int) -> int:
        """Tokens of text that fit beside the special ones.

        Raises:
            SettingError: None do.
        """
        special = len(self.prefix) + len(self.middle) + len(self.suffix)
        if max_length <= special:
            raise SettingError(f"max_length {max_length} leaves no room for text: give {special + 1} or more")
        return max_length - special


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One row that a model reads: a text or a pair, or a stretch of it.

    Attributes:
        text: Which of the texts given it belongs to.
        ids: int32 of shape (tokens,).
        types: int64 of shape (tokens,), or None where the model needs no token types.
        start: Place of the first token of the text (of a pair: of the second) in `ids`.
        offsets: int32 of shape (text's tokens, 2): their characters in that text.
        sees_all: Place of the special token that has seen all others.
        reached: Characters of the text (of a pair: of both) that have been read by the end of this row.
    """

    text: int
    ids: np.ndarray
    types: np.ndarray | None
    start: int
    offsets: np.ndarray
    sees_all: int
    reached: int

    @property
    def ahead(self) -> bool:
        """Whether each token sees those that follow it: then it is not the last one that sees all."""
        return self.sees_all < len(self.ids) - 1


def parts(text: Text) -> tuple[str, str]:
    """First and second text; the first of a single one is empty."""
    return ("", text) if isinstance(text, str) else text


def strings_of(text: Text) -> tuple[str, ...]:
    """The one text, or the two of a pair."""
    return (text,) if isinstance(text, str) else text


def flat(text: Text) -> str:
    r"""A pair as one text, a line each: what duplicates are found by.

    >>> flat(("Who?", "It was me."))
    'Who?\nIt was me.'
    """
    return text if isinstance(text, str) else "\n".join(text)


def framed(
    texts: Sequence[Text], tokenizer: Tokenizer, frame_of: Callable[[bool], Frame], max_length: int, whole: bool
) -> list[Window]:
    """Texts as rows, in their order.

    Args:
        texts: Texts and pairs; each distinct string is cut into tokens once.
        tokenizer: Cuts them.
        frame_of: The model's special tokens for a pair (True) and for one text (False).
        max_length: Tokens a row.
        whole: Whether what is longer goes on in further rows, which share at least a quarter of their tokens with
            the one before; else it is cut. Of a pair the second text goes on and the first stands in every row, cut
            where it takes more than half of it. Without `whole` the longer text of a pair is cut first.

    Raises:
        SettingError: `max_length` leaves no room for text.
    """
    strings = list(dict.fromkeys(string for text in texts for string in strings_of(text)))
    longest = None if whole else max_length + tokenizer.special_count
    tokens = dict(zip(strings, map(tokenizer.bare, tokenizer.encode(strings, longest)), strict=True))
    frames: dict[bool, Frame] = {}
    rows: list[Window] = []
    for number, text in enumerate(texts):
        pair = not isinstance(text, str)
        if pair not in frames:
            frames[pair] = frame_of(pair)
        found = tuple(tokens[string] for string in strings_of(text))
        rows += _rows(number, text, found, frames[pair], max_length, whole)
    return rows


def _rows(
    number: int, text: Text, found: Sequence[Tokens], frame: Frame, max_length: int, whole: bool
) -> Iterator[Window]:
    room, second = frame.room(max_length), found[-1]
    kept = 0
    if len(found) == 2:
        lengths = (len(found[0]), len(second))
        kept = min(lengths[0], room // 2) if whole else _kept(lengths, room)
    left = room - kept
    before = [frame.prefix, *([found[0].ids[:kept], frame.middle] if len(found) == 2 else [])]
    place = sum(map(len, before))
    first_read = _reached(parts(text)[0], found[0], kept) if len(found) == 2 else 0
    for start in _starts(len(second), left) if whole else (0,):
        inner = second.ids[start : start + left]
        ids = np.concatenate([*before, inner, frame.suffix])
        end = start + len(inner)
        yield Window(
            number,
            ids,
            _types(frame, place, len(ids)) if len(found) == 2 else None,
            place,
            second.offsets[start:end],
            len(ids) - 1 if frame.sees_last else 0,
            first_read + _reached(parts(text)[1], second, end),
        )


def _kept(lengths: tuple[int, int], room: int) -> int:
    """Tokens of the first text that stay when the longer text is cut until both fit.

    >>> _kept((3, 4), 10), _kept((3, 20), 10), _kept((20, 3), 10), _kept((20, 20), 9)
    (3, 3, 7, 5)
    """
    first, second = lengths
    return min(first, max(room - second, (room + 1) // 2))


def _starts(tokens: int, room: int) -> list[int]:
    """Where the rows of a long text begin; the last one reaches back, so that it is as long as the others.

    >>> _starts(3, 8), _starts(8, 8), _starts(15, 8)
    ([0], [0], [0, 6, 7])
    """
    last = max(0, tokens - room)
    return [*range(0, last, max(1, room - room // OVERLAP)), last]


def _reached(text: str, tokens: Tokens, count: int) -> int:
    """Characters before the end of the first `count` tokens; all of them where these are all there is."""
    if count >= len(tokens) and not tokens.cut:
        return len(text)
    return int(tokens.offsets[:count, 1].max(initial=0))


def _types(frame: Frame, start: int, count: int) -> np.ndarray | None:
    if frame.types is None:
        return None
    types = np.full(count, frame.types[1], dtype=np.int64)
    types[:start] = frame.types[0]
    return types


def shares_read(texts: Sequence[Text], rows: Sequence[Window]) -> np.ndarray:
    """The share of each text's characters that its rows read: float64 of shape (texts,)."""
    reached = np.zeros(len(texts))
    for row in rows:
        reached[row.text] = max(reached[row.text], row.reached)
    lengths = np.array([sum(map(len, parts(text))) for text in texts], dtype=np.float64)
    return np.where(lengths > 0, reached / np.maximum(lengths, 1), 1.0)
