"""What scoring needs of causal models: windows over long sequences, and several models over the same texts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from transferlm.errors import SettingError
from transferlm.models.base import Causal, TokenScores
from transferlm.text.windows import windows

__all__ = ["Context", "Window", "refuse_context", "scored_windows", "strided_windows"]


Context = Literal["text", "stream"]
"""Whether a text is scored on its own or after all texts before it."""


def refuse_context(context: str) -> None:
    """Check a context.

    Raises:
        SettingError: It is neither `text` nor `stream`.
    """
    if context not in ("text", "stream"):
        raise SettingError(f"context {context!r}: choose text or stream")


class Window(NamedTuple):
    """Tokens `start` to `stop` are read together, and those from `scored` on are given a probability."""

    start: int
    scored: int
    stop: int


def strided_windows(length: int, window: int, stride: int | None = None, done: int = 0) -> Iterator[Window]:
    """Windows over a long sequence in which each token is scored once, with as much context as the stride leaves it.

    Every token after the first window has at least `window - stride` tokens before it, where windows side by side would
    leave the first of each with none, and report a loss that is too high (Press, Smith & Lewis 2021, section 2).

    Args:
        length: Tokens of the sequence.
        window: Most tokens that the model reads at once.
        stride: Tokens scored a window after the first; default half of it: twice the work, and half the context at
            least.
        done: Tokens at the front that were scored before and are context for the others.

    Raises:
        SettingError: No room, or a stride that would leave tokens out.

    >>> [tuple(w) for w in strided_windows(10, window=4, stride=3)]
    [(0, 0, 4), (3, 4, 7), (6, 7, 10)]
    >>> [tuple(w) for w in strided_windows(7, window=4, stride=3, done=3)]
    [(2, 3, 6), (3, 6, 7)]
    """
    step = max(1, window // 2) if stride is None else stride
    if window < 1 or not 1 <= step <= window:
        raise SettingError(f"a stride of {step} does not fit a window of {window}: give 1 up to the window")
    while done < length:
        stop = min(length, max(window, done + step))
        yield Window(max(0, stop - window), done, stop)
        done = stop


def scored_windows(
    models: Sequence[Causal], texts: Iterable[str], context: Context
) -> Iterator[tuple[list[str], list[list[TokenScores]]]]:
    """Texts window by window, and what each model gives them: a list of scores a model, in the order of the texts.

    The texts are read once, whatever the number of models, as they are needed.
    """
    if isinstance(texts, str):
        raise TypeError("several texts are needed: give [text]")
    own, *copies = itertools.tee(texts, len(models) + 1)
    streams = [model.token_scores(each, context) for model, each in zip(models, copies, strict=True)]
    for window in windows(own):
        yield window, [list(itertools.islice(stream, len(window))) for stream in streams]
