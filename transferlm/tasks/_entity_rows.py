"""Texts with entities, read from CoNLL columns or JSON lines: what can't be is told with its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from transferlm.errors import DataError
from transferlm.tasks._predictions import Entity
from transferlm.tasks._tables import listed, place_of, records
from transferlm.tasks._tag_schemes import Tag, breaks, chunks, parsed, scheme_of
from transferlm.text.conll import Columns, joined, read_columns
from transferlm.text.files import refuse_half_characters
from transferlm.text.readers import format_of

__all__ = ["EntityRow", "EntityRows", "Fault"]

Fault = Callable[[str, int], None]
"""Told what is wrong and on which line: reading raises, checking collects."""


class EntityRow(NamedTuple):
    """A text with its entities in order, and the line where it begins."""

    line: int
    text: str
    entities: tuple[Entity, ...]


class Found(NamedTuple):
    """What a file holds: its rows, what was understood of it, and what was repaired, a sentence each."""

    rows: list[EntityRow]
    understood: list[str]
    repaired: list[str]


@dataclass
class EntityRows:
    """How to read texts with entities.

    Attributes:
        text_column: Key of the text in JSON lines.
        entities_column: Key of its entities.
        token_column: Column of tokens, in CoNLL columns.
        tag_column: Column of tags.
        encoding: Character encoding of files.
    """

    text_column: str
    entities_column: str
    token_column: int
    tag_column: int
    encoding: str

    def read(self, source: Any, fault: Fault) -> Found:
        """Every row.

        Raises:
            DataError: The file can't be read as it is.
        """
        if _by_record(source):
            where = place_of(source)
            found = (self._spans(line, record, where, fault) for line, record in records(source, self.encoding))
            return Found([row for row in found if row is not None], [], [])
        columns = read_columns(source, self.encoding, self.token_column, self.tag_column)
        return self._tagged(columns, fault)

    def texts(self, source: Any) -> Iterator[str]:
        """The texts alone, of a file that may be without entities.

        Raises:
            DataError: There is no text, or the file can't be read.
        """
        where = place_of(source)

        def refuse(message: str, line: int) -> None:
            raise DataError(message, path=where, line=line)

        if _by_record(source):
            for line, record in records(source, self.encoding):
                yield self._text(record, line, where, refuse) or ""
            return
        columns = read_columns(source, self.encoding, self.token_column, self.token_column)
        for sentence in columns.sentences:
            yield joined(sentence.tokens, columns.by_character)[0]

    def _text(self, record: Mapping[str, Any], line: int, where: str, fault: Fault) -> str | None:
        text = record.get(self.text_column)
        if not isinstance(text, str) or not text.strip():
            fault(f"no text stands under {self.text_column!r}", line)
            return None
        refuse_half_characters(text, where, line)
        return text

    def _spans(self, line: int, record: Mapping[str, Any], where: str, fault: Fault) -> EntityRow | None:
        text = self._text(record, line, where, fault)
        if text is None:
            return None
        given = record.get(self.entities_column)
        if not isinstance(given, list | tuple):
            fault(
                f"no list of entities stands under {self.entities_column!r} (an empty one where there are none)", line
            )
            given = []
        found = [entity for item in given if (entity := self._entity(text, item, line, fault)) is not None]
        found.sort(key=lambda entity: (entity.start, entity.end))
        kept: list[Entity] = []
        for entity in found:
            if kept and entity.start < kept[-1].end:
                both = f"{_told(kept[-1])} and {_told(entity)}"
                fault(f"entities overlap: {both}; keep one of them", line)
                continue
            kept.append(entity)
        return EntityRow(line, text, tuple(kept))

    def _entity(self, text: str, item: Any, line: int, fault: Fault) -> Entity | None:
        values: Any = [item.get(key) for key in ("start", "end", "label")] if isinstance(item, Mapping) else item
        numbers = isinstance(values, list | tuple) and len(values) == 3
        if not numbers or not all(type(value) is int for value in values[:2]) or not isinstance(values[2], str):
            shown = str(item)[:80]
            fault(f'{shown} is no entity: give {{"start": 0, "end": 5, "label": "PER"}} or [0, 5, "PER"]', line)
            return None
        start, end, label = values
        if not 0 <= start < end <= len(text) or not label:
            where = f"a text of {len(text):,} characters"
            fault(f"entity [{start}, {end}, {label!r}] does not lie in {where}, or is empty", line)
            return None
        inner = text[start:end]
        start, end = start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
        if start >= end:
            fault(f"entity [{values[0]}, {values[1]}, {label!r}] holds white space alone", line)
            return None
        return Entity(start, end, label, text[start:end])

    def _tagged(self, columns: Columns, fault: Fault) -> Found:
        scheme = scheme_of([sentence.tags for sentence in columns.sentences])
        rows, broken = [], []
        for sentence in columns.sentences:
            if not sentence.tags:
                fault("one column, where tokens and tags are expected", sentence.line)
                continue
            tags = [self._tag(tag, sentence.line + place, fault) for place, tag in enumerate(sentence.tags)]
            broken += [min(sentence.line + place, sentence.line + len(tags) - 1) for place in breaks(tags, scheme)]
            text, starts = joined(sentence.tokens, columns.by_character)
            found = []
            for start, end, label in chunks(tags):
                first, last = starts[start], starts[end - 1] + len(sentence.tokens[end - 1])
                found.append(Entity(first, last, label, text[first:last]))
            rows.append(EntityRow(sentence.line, text, tuple(found)))
        repaired = [f"Tags that break {scheme}, read as seqeval reads them leniently, by line: {listed(broken)}."]
        return Found(rows, [*columns.notes, f"Tags follow {scheme}."], repaired if broken else [])

    def _tag(self, written: str, line: int, fault: Fault) -> Tag:
        tag = parsed(written)
        if tag is None:
            fault(f"tag {written[:40]!r} is neither O nor a letter, a hyphen and a label (B-PER)", line)
        return tag or Tag("O", "")


def _by_record(source: Any) -> bool:
    """Whether each text is a record; else it is a file of columns.

    Raises:
        DataError: The name says a file of another kind, which columns would be misread from.
    """
    if not isinstance(source, str | Path):
        return True
    if Path(source).name.lower().removesuffix(".gz").endswith((".csv", ".parquet", ".json")):
        kinds = "JSON lines (.jsonl) or CoNLL columns (.conll, .tsv, .txt and any other name)"
        raise DataError(f"texts with entities are read from {kinds}: write it as one of them", path=source)
    return format_of(source) == "jsonl"


def _told(entity: Entity) -> str:
    return f"[{entity.start}, {entity.end}, {entity.label!r}]"
