"""Progress on standard error, with time left, for anything that takes over two seconds."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from transferlm import launched

__all__ = ["Progress", "perplexity_note", "quiet", "say", "track"]

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds of silence before a bar appears: shorter work needs none."""

_LINE_EVERY = 15.0
"""Seconds between lines where standard error is a file or a pipe, not a terminal."""

_silenced = False
_open = 0


@contextmanager
def quiet(silence: bool = True) -> Iterator[None]:
    """Within the block nothing is shown (the command line's `-q`)."""
    global _silenced
    before, _silenced = _silenced, silence or _silenced
    try:
        yield
    finally:
        _silenced = before


def say(message: str) -> None:
    """One line to the person at the terminal, on standard error; of several processes the main one says it."""
    if _audible():
        sys.stderr.write(message.rstrip("\n") + "\n")
        sys.stderr.flush()


def _audible() -> bool:
    return launched.main_process() and not _silenced


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(42), duration(125), duration(7300)
    ('42 s', '2 min 05 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def perplexity_note(nats: float) -> str:
    """Mean nats a token as a progress line tells them; what ran away is told by its size alone.

    >>> perplexity_note(5.0), perplexity_note(30.0), perplexity_note(math.inf)
    ('perplexity 148.41', 'perplexity above a million', 'perplexity above a million')
    """
    return f"perplexity {math.exp(nats):.2f}" if nats < math.log(1e6) else "perplexity above a million"


class Progress:
    """A counter with time left: a line redrawn in place on a terminal, a line now and then elsewhere.

    Only the outermost open counter draws, so that a comparison's own bar is not torn by the training inside it.

    Args:
        description: What is being done ("fine-tuning", "reading corpus").
        total: How many steps there are, or None when that is not known (a stream).
        unit: What a step is, in the plural ("steps", "texts", "bytes").
    """

    def __init__(self, description: str, total: float | None = None, unit: str = "steps") -> None:
        self.description, self.total, self.unit = description, total, unit
        self.done: float = 0
        self.note = ""

    def __enter__(self) -> Progress:
        global _open
        _open += 1
        self._outermost = _open == 1
        self._started = self._shown = time.monotonic()
        self._drawn = False
        return self

    def __exit__(self, *exception: object) -> None:
        global _open
        _open -= 1
        if self._drawn and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        if self._drawn and exception[0] is None and _audible():
            elapsed = time.monotonic() - self._started
            say(f"{self.description}: {self.done:,.0f} {self.unit} in {duration(elapsed)}{self._noted()}")

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        """Count `steps` more as done; `note` ("loss 1.23 bits") stands at the end of the line until replaced."""
        self.done += steps
        if note is not None:
            self.note = note
        now = time.monotonic()
        if (not self._drawn and now - self._started < PATIENCE) or not _audible() or not self._outermost:
            return
        terminal = sys.stderr.isatty()
        wait = (0.1 if terminal else _LINE_EVERY) if self._drawn else PATIENCE
        if now - (self._shown if self._drawn else self._started) < wait:
            return
        self._drawn, self._shown = True, now
        line = self._line(now - self._started)
        sys.stderr.write(f"\r\x1b[K{line}" if terminal else f"{line}\n")
        sys.stderr.flush()

    def _line(self, elapsed: float) -> str:
        speed = self.done / elapsed if elapsed > 0 else 0.0
        rate = f", {speed:,.0f} {self.unit} a second" if speed >= 10 else ""
        if not self.total:
            return f"{self.description}: {self.done:,.0f} {self.unit}{rate}{self._noted()}"
        left = duration((self.total - self.done) / speed) if speed else "?"
        return (
            f"{self.description}: {self.done:,.0f} of {self.total:,.0f} {self.unit}"
            f" ({100 * self.done / self.total:.0f}%){rate}, {left} left{self._noted()}"
        )

    def _noted(self) -> str:
        return f", {self.note}" if self.note else ""


def track(items: Iterable[T], description: str, total: float | None = None, unit: str = "steps") -> Iterator[T]:
    """Yield `items`, showing how far it is. `total` defaults to `len(items)` where that exists."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(description, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
