"""Columns as the CoNLL shared tasks write them: one token a line with its tag, an empty line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transferlm.errors import DataError
from transferlm.text.files import existing, numbered_lines
from transferlm.text.units import spaceless

__all__ = ["Columns", "Sentence", "joined", "read_columns"]

_NUMBER = re.compile(r"(?<=.)\d+$", re.DOTALL)


@dataclass(frozen=True)
class Sentence:
    """One sentence.

    Attributes:
        line: The line of its first token.
        tokens: Its tokens.
        tags: The tag of each; none where the file has one column.
    """

    line: int
    tokens: list[str]
    tags: list[str]


@dataclass(frozen=True)
class Columns:
    """A file of sentences.

    Attributes:
        sentences: In order.
        by_character: Whether each token is a character of a script that puts no spaces between words (Chinese).
        notes: What was understood of the file beyond its columns, one sentence each.
    """

    sentences: list[Sentence]
    by_character: bool
    notes: tuple[str, ...]


def read_columns(source: str | Path, encoding: str = "utf-8", token_column: int = 0, tag_column: int = -1) -> Columns:
    """Read a file whole.

    Columns are parted by tabs, or by spaces where a line has no tab. `-DOCSTART-` lines are passed over. Where every
    token is a character and a number, as in the Weibo corpus, the number is its place in its word and is taken off.

    Args:
        source: The file; `.gz` too.
        encoding: Its character encoding.
        token_column: The column of tokens, counted from 0, or from the end where negative.
        tag_column: The column of tags, counted likewise.

    Raises:
        DataError: A line has other columns than the first one, or too few; or there is no sentence.
    """
    path = existing(source)
    sentences = list(_sentences(path, encoding, token_column, tag_column))
    if not sentences:
        raise DataError("there is no sentence: it is empty", path=path)
    tokens = [token for sentence in sentences for token in sentence.tokens]
    notes = []
    if _numbered(tokens):
        sentences = [Sentence(s.line, [_NUMBER.sub("", token) for token in s.tokens], s.tags) for s in sentences]
        tokens = [token for sentence in sentences for token in sentence.tokens]
        notes.append("The number after each character, its place in a word, was taken off.")
    by_character = 2 * sum(len(token) == 1 and spaceless(token) for token in tokens) >= len(tokens)
    if by_character:
        notes.append("Tokens are characters: sentences were joined without spaces.")
    return Columns(sentences, by_character, tuple(notes))


def joined(tokens: Sequence[str], by_character: bool) -> tuple[str, list[int]]:
    """A sentence as a text, and where each token begins in it.

    >>> joined(["New", "York"], by_character=False)
    ('New York', [0, 4])
    """
    glue, starts, place = "" if by_character else " ", [], 0
    for token in tokens:
        starts.append(place)
        place += len(token) + len(glue)
    return glue.join(tokens), starts


def _sentences(path: Path, encoding: str, token_column: int, tag_column: int) -> Iterator[Sentence]:
    tokens: list[str] = []
    tags: list[str] = []
    first, width = 0, 0
    for line, content in numbered_lines(path, encoding):
        if not content.strip() or content.startswith("-DOCSTART-"):
            if tokens:
                yield Sentence(first, tokens, tags)
                tokens, tags = [], []
            continue
        fields = content.rstrip("\t ").split("\t") if "\t" in content else re.split(" +", content.strip(" "))
        if len(fields) != width:
            _check_width(fields, width, (token_column, tag_column), path, line)
            width = len(fields)
        if not tokens:
            first = line
        tokens.append(fields[token_column])
        if width > 1:
            tags.append(fields[tag_column])
    if tokens:
        yield Sentence(first, tokens, tags)


def _check_width(fields: Sequence[str], width: int, wanted: tuple[int, int], path: Path, line: int) -> None:
    if width:
        message = f"{len(fields)} columns, where the lines before have {width}: a sentence ends with an empty line"
        raise DataError(message, path=path, line=line)
    for column in wanted if len(fields) > 1 else wanted[:1]:
        if not -len(fields) <= column < len(fields):
            raise DataError(f"there is no column {column}: the line has {len(fields)}", path=path, line=line)


def _numbered(tokens: Sequence[str]) -> bool:
    """Whether tokens are a character and a number (a broken one may be two), most of a script without spaces."""
    if not all(_NUMBER.search(token) for token in tokens):
        return False
    return 2 * sum(len(_NUMBER.sub("", token)) == 1 and spaceless(token[0]) for token in tokens) >= len(tokens)
