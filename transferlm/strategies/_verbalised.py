"""Labels in words: what each means, and the sentence that it stands in."""

from __future__ import annotations

import re
from collections.abc import Sequence

from transferlm.errors import SettingError, alternatives

__all__ = ["described", "filled", "template_for"]

ENGLISH = "{text}\nThis text is about {label}."
CHINESE = "{text}\n这段文字是关于{label}的。"
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


def described(labels: Sequence[str], descriptions: str | None) -> tuple[str, ...]:
    """The words for each label, in the order of the labels; a name's underscores are read as spaces.

    Args:
        labels: Label names.
        descriptions: `label=words`, parted by semicolons; None for none.

    Raises:
        SettingError: A part that is no `label=words`, or of a label that there is not.

    >>> described(["good", "very_bad"], "good=a good film")
    ('a good film', 'very bad')
    """
    words = {label: label.replace("_", " ") for label in labels}
    for part in filter(str.strip, re.split("[;；]", descriptions or "")):
        label, sign, meaning = (piece.strip() for piece in part.partition("="))
        if not sign or not meaning:
            raise SettingError(f"descriptions {part.strip()!r}: give label=words, parted by semicolons")
        if label not in words:
            raise SettingError(f"descriptions name {label!r}, which is no label: {alternatives(label, words)}")
        words[label] = meaning
    return tuple(words.values())


def template_for(words: Sequence[str]) -> str:
    """The usual sentence, in Chinese where most labels have Chinese words."""
    chinese = sum(bool(_HAN.search(word)) for word in words)
    return CHINESE if 2 * chinese > len(words) else ENGLISH


def filled(template: str, words: Sequence[str]) -> list[str]:
    """The sentence with each label's words, without the text.

    >>> filled(ENGLISH, ["sports"])
    ['This text is about sports.']
    """
    return [template.replace("{text}", "").replace("{label}", word).strip() for word in words]
