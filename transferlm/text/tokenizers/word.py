"""Words between spaces: what language-model corpora such as the Penn Treebank expect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Library

from transferlm.errors import DataError, SettingError
from transferlm.text.tokenizers.base import PAD, Tokenizer

__all__ = ["Word"]

_UNKNOWN = "<unk>"


@dataclass(eq=False)
class Word(Tokenizer):
    """Words between white space, the rarest of them unknown.

    A `<unk>`, `<s>` or `</s>` that stands in the text as a word is that special token itself, as corpora that
    come with them mean it. The vocabulary is ordered by falling frequency, then by string.
    """

    vocabulary_size: int = 50_000
    """Most entries in the vocabulary, its 4 special tokens included; rarer words are unknown."""
    minimum_count: int = 1
    """Occurrences that a word needs to enter the vocabulary."""
    punctuation: bool = False
    """Split punctuation and symbols off as words of their own, for text that was not tokenised before."""
    lowercase: bool = False
    """Read capital letters as small ones."""

    closed = True
    separator = " "
    _roles: ClassVar[dict[str, str]] = {"pad": PAD, "unknown": _UNKNOWN, "begin": "<s>", "end": "</s>"}

    def __post_init__(self) -> None:
        if self.vocabulary_size <= len(self._roles) or self.minimum_count < 1:
            raise SettingError(f"vocabulary_size must be over {len(self._roles)} and minimum_count 1 or more")

    @property
    def unit(self) -> str | None:
        """Words, where text is taken as it stands."""
        return None if self.punctuation or self.lowercase else "word"

    def _learn(self, texts: Iterable[str]) -> Library:
        counter = self._library_with({})
        counter.train_from_iterator(
            texts,
            trainers.WordLevelTrainer(
                vocab_size=self.vocabulary_size + len(self._roles),
                min_frequency=self.minimum_count,
                show_progress=False,
                special_tokens=[],
            ),
        )
        counted = counter.get_vocab()
        if not counted:
            raise DataError(f"no word occurs {self.minimum_count} times: there is nothing to learn a vocabulary from")
        special = list(self._roles.values())
        words = [word for word in sorted(counted, key=lambda word: counted[word]) if word not in special]
        kept = [*special, *words][: self.vocabulary_size]
        return self._library_with({word: i for i, word in enumerate(kept)})

    def _library_with(self, vocabulary: dict[str, int]) -> Library:
        library = Library(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
        if self.lowercase:
            library.normalizer = normalizers.Lowercase()
        splitters: list[pre_tokenizers.PreTokenizer] = [pre_tokenizers.WhitespaceSplit()]
        if self.punctuation:
            splitters.append(pre_tokenizers.Split(Regex(rf"{_UNKNOWN}|[\p{{P}}\p{{S}}]"), "isolated"))
        library.pre_tokenizer = pre_tokenizers.Sequence(splitters)
        return library
