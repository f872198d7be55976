"""Tags that mark entities token by token: which scheme they follow, and the entities that they tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Chunk", "Tag", "breaks", "chunks", "parsed", "scheme_of"]

# BMES writes M for I; BILOU writes L for E and U for S.
_LETTERS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
_TAG = re.compile(r"([BIMELSU])-(.+)", re.DOTALL)


class Tag(NamedTuple):
    """One tag.

    Attributes:
        letter: `O` outside; `B`, `I` and `E` for the first, an inner and the last token; `S` for the only one.
        label: What the entity is; empty outside.
    """

    letter: str
    label: str


class Chunk(NamedTuple):
    """One entity: its first token, the token after its last, and its label."""

    start: int
    end: int
    label: str


OUTSIDE = Tag("O", "")


def parsed(tag: str) -> Tag | None:
    """A written tag, or None where it is none.

    >>> parsed("M-ORG"), parsed("O"), parsed("PER")
    (Tag(letter='I', label='ORG'), Tag(letter='O', label=''), None)
    """
    if tag == "O":
        return OUTSIDE
    found = _TAG.fullmatch(tag)
    return Tag(_LETTERS[found[1]], found[2]) if found else None


def scheme_of(written: Sequence[Sequence[str]]) -> str:
    """The scheme that the tags of a file follow: BIO, IOB1, BIOES, BMES or BILOU.

    In IOB1 an entity begins with I, and with B only where it follows another of its label at once (Ramshaw & Marcus
    1995): a file with more entities that begin with I than entities that begin with a needless B is taken for that.

    >>> scheme_of([["I-LOC", "B-LOC", "O"]]), scheme_of([["B-LOC", "B-LOC", "O"]]), scheme_of([["B-LOC", "E-LOC"]])
    ('IOB1', 'BIO', 'BIOES')
    """
    letters = {tag[0] for tag in {tag for tags in written for tag in tags} if _TAG.fullmatch(tag)}
    if letters & {"L", "U"}:
        return "BILOU"
    if "M" in letters:
        return "BMES"
    if letters & {"E", "S"}:
        return "BIOES"
    begun, needless = 0, 0
    for tags in written:
        for before, tag in _pairs([parsed(tag) or OUTSIDE for tag in tags]):
            begun += tag.letter == "I" and before.label != tag.label
            needless += tag.letter == "B" and before.label != tag.label
    return "IOB1" if begun > needless else "BIO"


def breaks(tags: Sequence[Tag], scheme: str) -> list[int]:
    """The tokens whose tag can't follow the one before under the scheme; the number of tokens where the end can't.

    >>> breaks([Tag("I", "LOC"), Tag("O", "")], "BIO"), breaks([Tag("B", "LOC"), Tag("O", "")], "BIOES")
    ([0], [1])
    """
    if scheme == "IOB1":
        return [n for n, (before, tag) in enumerate(_pairs(tags)) if tag.letter == "B" and tag.label != before.label]
    closed = scheme != "BIO"
    broken = []
    for place, (before, tag) in enumerate(_pairs([*tags, OUTSIDE])):
        inside = before.letter in ("B", "I") and tag.label == before.label and tag.letter in ("I", "E")
        left_open = closed and before.letter in ("B", "I") and not inside
        if left_open or (tag.letter in ("I", "E") and not inside):
            broken.append(place)
    return broken


def chunks(tags: Sequence[Tag]) -> list[Chunk]:
    """The entities that a sequence of tags tells, broken sequences read leniently, as conlleval and seqeval do.

    An entity begins at B or S, and at any other tag that can't go on with what stands before it.

    >>> chunks([Tag("I", "PER"), Tag("I", "LOC"), Tag("O", ""), Tag("B", "LOC")])
    [Chunk(start=0, end=1, label='PER'), Chunk(start=1, end=2, label='LOC'), Chunk(start=3, end=4, label='LOC')]
    """
    found: list[Chunk] = []
    start: int | None = None
    for place, (before, tag) in enumerate(_pairs([*tags, OUTSIDE])):
        begins = tag.letter in ("B", "S") or tag.label != before.label or before.letter in ("E", "S", "O")
        if start is not None and (begins or tag.letter == "O"):
            found.append(Chunk(start, place, before.label))
            start = None
        if begins and tag.letter != "O":
            start = place
    return found


def _pairs(tags: Sequence[Tag]) -> list[tuple[Tag, Tag]]:
    """Each tag with the one before it."""
    return list(zip([OUTSIDE, *tags], tags, strict=False))
