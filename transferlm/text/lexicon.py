"""The words a count-based language model knows, and texts as the numbers of their words.

The words stand in the order of their UTF-8 bytes, so that the order in which texts came leaves no trace in the numbers,
and putting two lexicons together keeps the order of each one's numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from transferlm.errors import DataError, ModelFolderError, SettingError, alternatives
from transferlm.text import _lexicon_kernels as kernels
from transferlm.text import _word_list_kernels as word_lists
from transferlm.text._numbering import (
    GrowingWords,
    ReservedWordError,
    SymbolStream,
    encoded,
    joined,
    offsets_of,
    room,
)
from transferlm.text.windows import windows

__all__ = ["BEGIN", "END", "FIRST_WORD", "UNITS", "UNKNOWN", "UNKNOWN_WORD", "Lexicon", "ReservedWordError", "Symbols"]

BEGIN, END, UNKNOWN, FIRST_WORD = 1, 2, 3, 4
"""`<s>`; `</s>`; `<unk>`; words follow in the order of their UTF-8 bytes. 0 is no symbol."""

UNITS = ("word", "character")
"""What a word is: a run between Unicode White_Space characters, or every single code point, spaces too."""

UNKNOWN_WORD = "<unk>"
_MISFIT = "the lexicon's words do not fit its letters: copy the model again"
_SPECIAL = ("", "<s>", "</s>", UNKNOWN_WORD)
_WINDOW, _FEWEST_SLOTS = 1 << 20, 16
_ARRAYS = (("letters", np.uint8), ("ends", np.int64), ("slots", np.uint32))


@dataclass(frozen=True)
class Symbols:
    """Texts as numbers.

    Attributes:
        ids: uint32 (symbols,), text after text, each from BEGIN to END.
        starts: int64 (texts + 1,), where each text begins in `ids`.
        offsets: int32 (symbols - texts, 2), beginning and end in characters of its text for every symbol but BEGIN, END
            standing at (n, n); None where they were not asked for.
    """

    ids: np.ndarray
    starts: np.ndarray
    offsets: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Lexicon:
    """An immutable list of words in the order of their UTF-8 bytes, with a hash table over them.

    Equal words and unit give equal arrays. All arrays may be memory-mapped; opening one reads none of them, and the
    first look-up reads the words once.

    Attributes:
        unit: "word" or "character" (`UNITS`).
        letters: uint8, the bytes of all words, one after the other.
        ends: int64 (words,), where each word ends in `letters`.
        slots: uint32, a power of two of them and at least two a word: number of a word from 1, 0 where the slot is
            empty; a word stands in the first free slot from its hash on.
    """

    unit: str
    letters: np.ndarray
    ends: np.ndarray
    slots: np.ndarray

    unknown_id, end_id = UNKNOWN, END
    special_ids = frozenset({BEGIN, END, UNKNOWN})

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        unit: str = "word",
        into: Path | None = None,
        memory: int = 1 << 30,
    ) -> tuple[Lexicon, Symbols]:
        """Read texts once: their words, and the texts as numbers.

        Args:
            texts: Any number of texts; about a million characters at a time are held.
            unit: "word" or "character".
            into: A folder for the numbers where they outgrow `memory`; `ids` is then a memory map of a file in there,
                which is the caller's to delete. Without it they stay in memory.
            memory: Bytes of numbers held in memory, four a symbol.

        Raises:
            SettingError: An unknown unit.
            ReservedWordError: A text holds `<s>` or `</s>` as a word. (`<unk>` is UNKNOWN.)

        >>> lexicon, symbols = Lexicon.build(["b a b", ""])
        >>> list(lexicon), symbols.ids.tolist(), symbols.starts.tolist()
        (['a', 'b'], [1, 5, 4, 5, 2, 1, 2], [0, 5, 7])
        """
        _check_unit(unit)
        growing = GrowingWords(unit == "character")
        stream = SymbolStream(into, memory)
        try:
            for window in windows(texts, count=_WINDOW, characters=_WINDOW):
                stream.append(*growing.add(window, stream.texts))
            letters, ends, numbers = growing.sorted()
            return cls._of_sorted(unit, letters, ends), Symbols(*stream.finished(numbers))
        finally:
            stream.close()

    @classmethod
    def of(cls, words: Iterable[str], unit: str = "word") -> Lexicon:
        """A lexicon of these words, in whatever order they come; each counts once.

        Words that no text could give (one with a space in it, say) are kept: they are never found.

        Raises:
            SettingError: An unknown unit.
            DataError: An empty word, or one of `<s>`, `</s>`, `<unk>`, which every lexicon has.
        """
        _check_unit(unit)
        distinct = sorted({encoded(word) for word in words})
        for special in _SPECIAL:
            if encoded(special) in distinct:
                raise DataError(f"{special!r} can't be a word of a lexicon: leave it out")
        ends = np.cumsum([len(word) for word in distinct], dtype=np.int64)
        return cls._of_sorted(unit, np.frombuffer(b"".join(distinct), np.uint8), ends)

    @classmethod
    def from_arrays(cls, unit: str, arrays: Mapping[str, np.ndarray]) -> Lexicon:
        """The lexicon that `arrays` came from, in a time that their size does not change.

        Damaged arrays can give wrong words, never a crash: `ends` that do not ascend are found when they are first
        relied on, in looking words up and in putting lexicons together.

        Raises:
            ModelFolderError: An array is missing, or of the wrong type or shape.
        """
        if unit not in UNITS:
            raise ModelFolderError(f"the lexicon's unit is {unit!r}: {alternatives(unit, UNITS)}")
        letters, ends, slots = (_checked(arrays, *expected) for expected in _ARRAYS)
        if not slots.size or slots.size & (slots.size - 1) or slots.size < 2 * ends.size:
            raise ModelFolderError(f"the lexicon has {slots.size:,} slots for {ends.size:,} words: copy it again")
        if (ends[-1] if ends.size else 0) != letters.size:
            raise ModelFolderError(_MISFIT)
        return cls(unit, letters, ends, slots)

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store: `letters`, `ends` and `slots`."""
        return {name: getattr(self, name) for name, _ in _ARRAYS}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the unit and the words, in hexadecimal."""
        digest = hashlib.sha256(f"{self.unit} {len(self)}\n".encode())
        digest.update(np.ascontiguousarray(self.ends, "<i8").data)
        digest.update(self.letters.data)
        return digest.hexdigest()

    @property
    def size(self) -> int:
        """Number of symbols: the words, and the four before them."""
        return len(self) + FIRST_WORD

    def __len__(self) -> int:
        return int(self.ends.size)

    def __iter__(self) -> Iterator[str]:
        """The words in their order, without BEGIN, END and UNKNOWN."""
        letters, begin = self.letters.data, 0
        for at in range(0, len(self), _WINDOW):
            for end in self.ends[at : at + _WINDOW].tolist():
                yield _word(letters[begin:end])
                begin = end

    def word(self, symbol: int) -> str:
        """The word of a symbol: `<s>`, `</s>` and `<unk>` for the special ones.

        Raises:
            IndexError: There is no such symbol.
            ModelFolderError: The word's bytes are not UTF-8, which happens in a damaged lexicon only.
        """
        if not 0 < symbol < self.size:
            raise IndexError(f"symbol {symbol}: there are 1 to {self.size - 1}")
        if symbol < FIRST_WORD:
            return _SPECIAL[symbol]
        index = symbol - FIRST_WORD
        begin = self.ends[index - 1] if index else 0
        return _word(self.letters.data[begin : self.ends[index]])

    def id_of(self, word: str) -> int:
        """The symbol of a word, special ones too; UNKNOWN if it is not in here."""
        if word in _SPECIAL[1:]:
            return _SPECIAL.index(word)
        text = np.frombuffer(encoded(word), np.uint8)
        return int(kernels.symbol_of(text, *self._tables))

    def encode(self, texts: Sequence[str], offsets: bool = False) -> Symbols:
        """Texts as numbers; every word that is not in here, `<s>` and `</s>` too, is UNKNOWN.

        Args:
            texts: The texts.
            offsets: Whether to say where each symbol stands in its text.

        Raises:
            DataError: Offsets are asked of a text of 2,147,483,648 bytes or more.
        """
        characters = self.unit == "character"
        stream = SymbolStream()
        places = [np.empty((0, 2), np.int32)]
        for window in windows(texts, count=_WINDOW, characters=_WINDOW):
            text, starts = joined(window)
            ids, borders = room(text, starts, characters)
            kernels.look_up(text, starts, characters, *self._tables, ids, borders)
            stream.append(ids, borders)
            if offsets:
                places.append(offsets_of(text, starts, int(borders[-1]), characters))
        return Symbols(*stream.finished(), np.concatenate(places) if offsets else None)

    @property
    def separator(self) -> str:
        """What stands between two words of a text."""
        return " " if self.unit == "word" else ""

    def decode(self, ids: Iterable[int]) -> str:
        """The text that these symbols write; BEGIN and END are left out, UNKNOWN is `<unk>`."""
        return self.separator.join(self.word(int(symbol)) for symbol in ids if symbol not in (BEGIN, END))

    def unknown_words(self, texts: Sequence[str]) -> list[str]:
        """The words of the texts that are UNKNOWN, in order, as often as they come."""
        found = []
        for window in windows(texts, count=_WINDOW, characters=_WINDOW):
            symbols = self.encode(window, offsets=True)
            assert symbols.offsets is not None
            unknown = np.flatnonzero(symbols.ids == UNKNOWN)
            rows = np.searchsorted(symbols.starts, unknown, side="right") - 1
            places = symbols.offsets[unknown - rows - 1]
            found += [window[row][begin:end] for row, (begin, end) in zip(rows, places.tolist(), strict=True)]
        return found

    def union(self, other: Lexicon) -> tuple[Lexicon, np.ndarray, np.ndarray]:
        """The words of both.

        Returns:
            The union; and for each of the two a uint32 array (size,), new symbol of every old one, ascending.

        Raises:
            SettingError: The units differ.
        """
        if self.unit != other.unit:
            raise SettingError(f"a lexicon by {self.unit} and one by {other.unit} can't be put together")
        mine, theirs, size = word_lists.merge(self.letters, self._borders, other.letters, other._borders)
        sources = np.empty(size, np.int64)
        sources[theirs] = np.arange(len(other)) + len(self)
        sources[mine] = np.arange(len(self))
        ends = np.concatenate([self.ends, other.ends + self.letters.size])
        arrays = word_lists.gather(np.concatenate([self.letters, other.letters]), ends, sources)
        return self._of_sorted(self.unit, *arrays), _with_special(mine), _with_special(theirs)

    def keep(self, used: np.ndarray) -> tuple[Lexicon, np.ndarray]:
        """Only the words that are used.

        Args:
            used: bool (size,), whether to keep each symbol; the first four are always kept.

        Returns:
            The smaller lexicon; and uint32 (size,), new symbol of every old one, UNKNOWN for the words dropped.
        """
        if used.shape != (self.size,):
            raise ValueError(f"`used` of shape {used.shape}: one value a symbol is needed, ({self.size},)")
        kept = np.flatnonzero(used[FIRST_WORD:])
        numbers = np.full(self.size, UNKNOWN, np.uint32)
        numbers[:FIRST_WORD] = range(FIRST_WORD)
        numbers[kept + FIRST_WORD] = np.arange(kept.size) + FIRST_WORD
        return self._of_sorted(self.unit, *word_lists.gather(self.letters, self._borders, kept)), numbers

    @cached_property
    def _borders(self) -> np.ndarray:
        """`ends`, once they are known to divide the letters: compiled code trusts them.

        Raises:
            ModelFolderError: They do not, which happens in a damaged lexicon only.
        """
        if self.ends.size and (self.ends[0] <= 0 or (self.ends[1:] <= self.ends[:-1]).any()):
            raise ModelFolderError(_MISFIT)
        return self.ends

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What compiled code looks words up in: slots, the hash of each word, letters and ends."""
        hashes = _read_only(kernels.hashes_of(self.letters, self._borders))
        return self.slots, hashes, self.letters, self._borders

    @classmethod
    def _of_sorted(cls, unit: str, letters: np.ndarray, ends: np.ndarray) -> Lexicon:
        hashes = kernels.hashes_of(letters, ends)
        slots = kernels.table(hashes, max(_FEWEST_SLOTS, 1 << (2 * ends.size - 1).bit_length()))
        return cls(unit, *(_read_only(array) for array in (letters, ends, slots)))


def _check_unit(unit: str) -> None:
    if unit not in UNITS:
        raise SettingError(f"a lexicon by {unit!r}: {alternatives(unit, UNITS)}")


def _checked(arrays: Mapping[str, np.ndarray], name: str, kind: type[np.generic]) -> np.ndarray:
    """The array, as a plain read-only one, after a look at its type and shape."""
    array = arrays.get(name)
    if array is None:
        raise ModelFolderError(f"the lexicon has no {name}: copy the model again")
    if array.dtype != kind or array.ndim != 1 or not array.flags.c_contiguous or not array.flags.aligned:
        raise ModelFolderError(f"the lexicon's {name} are {array.dtype} {array.shape}: {kind.__name__} (n,) are needed")
    return _read_only(array)


def _word(letters: memoryview) -> str:
    try:
        return str(letters, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        shown = bytes(letters[:60])
        raise ModelFolderError(f"the word {shown!r} of the lexicon is not UTF-8: copy the model again") from error


def _read_only(array: np.ndarray) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _with_special(numbers: np.ndarray) -> np.ndarray:
    """Old symbol to new symbol, from old word to new word."""
    return np.concatenate([np.arange(FIRST_WORD), numbers + FIRST_WORD]).astype(np.uint32)
