"""What `Lexicon` numbers texts with: windows as bytes, a list of words that grows, numbers in memory or on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import numpy as np

from transferlm.errors import DataError
from transferlm.text import _lexicon_kernels as kernels
from transferlm.text import _word_list_kernels as word_lists
from transferlm.text.white_space import WHITE_SPACE

__all__ = [
    "GrowingWords",
    "ReservedWordError",
    "SymbolStream",
    "encoded",
    "joined",
    "offsets_of",
    "room",
    "sorted_order",
]

_SPECIAL = (b"<s>", b"</s>", b"<unk>")
_BLOCK = 1 << 20


class ReservedWordError(DataError):
    """A text holds `<s>` or `</s>` as a word.

    Args:
        text: Which one, as far as it is known.
        path: The file it stands in.
        line: Its line there.
    """

    def __init__(self, text: str, path: str | None = None, line: int | None = None) -> None:
        message = f"{text} holds <s> or </s> as a word: they mark where texts begin and end, take them out"
        super().__init__(message, path=path, line=line)

    @staticmethod
    def concerns(text: str) -> bool:
        """Whether this text is such a one."""
        return not {"<s>", "</s>"}.isdisjoint(WHITE_SPACE.split(text))


class GrowingWords:
    """Words numbered as they come. `<s>`, `</s>` and `<unk>` come first, so that their numbers are their symbols.

    Args:
        characters: Whether each code point is a word.
    """

    def __init__(self, characters: bool) -> None:
        self._characters = characters
        self._letters = np.frombuffer(b"".join(_SPECIAL), np.uint8).copy()
        self._ends = np.zeros(1 << 12, np.int64)
        self._ends[: len(_SPECIAL)] = np.cumsum([len(word) for word in _SPECIAL])
        self._hashes = np.zeros(self._ends.size, np.uint64)
        self._hashes[: len(_SPECIAL)] = kernels.hashes_of(self._letters, self._ends[: len(_SPECIAL)])
        self._slots = kernels.table(self._hashes[: len(_SPECIAL)], 2 * self._ends.size)
        self.words = len(_SPECIAL)

    def add(self, texts: Sequence[str], before: int) -> tuple[np.ndarray, np.ndarray]:
        """The texts' numbers for now, and where each text ends in them; `before` texts were added before these."""
        text, starts = joined(texts)
        ids, borders = room(text, starts, self._characters)
        self._make_room(text.size)
        known = (self._slots, self._hashes, self._letters, self._ends, self.words)
        self._slots, self._hashes, self._ends, self.words, refused = kernels.add(
            text, starts, self._characters, *known, ids, borders
        )
        if refused >= 0:
            raise ReservedWordError(f"text {before + refused + 1:,}")
        return ids, borders

    def sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(letters, ends, numbers): the words by bytes, and the final symbol of each number given so far."""
        first = kernels.FIRST_WORD
        order = sorted_order(self._letters, self._ends[: self.words])
        order = order[order >= len(_SPECIAL)]
        numbers = np.full(self.words + 1, kernels.UNKNOWN, np.uint32)
        numbers[:first] = range(first)
        numbers[order + 1] = np.arange(order.size) + first
        return *word_lists.gather(self._letters, self._ends, order), numbers

    def _make_room(self, size: int) -> None:
        used = int(self._ends[self.words - 1])
        if used + size > self._letters.size:
            longer = np.empty(max(used + size, 2 * self._letters.size), np.uint8)
            longer[:used] = self._letters[:used]
            self._letters = longer


class SymbolStream:
    """Numbers of texts as they come, in memory, and from a number of bytes on in a file.

    Args:
        into: Folder for the file; without it everything stays in memory.
        memory: Bytes from which the file is used.
    """

    def __init__(self, into: Path | None = None, memory: int = 0) -> None:
        self.texts = 0
        self._into, self._memory = into, memory
        self._chunks: deque[np.ndarray] = deque()
        self._starts = [np.zeros(1, np.int64)]
        self._size = 0
        self._file: IO[bytes] | None = None

    def append(self, ids: np.ndarray, borders: np.ndarray) -> None:
        """Take texts: their ids from the beginning of `ids`, which is copied, and where each text ends in them."""
        self._starts.append(borders + self._size)
        self.texts += borders.size
        self._chunks.append(ids[: borders[-1]].copy())
        self._size += int(borders[-1])
        if self._into is not None and 4 * self._size > self._memory:
            self._write(self._into)

    def finished(self, numbers: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(ids, starts) of all texts, each id replaced by `numbers[id]`; ids is a memory map where there is a file."""
        starts = np.concatenate(self._starts)
        if self._file is not None:
            return self._renumbered_file(self._file, numbers), starts
        ids = np.empty(self._size, np.uint32)
        at = 0
        while self._chunks:
            chunk = self._chunks.popleft()
            ids[at : at + chunk.size] = chunk
            at += chunk.size
        if numbers is not None:
            kernels.renumber(ids, numbers)
        return ids, starts

    def close(self) -> None:
        """Delete the file, unless `finished` has given it away."""
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)

    def _write(self, into: Path) -> None:
        if self._file is None:
            into.mkdir(parents=True, exist_ok=True)
            self._file = NamedTemporaryFile("w+b", dir=into, prefix="symbols-", suffix=".bin", delete=False)  # noqa: SIM115
        while self._chunks:
            self._file.write(self._chunks.popleft().tobytes())

    def _renumbered_file(self, file: IO[bytes], numbers: np.ndarray | None) -> np.ndarray:
        self._write(Path(file.name).parent)
        if numbers is not None:
            for at in range(0, self._size, _BLOCK):
                file.seek(4 * at)
                block = np.frombuffer(file.read(4 * _BLOCK), np.uint32).copy()
                kernels.renumber(block, numbers)
                file.seek(4 * at)
                file.write(block.tobytes())
        file.close()
        self._file = None
        return np.memmap(file.name, np.uint32, "r")


def encoded(text: str) -> bytes:
    """UTF-8; half of a surrogate pair, which is no text, keeps three bytes of its own."""
    return text.encode("utf-8", "surrogatepass")


def joined(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The texts' bytes one after the other, uint8, and where each begins, int64 (texts + 1,)."""
    pieces = [text.encode("utf-8", "surrogatepass") for text in texts]
    starts = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=starts[1:])
    return np.frombuffer(b"".join(pieces), np.uint8), starts


def room(text: np.ndarray, starts: np.ndarray, characters: bool) -> tuple[np.ndarray, np.ndarray]:
    """Uninitialised ids, as many as these texts can have symbols, and borders of texts."""
    texts = starts.size - 1
    most = text.size if characters else (text.size + texts) // 2
    return np.empty(most + 2 * texts, np.uint32), np.empty(texts, np.int64)


def offsets_of(text: np.ndarray, starts: np.ndarray, symbols: int, characters: bool) -> np.ndarray:
    """int32 (symbols - texts, 2): where in its text each symbol but BEGIN stands, in characters."""
    longest = int(np.diff(starts).max())
    if longest >= 1 << 31:
        raise DataError(f"a text of {longest:,} bytes is too long for offsets: cut it into several")
    places = np.empty((symbols - starts.size + 1, 2), np.int32)
    kernels.locate(text, starts, characters, places)
    return places


def sorted_order(letters: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Indices of the words in the order of their bytes, int64; the words are distinct."""
    keys = word_lists.prefixes(letters, ends)
    order = np.argsort(keys, kind="stable")
    same = np.concatenate([[False], keys[order][1:] == keys[order][:-1], [False]])
    borders = np.flatnonzero(same[1:] != same[:-1])
    for begin, end in zip(borders[::2].tolist(), (borders[1::2] + 1).tolist(), strict=True):
        order[begin:end] = sorted(order[begin:end].tolist(), key=lambda word: _bytes(letters, ends, word))
    return order


def _bytes(letters: np.ndarray, ends: np.ndarray, word: int) -> bytes:
    return letters[ends[word - 1] if word else 0 : ends[word]].tobytes()
