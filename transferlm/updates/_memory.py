"""A bounded memory of texts that lies with a model, so that later updates can rehearse what it was taught."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np

from transferlm.errors import ModelFolderError
from transferlm.models.base import Kept, Model
from transferlm.seeding import derive

__all__ = ["Memory"]

_NAME = "memory"


class Memory:
    """Texts drawn evenly from all that were ever offered, however many those were (Vitter 1985, algorithm R).

    Args:
        texts: Those remembered so far.
        seen: How many were offered so far.
    """

    def __init__(self, texts: Iterable[str] = (), seen: int = 0) -> None:
        self.texts, self.seen = list(texts), seen

    @classmethod
    def of(cls, model: Model) -> Self | None:
        """The memory that lies with a model; None where there is none.

        Raises:
            ModelFolderError: It is not as it was written.
        """
        kept = model.kept.get(_NAME)
        if kept is None:
            return None
        try:
            ends, data = kept.arrays["ends"].tolist(), kept.arrays["text"].tobytes()
            texts = [data[start:end].decode() for start, end in zip([0, *ends[:-1]], ends, strict=True)]
            return cls(texts, int(kept.facts["seen"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFolderError(f"the model's memory is damaged ({error}): copy the folder again") from None

    def offer(self, texts: Iterable[str], room: int, seed: int) -> None:
        """Take some of the texts in, each ever offered with the same chance; at the most `room` are remembered.

        Once a text was passed over the memory grows no more: what is gone would have no chance at the new room.
        """
        draw = np.random.default_rng(derive(seed, "memory", self.seen))
        if len(self.texts) > room:
            self.texts = [self.texts[place] for place in np.sort(draw.choice(len(self.texts), room, replace=False))]
        room = room if self.seen == len(self.texts) else len(self.texts)
        for text in texts:
            self.seen += 1
            place = len(self.texts) if len(self.texts) < room else int(draw.integers(self.seen))
            self.texts[place : place + 1] = [text] if place < room else []

    def lay_with(self, model: Model) -> None:
        """Keep it with a model, in the place of what it kept before."""
        coded = [text.encode() for text in self.texts]
        ends = np.cumsum([len(text) for text in coded], dtype=np.int64)
        arrays: dict[str, np.ndarray] = {"text": np.frombuffer(b"".join(coded), np.uint8), "ends": ends}
        facts = {"texts": len(coded), "bytes": sum(map(len, coded)), "seen": self.seen}
        model.kept = {**model.kept, _NAME: Kept(arrays, facts)}
