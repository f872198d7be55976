"""A corpus as token ids in a memory-mapped file: tokenised once, reused while text and tokenizer stay the same."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from transferlm.errors import DataError
from transferlm.progress import track
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["token_store"]

_BATCH = 1000


def token_store(corpus: Corpus, tokenizer: Tokenizer, folder: Path) -> np.ndarray:
    """The corpus as one stream of token ids, an end token first and after every text.

    The file is named after the hashes of text and tokenizer, appears whole or not at all, and is never held in memory:
    a page is read when it is used.

    Args:
        corpus: Texts, read once as a stream (and once more for their hash, where that is not known yet).
        tokenizer: A trained one.
        folder: Where the file lies.

    Returns:
        A read-only memory map of shape (tokens,), uint16 where the vocabulary fits in it, else int32.

    Raises:
        DataError: The corpus has no text.
    """
    kind = np.dtype(np.uint16 if len(tokenizer) <= 2**16 else np.int32)
    path = folder / f"{corpus.hash[:24]}-{tokenizer.hash[:24]}.{kind.name}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(corpus, tokenizer, kind, path)
    return np.memmap(path, dtype=kind, mode="r")


def _write(corpus: Iterable[str], tokenizer: Tokenizer, kind: np.dtype, path: Path) -> None:
    end = np.array([tokenizer.end_id], dtype=kind)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(end.tobytes())
            count = 0
            for texts in _batches(track(corpus, "tokenising", unit="texts")):
                parts = [part for t in tokenizer.encode(texts) for part in (t.ids.astype(kind), end)]
                file.write(np.concatenate(parts).tobytes())
                count += len(texts)
            if not count:
                raise DataError("the corpus is empty: there is nothing to learn from")
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(texts)
    while part := list(islice(waiting, _BATCH)):
        yield part
