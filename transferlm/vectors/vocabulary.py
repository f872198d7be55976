"""The words that vectors are learnt for, with their counts, and a corpus as lists of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from transferlm.errors import DataError
from transferlm.progress import Progress
from transferlm.text.corpus import Corpus

__all__ = ["LONGEST", "Sentences", "Vocabulary"]

LONGEST = 10_000
"""Words of one list: gensim reads no further in a longer one, and says nothing."""


class Sentences:
    """A corpus as lists of words, read anew at each pass; a text of more than `LONGEST` words is several lists.

    Args:
        corpus: The texts.
        cut: A text's words.
        progress: Counts the texts read.
    """

    def __init__(
        self, corpus: Corpus, cut: Callable[[str], list[str]] = str.split, progress: Progress | None = None
    ) -> None:
        self._corpus, self._cut, self._progress = corpus, cut, progress

    def __iter__(self) -> Iterator[list[str]]:
        for text in self._corpus:
            words = self._cut(text)
            for start in range(0, len(words), LONGEST):
                yield words[start : start + LONGEST]
            if self._progress is not None:
                self._progress.advance()


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words in a fixed order and how often each was read.

    Attributes:
        words: Each once.
        counts: int64 of shape (words,).
    """

    words: Sequence[str]
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    def with_text(self, sentences: Sentences, minimum: int) -> tuple[Vocabulary, int]:
        """The vocabulary after more text: old words keep their places and get the text's counts too; new ones follow.

        Subsampling, negative samples and anything else that follows from counts can thus be computed from all that was
        read, where gensim's update of a vocabulary takes the new text for all of it (gensim #2951).

        Args:
            sentences: The text, read once.
            minimum: How often a new word has to be read in it.

        Returns:
            The vocabulary, new words by falling count and then by first occurrence; and how many lists were read.

        Raises:
            DataError: It would hold no word.
        """
        counted: Counter[str] = Counter()
        lists = 0
        for words in sentences:
            counted.update(words)
            lists += 1
        known = {word: counted.pop(word, 0) for word in self.words}
        fresh = sorted((word for word, count in counted.items() if count >= minimum), key=lambda word: -counted[word])
        if not known and not fresh:
            raise DataError(f"no word occurs {minimum:,} times: give more text or a lower minimum_count")
        added = np.fromiter(known.values(), np.int64, len(known))
        counts = np.concatenate([self.counts + added, np.array([counted[word] for word in fresh], np.int64)])
        return Vocabulary((*self.words, *fresh), counts), lists

    @classmethod
    def empty(cls) -> Vocabulary:
        """Before any text."""
        return cls((), np.zeros(0, np.int64))
