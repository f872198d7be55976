"""A file of numbers written as a stream, there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

__all__ = ["write_arrays"]


def write_arrays(path: Path, arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Write arrays one after the other into a file, which takes its name when the last one is on disk.

    Args:
        path: Where to; its folder is made.
        arrays: One-dimensional arrays of one type, taken as they come.

    Returns:
        Where each begins in the file and where the last one ends, in elements: int64 of shape (arrays + 1,).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lengths = [0]
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for array in arrays:
                file.write(array.tobytes())
                lengths.append(len(array))
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)
    return np.cumsum(np.array(lengths, dtype=np.int64))
