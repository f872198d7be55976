"""A corpus as token ids in a memory-mapped file: tokenised once, reused while text and tokenizer stay the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from transferlm.errors import DataError
from transferlm.progress import track
from transferlm.text.array_file import write_arrays
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers.base import Tokenizer
from transferlm.text.windows import windows

__all__ = ["token_store"]


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
        write_arrays(path, _stream(corpus, tokenizer, kind))
    return np.memmap(path, dtype=kind, mode="r")


def _stream(corpus: Iterable[str], tokenizer: Tokenizer, kind: np.dtype) -> Iterator[np.ndarray]:
    """An end token, then each text's ids with an end token, a window of texts at a time."""
    end = np.array([tokenizer.end_id], dtype=kind)
    yield end
    empty = True
    for texts in windows(track(corpus, "tokenising", unit="texts")):
        empty = False
        yield np.concatenate([part for t in tokenizer.encode(texts) for part in (t.ids.astype(kind), end)])
    if empty:
        raise DataError("the corpus is empty: there is nothing to learn from")
