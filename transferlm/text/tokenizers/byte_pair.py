"""Byte-level byte-pair encoding: an open vocabulary that writes every string and gives it back unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Library

from transferlm.errors import DataError, SettingError
from transferlm.text.tokenizers._library import rebuilt
from transferlm.text.tokenizers.base import PAD, Tokenizer

__all__ = ["BytePair"]

_WORDS = r"'(?:[sdmt]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Pieces that no token crosses: English clitics, letters, digits, other signs, each with the space before it,
and white space (Radford et al. 2019, section 2.2)."""

_LONGEST = 512
"""Characters of the longest piece. Learning is quadratic in a piece's length, and a file without spaces is
one piece.
"""

_BYTES = 256


@dataclass(eq=False)
class BytePair(Tokenizer):
    """Byte-pair encoding over bytes, learnt from the text: no string is unknown and each comes back unchanged.

    Starts from the 256 bytes and joins the commonest pair again and again (Sennrich, Haddow & Birch 2016; over bytes
    Radford et al. 2019). Offsets cover every character: the space before a word belongs to its first token.
    """

    vocabulary_size: int = 8000
    """Most entries in the vocabulary, 256 bytes and 3 special tokens included; 8,000 suits corpora of some
    MB.
    """

    closed = False
    _roles: ClassVar[dict[str, str]] = {"pad": PAD, "begin": "<begin of text>", "end": "<end of text>"}

    def __post_init__(self) -> None:
        least = _BYTES + len(self._roles)
        if self.vocabulary_size < least:
            raise SettingError(
                f"vocabulary_size {self.vocabulary_size} is too small: bytes and special tokens take {least}"
            )

    def _learn(self, texts: Iterable[str]) -> Library:
        library = Library(models.BPE())
        library.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORDS), "isolated"),
                pre_tokenizers.FixedLength(length=_LONGEST),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        library.decoder = decoders.ByteLevel()
        seen = 0

        def counted() -> Iterable[str]:
            nonlocal seen
            for text in texts:
                seen += len(text)
                yield text

        library.train_from_iterator(
            counted(),
            trainers.BpeTrainer(
                vocab_size=self.vocabulary_size - len(self._roles),
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
                special_tokens=[],
            ),
        )
        if not seen:
            raise DataError("no text: there is nothing to learn a vocabulary from")
        return self._with_special_tokens(library)

    def _with_special_tokens(self, library: Library) -> Library:
        """Put the special tokens first, as entries that no merge makes: added as the library's own special
        tokens they would be found in a text that spells them, and that text would not come back.
        """
        model = json.loads(library.to_str())["model"]
        special = list(self._roles.values())
        shifted = {token: i + len(special) for token, i in model["vocab"].items()}
        model["vocab"] = {**{token: i for i, token in enumerate(special)}, **shifted}
        return rebuilt(library, model=model)
