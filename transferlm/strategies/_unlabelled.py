"""Texts without labels, as a strategy that learns from them reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferlm.errors import DataError
from transferlm.seeding import derive
from transferlm.tasks.base import Examples
from transferlm.text.corpus import Corpus, TextHash
from transferlm.text.framing import Text, flat
from transferlm.text.readers import format_of

__all__ = ["Unlabelled"]


@dataclass(frozen=True)
class Unlabelled:
    """Texts that a strategy may learn from, and what lineage says of them.

    Attributes:
        texts: Inputs of the task, none of them empty, none twice, none of them among the labelled ones.
        name: Of the file.
        hash: SHA-256 over all texts of the file in order.
        notes: What was left out, one sentence each.
    """

    texts: list[Text]
    name: str
    hash: str
    notes: list[str]

    @classmethod
    def read(cls, file: str, examples: Examples, limit: int, seed: int) -> Unlabelled:
        """Read a file: a text a line, or a table with the task's columns of inputs (other columns are not looked at).

        Args:
            file: Its path.
            examples: Labelled texts, which are left out.
            limit: Texts to keep at the most, drawn by the seed.
            seed: Decides the draw.

        Raises:
            DataError: The file is missing or unreadable, or has no text that is not labelled.
        """
        whole, kept, known = TextHash(), dict[str, Text](), set(examples.strings)
        for text in _inputs(Path(file), examples):
            whole.update(flat(text))
            if flat(text).strip() and flat(text) not in known:
                kept.setdefault(flat(text), text)
        if not kept:
            raise DataError("no text in it that is not labelled already", path=file)
        texts, notes = list(kept.values()), []
        if len(texts) > limit:
            chosen = np.sort(np.random.default_rng(derive(seed, "unlabelled")).permutation(len(texts))[:limit])
            notes.append(f"{limit:,} of {len(texts):,} unlabelled texts were drawn: raise limit for more")
            texts = [texts[row] for row in chosen]
        return cls(texts, Path(file).name, whole.hexdigest(), notes)

    def described(self) -> dict[str, object]:
        """What lineage keeps of them."""
        return {"name": f"{self.name} (unlabelled)", "hash": self.hash, "texts": len(self.texts)}


def _inputs(file: Path, examples: Examples) -> Iterable[Text]:
    plain = not examples.task.paired and format_of(file) in (None, "fasttext")
    return Corpus(file) if plain else examples.task.inputs(file)
