"""The loop behind `Lookup`: each position's n-gram from the one that ends a position earlier."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["extend"]


@njit(cache=True, nogil=True)
def extend(
    ids: np.ndarray,
    shorter: np.ndarray,
    first: np.ndarray,
    symbols: np.ndarray,
    found: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Write for positions `begin:end` the child that the n-gram before each has for its symbol, -1 where it has none.

    `shorter[position]` is the n-gram that ends just before the position, -1 where there is none.
    """
    for position in range(begin, end):
        parent = shorter[position]
        found[position] = -1
        if parent < 0:
            continue
        low, last = np.int64(first[parent]), np.int64(first[parent + 1])
        high = last
        while low < high:
            middle = (low + high) // 2
            if symbols[middle] < ids[position]:
                low = middle + 1
            else:
                high = middle
        if low < last and symbols[low] == ids[position]:
            found[position] = low
