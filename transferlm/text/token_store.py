"""A corpus as token ids in a memory-mapped file: tokenised once, reused while text and tokenizer stay the same."""

from __future__ import annotations

import os
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

_LENGTH = np.dtype(np.int64)


def token_store(corpus: Corpus, tokenizer: Tokenizer, folder: Path) -> np.ndarray:
    """The corpus as one stream of token ids, an end token first and after every text.

    Of the special tokens that a tokenizer puts around a text those before it stand in the stream, as scoring has them;
    after it stands the end token alone. The file is named after the hashes of text and tokenizer, appears whole or not
    at all, and is never held in memory: a page is read when it is used. It ends with its own length, so that one that
    was cut off is written anew.

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
    path = folder / f"{corpus.hash[:24]}-{tokenizer.hash[:24]}.{kind.name}-stream"
    if not _is_whole(path, kind):
        write_arrays(path, _with_length(_stream(corpus, tokenizer, kind), kind))
    return np.memmap(path, dtype=kind, mode="r", shape=(_tokens(path, kind),))


def _tokens(path: Path, kind: np.dtype) -> int:
    """Tokens that a file of that size holds before its length."""
    return max(0, path.stat().st_size - _LENGTH.itemsize) // kind.itemsize


def _is_whole(path: Path, kind: np.dtype) -> bool:
    """Whether the file is there and as long as it says."""
    if not path.is_file() or path.stat().st_size < _LENGTH.itemsize:
        return False
    with path.open("rb") as file:
        file.seek(-_LENGTH.itemsize, os.SEEK_END)
        told = int(np.frombuffer(file.read(), _LENGTH)[0])
    return told * kind.itemsize + _LENGTH.itemsize == path.stat().st_size


def _with_length(parts: Iterable[np.ndarray], kind: np.dtype) -> Iterator[np.ndarray]:
    """The parts, and how many elements they had, as elements of the same type."""
    count = 0
    for part in parts:
        count += len(part)
        yield part
    yield np.array([count], _LENGTH).view(kind)


def _stream(corpus: Iterable[str], tokenizer: Tokenizer, kind: np.dtype) -> Iterator[np.ndarray]:
    """An end token, then each text's ids with an end token, a window of texts at a time."""
    end, prefix = np.array([tokenizer.end_id], dtype=kind), tokenizer.prefix.astype(kind)
    yield end
    empty = True
    for texts in windows(track(corpus, "tokenising", unit="texts")):
        empty = False
        bare = (tokens.ids.astype(kind) for tokens in tokenizer.encode_bare(texts))
        yield np.concatenate([part for ids in bare for part in (prefix, ids, end)])
    if empty:
        raise DataError("the corpus is empty: there is nothing to learn from")
