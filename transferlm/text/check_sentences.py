"""What a check of labelled examples says of one part, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transferlm.text.checks import Part

__all__ = ["listed", "part_problems"]

_FAULTS = 20
"""Faults of single rows that are told one by one; the others are counted."""

_IMBALANCE = 10
"""Times that the largest class may outnumber the smallest before it is a problem worth a sentence."""


def part_problems(name: str, part: Part) -> list[str]:
    """One sentence for each thing in a part that would spoil training or a measurement."""
    sentences = list(part.faults[:_FAULTS])
    if len(part.faults) > _FAULTS:
        sentences.append(f"{len(part.faults) - _FAULTS:,} more such faults are in the {name} part.")
    if part.classes:
        sentences += _balance_problems(name, part.labels)
    if part.empty:
        sentences.append(
            f"{_counted(len(part.empty), 'text')} empty in the {name} part, first row {part.empty[0] + 1:,}."
        )
    exact = sum(len(group) - 1 for group in part.exact_duplicates)
    near = sum(len(group) - 1 for group in part.near_duplicates) - exact
    if exact or near:
        sentences.append(f"{exact:,} exact and {near:,} near duplicates are in the {name} part.")
    if part.conflicts:
        rows = ", ".join(str(i + 1) for i in part.conflicts[0])
        count = _counted(len(part.conflicts), "text")
        sentences.append(f"{count} in the {name} part under different labels, first in rows {rows}.")
    if part.unknown_characters:
        share = f"{100 * part.unknown_characters:.2g}% of the {name} part's characters"
        sentences.append(f"{share} can't be read (U+FFFD, private use or control): look at the encoding.")
    if part.tokens is not None and part.tokens.texts_cut:
        cut = f"{part.tokens.texts_cut:.1%} of the {name} texts ({part.tokens.text_cut:.1%} of their text)"
        sentences.append(f"A maximum length of {part.tokens.max_length} tokens cuts {cut}.")
    return sentences


def _balance_problems(name: str, labels: dict[str, int]) -> list[str]:
    if len(labels) == 1:
        return [f"The {name} part has one label only, {listed(list(labels))}."]
    if not labels:
        return []
    ranked = list(labels.items())
    (largest, most), (smallest, least) = ranked[0], ranked[-1]
    if most <= _IMBALANCE * least:
        return []
    balance = f"{most:,} rows with {largest!r} and {least:,} with {smallest!r}"
    return [f"The {name} part is unbalanced: {balance}; look at macro-F1, and consider class weights."]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun} is" if count == 1 else f"{count:,} {noun}s are"


def listed(names: Sequence[str]) -> str:
    """Names in quotes, the first few of many."""
    return ", ".join(repr(name) for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
