"""A corpus as rows of token ids in memory-mapped files: tokenised once, read row by row in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from transferlm.errors import DataError
from transferlm.progress import track
from transferlm.text.array_file import write_arrays
from transferlm.text.windows import windows

__all__ = ["TokenRows", "token_rows"]


class TokenRows(Sequence[np.ndarray]):
    """Rows of token ids, each copied from the file when it is asked for.

    Attributes:
        ids: int32 of shape (tokens,): all rows one after the other.
        starts: int64 of shape (rows + 1,): where each begins, and where the last one ends.
        lengths: int64 of shape (rows,).
    """

    def __init__(self, ids: np.ndarray, starts: np.ndarray) -> None:
        self.ids, self.starts = ids, starts
        self.lengths: np.ndarray = np.diff(starts)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> np.ndarray:  # type: ignore[override]
        return self.ids[self.starts[row] : self.starts[row + 1]]


def token_rows(
    corpus: Iterable[str], write: Callable[[Sequence[str]], Iterable[np.ndarray]], key: str, folder: Path
) -> TokenRows:
    """The corpus as rows of token ids, kept in the folder under `key`.

    Args:
        corpus: Texts, read once as a stream where the files are not there yet.
        write: Texts -> their rows of token ids.
        key: Hash of everything that decides the rows: text, tokenizer, longest row.
        folder: Where the files lie; each appears whole or not at all.

    Raises:
        DataError: No text gives a row.
    """
    ids, starts = folder / f"{key[:48]}.ids", folder / f"{key[:48]}.starts"
    # The second file is put in its place last, so that where it stands the first one stands too.
    if not _are_whole(ids, starts):
        bounds = write_arrays(ids, _rows(corpus, write))
        if len(bounds) < 2:
            raise DataError("the corpus has no token to learn from: its texts are empty once they are normalised")
        write_arrays(starts, [bounds])
    return TokenRows(np.memmap(ids, dtype=np.int32, mode="r"), np.fromfile(starts, dtype=np.int64))


def _are_whole(ids: Path, starts: Path) -> bool:
    """Whether both files are there, and the first is as long as the second says."""
    if not (ids.is_file() and starts.is_file()) or starts.stat().st_size < 16 or starts.stat().st_size % 8:
        return False
    return ids.stat().st_size == int(np.fromfile(starts, np.int64, offset=starts.stat().st_size - 8)[0]) * 4


def _rows(corpus: Iterable[str], write: Callable[[Sequence[str]], Iterable[np.ndarray]]) -> Iterator[np.ndarray]:
    for texts in windows(track(corpus, "tokenising", unit="texts")):
        yield from (row.astype(np.int32) for row in write(texts))
