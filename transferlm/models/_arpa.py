"""ARPA files: the text format in which KenLM, SRILM and IRSTLM exchange back-off models."""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import FIRST_WORD, UNKNOWN
from transferlm.errors import DataError
from transferlm.models._arpa_reader import BLOCK, NEVER, SPECIAL, Reader
from transferlm.text.lexicon import Lexicon

__all__ = ["read_arpa", "write_arpa", "written"]

_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
_WHITE = re.compile("[ \t\n\r\x0b\x0c\0]")


def write_arpa(path: str | Path, back_off: BackOff, word_of: Callable[[int], str]) -> None:
    """Write a model as an ARPA file, whole or not at all.

    Logarithms have nine digits, so that `read_arpa` gives the same float32 numbers; -99 stands for the logarithm of 0.
    `<unk>` is written with `back_off.unknown` where it has no node and a probability.

    Args:
        path: The file; compressed if the name ends in `.gz`.
        back_off: The model.
        word_of: The word of each symbol from FIRST_WORD on.

    Raises:
        DataError: A word is empty, holds white space, is one of the format's own (`<s>`), or stands for two symbols.
    """
    path = Path(path)
    words = _words(back_off, word_of, path)
    extra = UNKNOWN not in back_off.symbols[0] and back_off.unknown > -np.inf
    with _written_whole(path) as file:
        file.write(b"\\data\\\n")
        for level in range(1, back_off.order + 1):
            file.write(b"ngram %d=%d\n" % (level, back_off.nodes(level) + (level == 1 and extra)))
        parents = list(back_off.parents)
        for level in range(1, back_off.order + 1):
            file.write(b"\n\\%d-grams:\n" % level)
            if level == 1 and extra:
                file.write(f"{_decimals(np.array([back_off.unknown]))[0].as_py()}\t<unk>\n".encode())
            for begin in range(0, back_off.nodes(level), BLOCK):
                file.write(_lines(back_off, parents, words, level, slice(begin, begin + BLOCK)))
        file.write(b"\n\\end\\\n")


def read_arpa(path: str | Path) -> tuple[list[bytes], BackOff]:
    """Read an ARPA file of KenLM, SRILM or IRSTLM; symbols and n-grams are put into the package's order.

    Fields may be parted by tabs or spaces, n-grams may stand in any order, and back-off weights may be missing.
    `<UNK>` is read as `<unk>`; without either, unknown words have no probability. The probability of `<s>` is not
    read. An n-gram whose beginning or end is not listed as an n-gram of its own gets it, with the probability that
    backing off gives (Heafield 2011).

    Args:
        path: The file; decompressed if the name ends in `.gz`.

    Returns:
        The words in the order of their bytes, the first being symbol FIRST_WORD, and the model.

    Raises:
        DataError: The file is none, is cut short, goes on after its end, contradicts its own counts, holds a
            log-probability that is above 0 or not a number, an n-gram twice, a word that is not among the unigrams or
            no UTF-8, or no `</s>`; or backing off to an n-gram that is not listed gives more than 1.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            return Reader(iter(file), path).read()
    except _DAMAGED as problem:
        line = _readable_lines(path) or None
        raise DataError(f"can't be decompressed further ({problem}): fetch it again", path=path, line=line) from None


def written(lexicon: Lexicon) -> Callable[[int], str]:
    """How words stand in a file: as they are; but a character that is white space by its name, such as `<U+0020>`."""
    return lexicon.word if lexicon.unit == "word" else lambda symbol: _visible(lexicon.word(symbol))


def _visible(letter: str) -> str:
    return f"<U+{ord(letter):04X}>" if letter.isspace() or letter == "\0" else letter


def _words(back_off: BackOff, word_of: Callable[[int], str], path: Path) -> pa.Array:
    """Words by symbol, large strings."""
    symbols = back_off.symbols[0].tolist()
    words = [""] * (max(symbols, default=0) + 1)
    for symbol in symbols:
        words[symbol] = SPECIAL[symbol] if symbol < FIRST_WORD else word_of(symbol)
    own = [words[symbol] for symbol in symbols if symbol >= FIRST_WORD]
    refused = {"", *SPECIAL.values(), "<UNK>"}
    for word in own:
        if word in refused or _WHITE.search(word):
            raise DataError(f"the word {word!r} can't stand in an ARPA file: give it another form", path=path)
    if len(set(own)) < len(own):
        word = next(word for word, times in Counter(own).items() if times > 1)
        raise DataError(f"the word {word!r} stands for two symbols: give one another form", path=path)
    return pa.array(words, pa.large_string())


def _lines(back_off: BackOff, parents: list[np.ndarray], words: pa.Array, level: int, part: slice) -> bytes:
    """The lines of some nodes of a level."""
    nodes = np.arange(back_off.nodes(level))[part]
    columns = []
    for at in range(level - 1, -1, -1):
        columns.append(words.take(pa.array(back_off.symbols[at][nodes])))
        nodes = parents[at][nodes]
    gram = pc.binary_join_element_wise(*columns[::-1], pa.scalar(" ", pa.large_string()))
    fields = [_decimals(back_off.log_probs[level - 1][part]), gram]
    if level < back_off.order:
        fields.append(_decimals(back_off.back_offs[level - 1][part]))
    line = pc.binary_join_element_wise(*fields, pa.scalar("\t", pa.large_string()))
    return "\n".join([*line.to_pylist(), ""]).encode()


def _decimals(natural: np.ndarray) -> pa.Array:
    """Nine digits of the logarithms to base 10, -99 for that of 0."""
    log10s = natural.astype(np.float64) / np.log(10)
    log10s[np.isneginf(log10s)] = NEVER
    scale = 10.0 ** (8 - np.floor(np.log10(np.maximum(np.abs(log10s), 1e-12))))
    return pa.array(np.round(log10s * scale) / scale + 0.0).cast(pa.large_string())


def _readable_lines(path: Path) -> int:
    """Lines of an archive before the place where it is damaged."""
    lines = 0
    with gzip.open(path) as file, suppress(*_DAMAGED):
        for lines, _ in enumerate(file, start=1):  # noqa: B007
            pass
    return lines


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that comes to its name when it is complete, and never otherwise."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as raw:
            if path.name.endswith(".gz"):
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
                    yield cast(IO[bytes], file)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
