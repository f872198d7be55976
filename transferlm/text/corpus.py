"""Unlabelled text as a stream that can be read again and again without ever being held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

from transferlm.errors import DataError, SettingError
from transferlm.seeding import derive
from transferlm.text.corpus_sources import Source, Table, opened
from transferlm.text.files import Meter

__all__ = ["Corpus", "Survey", "TextHash"]


@dataclass(frozen=True)
class Survey:
    """What one pass over a corpus finds.

    Attributes:
        texts: How many texts there are.
        empty: How many empty lines or missing values were skipped.
        characters: Unicode characters over all texts.
        hash: SHA-256 over the texts in order, in hexadecimal: the same texts have the same one wherever they
            lie.
    """

    texts: int
    empty: int
    characters: int
    hash: str


class TextHash:
    """SHA-256 over texts in order: the same texts have the same one, however they are stored."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()

    def update(self, text: str) -> int:
        """Add a text; returns its UTF-8 bytes."""
        data = text.encode()
        # The length goes first, so that no two lists of texts run together into the same bytes.
        self._whole.update(len(data).to_bytes(8, "little") + data)
        return len(data)

    def hexdigest(self) -> str:
        """The hash of the texts so far."""
        return self._whole.hexdigest()


class Corpus:
    """Texts from files, folders, tables, standard input or Python, re-iterable in constant memory.

    Iterating yields each text once, in order; empty ones are skipped and counted (`survey().empty`).

    Args:
        sources: Each a path or an iterable of strings (kept as a list). A text file or `.gz` holds one text a
            line; a folder stands for its text files, sorted by path, subfolders too; `-` is standard input,
            kept in a temporary file so that it can be read twice; a CSV, TSV, JSONL or Parquet file needs
            `column`.
        column: The column of tables that holds the text.
        encoding: Character encoding of the files.

    Raises:
        DataError: A file is missing, or (when it is read) empty, wrongly encoded, cut off or binary.
        SettingError: `column` is given and no source is a table.
    """

    def __init__(
        self,
        *sources: str | Path | Iterable[str] | Source,
        column: str | None = None,
        encoding: str = "utf-8",
    ) -> None:
        if not sources:
            raise DataError("no text given: name a file, a folder, or - for standard input")
        self.encoding, self.column = encoding, column
        self._sources = [part for source in sources for part in _parts(source, column, encoding)]
        if column is not None and not any(isinstance(source, Table) for source in self._sources):
            raise SettingError(f"--column {column} names a column of a table, and {_named(sources[0])} is no table")
        rest = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
        self.name = _named(sources[0]) + rest

    @classmethod
    def of(cls, texts: Corpus | Iterable[str]) -> Corpus:
        """The corpus given, or one around the texts given."""
        return texts if isinstance(texts, Corpus) else cls(texts)

    def __iter__(self) -> Iterator[str]:
        return self.read()

    def read(self, meter: Meter | None = None) -> Iterator[str]:
        """Each text once, as iterating gives them; `meter` is told the bytes read, which add up to `size`."""
        empty = True
        for text in self._everything(meter):
            if text is not None and text.strip():
                empty = False
                yield text
        if empty:
            raise DataError(f"the corpus is empty: {self.name} holds no text")

    def with_blanks(self, meter: Meter | None = None) -> Iterator[str]:
        """Every line, blank ones as "": for answers that have to stand line by line beside the texts."""
        for text in self._everything(meter):
            yield text if text is not None else ""

    def find(self, wanted: Callable[[str], bool]) -> tuple[str, int] | None:
        """Where the first text stands that is wanted: its file, and its line or row there; None if there is none."""
        return next((place for source in self._sources if (place := source.find(wanted))), None)

    def __repr__(self) -> str:
        return f"Corpus({self.name!r})"

    def _everything(self, meter: Meter | None = None) -> Iterator[str | None]:
        for source in self._sources:
            yield from source.texts(meter)

    @property
    def size(self) -> int | None:
        """Bytes on disk (compressed where the file is), for progress; None for texts in memory."""
        sizes = [source.size for source in self._sources]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def hash(self) -> str:
        """SHA-256 over the texts, computed in one pass and kept."""
        return self.survey().hash

    def survey(self) -> Survey:
        """Counts and hash of the texts: one pass over them, the first time."""
        return self._survey

    @cached_property
    def _survey(self) -> Survey:
        digest, texts, empty, characters = TextHash(), 0, 0, 0
        for text in self._everything():
            if text is None or not text.strip():
                empty += 1
                continue
            digest.update(text)
            texts += 1
            characters += len(text)
        if not texts:
            raise DataError(f"the corpus is empty: {self.name} holds no text")
        return Survey(texts, empty, characters, digest.hexdigest())

    def held_out(self, fraction: float = 0.05, seed: int = 0) -> tuple[Corpus, Corpus]:
        """A training and a held-out part, both streams: each text is drawn by a hash of its index and the
        seed.

        Both parts hold at least one text; a large corpus has about `fraction` of its texts held out.

        Args:
            fraction: Share held out, between 0 and 1; 0.05 is enough to compare models on a long corpus.
            seed: The same seed draws the same texts.

        Raises:
            SettingError: `fraction` is not between 0 and 1.
            DataError: There is only one text.
        """
        if not 0 < fraction < 1:
            raise SettingError(f"a held-out fraction of {fraction} is not between 0 and 1: 0.05 is usual")
        return self._parted(_Draw(self, fraction, derive(seed, "held out")))

    def at_end(self, fraction: float = 0.1) -> tuple[Corpus, Corpus]:
        """The texts but the last ones, and the last ones: neighbours resemble one another, so that a block at the end
        tells more of texts to come than texts drawn from between the others.

        Args:
            fraction: Share of the texts that are the last ones, between 0 and 1; each part holds one at least.

        Raises:
            SettingError: `fraction` is not between 0 and 1.
            DataError: There is only one text.
        """
        if not 0 < fraction < 1:
            raise SettingError(f"a fraction of {fraction} is not between 0 and 1: 0.1 is usual")
        return self._parted(_End(self, fraction))

    def _parted(self, choice: _Draw | _End) -> tuple[Corpus, Corpus]:
        parts = []
        for held_out, label in ((False, "train"), (True, "held out")):
            part = Corpus(_Part(choice, held_out))
            part.name, part.column, part.encoding = f"{self.name} ({label})", self.column, self.encoding
            parts.append(part)
        return parts[0], parts[1]


class _Draw:
    """Which texts of a corpus are held out."""

    def __init__(self, corpus: Corpus, fraction: float, seed: int) -> None:
        self.corpus, self._fraction, self._seed = corpus, fraction, seed

    def holds_out(self, index: int) -> bool:
        return (_uniform(self._seed, index) < self._fraction) != (index == self._exception)

    def share(self, held_out: bool) -> float:
        return self._fraction if held_out else 1 - self._fraction

    @cached_property
    def _exception(self) -> int:
        """In a corpus so short that one part would get nothing, the index that goes there nevertheless;
        otherwise -1.
        """
        lowest, highest = (2.0, -1), (-1.0, -1)
        for index, _ in enumerate(self.corpus):
            number = (_uniform(self._seed, index), index)
            lowest, highest = min(lowest, number), max(highest, number)
            if lowest[0] < self._fraction <= highest[0]:
                return -1
        if lowest == highest:
            raise DataError(f"{self.corpus.name} holds one text: none can be held out, put one text on each line")
        return lowest[1] if lowest[0] >= self._fraction else highest[1]


class _End:
    """The last texts of a corpus."""

    def __init__(self, corpus: Corpus, fraction: float) -> None:
        self.corpus = corpus
        texts = corpus.survey().texts
        if texts < 2:
            raise DataError(f"{corpus.name} holds one text: none can be held out, put one text on each line")
        self._first = min(texts - 1, max(1, round(texts * (1 - fraction))))
        self._fraction = 1 - self._first / texts

    def holds_out(self, index: int) -> bool:
        return index >= self._first

    def share(self, held_out: bool) -> float:
        return self._fraction if held_out else 1 - self._fraction


class _Part(Source):
    def __init__(self, draw: _Draw | _End, held_out: bool) -> None:
        self._draw, self._held_out = draw, held_out
        whole = draw.corpus.size
        self.size = None if whole is None else round(whole * draw.share(held_out))

    def texts(self, meter: Meter | None = None) -> Iterator[str | None]:  # noqa: ARG002 - both parts read it all
        for index, text in zip(count(), self._draw.corpus, strict=False):
            if self._draw.holds_out(index) == self._held_out:
                yield text

    def find(self, wanted: Callable[[str], bool]) -> tuple[str, int] | None:
        return self._draw.corpus.find(wanted)


def _uniform(seed: int, index: int) -> float:
    """A number in [0, 1) for this index: the SplitMix64 generator (Steele, Lea & Flood 2014) jumped to it."""
    mask = 2**64 - 1
    z = ((seed << 32) + (index + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) / 2**64


def _parts(source: object, column: str | None, encoding: str) -> list[Source]:
    return source._sources if isinstance(source, Corpus) else opened(source, column, encoding)


def _named(source: object) -> str:
    if isinstance(source, Corpus):
        return source.name
    if isinstance(source, str | Path):
        return "standard input" if str(source) == "-" else Path(source).name or str(source)
    return f"{len(source):,} texts in memory" if hasattr(source, "__len__") else "texts in memory"
