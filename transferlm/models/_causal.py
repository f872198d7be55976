"""What scoring needs of a causal model that reads a limited number of tokens at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from transferlm.errors import SettingError

__all__ = ["Window", "strided_windows"]


class Window(NamedTuple):
    """Tokens `start` to `stop` are read together, and those from `scored` on are given a probability."""

    start: int
    scored: int
    stop: int


def strided_windows(length: int, window: int, stride: int | None = None) -> Iterator[Window]:
    """Windows over a long sequence in which each token is scored once, with as much context as the stride leaves it.

    Every token after the first window has at least `window - stride` tokens before it, where windows side by side would
    leave the first of each with none, and report a loss that is too high (Press, Smith & Lewis 2021, section 2).

    Args:
        length: Tokens of the sequence.
        window: Most tokens that the model reads at once.
        stride: Tokens scored a window after the first; default half of it: twice the work, and half the context at
            least.

    Raises:
        SettingError: No room, or a stride that would leave tokens out.

    >>> [tuple(w) for w in strided_windows(10, window=4, stride=3)]
    [(0, 0, 4), (3, 4, 7), (6, 7, 10)]
    """
    step = max(1, window // 2) if stride is None else stride
    if window < 1 or not 1 <= step <= window:
        raise SettingError(f"a stride of {step} does not fit a window of {window}: give 1 up to the window")
    done = 0
    while done < length:
        stop = min(length, done + (step if done else window))
        yield Window(max(0, stop - window), done, stop)
        done = stop
