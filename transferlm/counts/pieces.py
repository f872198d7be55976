"""Loops cut into pieces, a thread each."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np

__all__ = ["THREADS", "even", "even_borders", "in_pieces"]

THREADS = max(1, min(2, os.cpu_count() or 1))
"""Threads that pay: the work is bound by memory, which a third would not make faster."""

_FEWEST = 1 << 13
"""Steps below which starting a thread costs more than it saves."""

T = TypeVar("T")


def in_pieces(work: Callable[[int, int], T], borders: list[int]) -> list[T]:
    """What `work(begin, end)` gives for each stretch between two borders, all stretches at once.

    The work must not depend on where the borders are, so that the number of threads leaves no trace.
    """
    stretches = list(pairwise(borders))
    if len(stretches) == 1:
        return [work(*stretches[0])]
    with ThreadPoolExecutor(len(stretches) - 1) as pool:
        others = [pool.submit(work, begin, end) for begin, end in stretches[1:]]
        return [work(*stretches[0]), *(other.result() for other in others)]


def even(steps: int, threads: int) -> list[int]:
    """Borders between stretches of as many steps each, one a thread; a single stretch where the steps are few."""
    pieces = threads if steps >= _FEWEST else 1
    return [steps * piece // pieces for piece in range(pieces + 1)]


def even_borders(first: np.ndarray, threads: int) -> list[int]:
    """Borders between groups: stretches of about as many members each, as `even` would have them.

    Args:
        first: Where the members of each group begin, and where the last end.
        threads: Most stretches; some may be empty.
    """
    inner = np.array(even(int(first[-1]), threads)[1:-1], first.dtype)
    return [0, *np.searchsorted(first, inner).tolist(), len(first) - 1]
