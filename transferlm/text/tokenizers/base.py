"""What every tokenizer does: learn from texts, write them as ids with character offsets, and be saved."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from tokenizers import Encoding, processors
from tokenizers import Tokenizer as Library

from transferlm import catalog
from transferlm.errors import ModelFolderError, SettingError, UnsupportedError
from transferlm.progress import Progress
from transferlm.text.files import refuse_half_characters
from transferlm.text.framing import Frame
from transferlm.text.tokenizers._growth import NewTokens, more_merges, new_words, whole_words
from transferlm.text.tokenizers._library import (
    CONFIGURATION,
    VOCABULARY,
    numbered_anew,
    read_configuration,
    read_library,
)

__all__ = ["PAD", "Tokenizer", "Tokens", "share_read"]

PAD = "<pad token>"
"""Fills batches. The space keeps it out of reach: no word, character or byte-level piece of a text holds one
with letters.
"""

_MASK = "<mask token>"
"""Hides a token in masked language modelling; out of reach as the padding is."""

_BATCH = 1000
"""Texts encoded at once: enough to keep every core busy, few enough to bound memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """One text as tokens.

    Attributes:
        ids: int32 of shape (tokens,).
        offsets: int32 of shape (tokens, 2): start and end of each token in characters of the text as given. A
            token that is only a part of a character (byte-level) has the offsets of that character; `[CLS]`
            and `[SEP]` have (0, 0).
        cut: Whether tokens were left off at the end because of `max_length`.
    """

    ids: np.ndarray
    offsets: np.ndarray
    cut: bool

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer(ABC):
    """Texts to ids and back, on one `tokenizers.Tokenizer`. Subclasses are dataclasses of
    hyper-parameters.
    """

    closed: bool = True
    """Whether some string can't be written, and so has no probability: its unknown parts all become one
    token.
    """

    separator: str = ""
    """What stands between two tokens of a decoded text: tokens bring their own spaces, but for those of `word`."""

    _roles: ClassVar[dict[str, str]] = {}
    _library: Library | None = None

    # ---------------------------------------------------------------- learning

    def fit(self, texts: Iterable[str]) -> Self:
        """Learn the vocabulary; the same texts give the same one in the same order.

        Args:
            texts: Any number of texts, read once as a stream (a `Corpus`, a list).

        Returns:
            This tokenizer, trained anew.

        Raises:
            DataError: No text, or one that holds half a surrogate pair.
        """
        if isinstance(texts, str):
            raise TypeError("fit takes several texts: fit([text])")
        with Progress("learning the vocabulary", unit="texts") as progress:

            def counted() -> Iterable[str]:
                for text in texts:
                    refuse_half_characters(text)
                    yield text
                    progress.advance()

            self._adopt(self._learn(counted()))
        return self

    @abstractmethod
    def _learn(self, texts: Iterable[str]) -> Library:
        """A trained tokenizer of the library."""

    def _adopt(self, library: Library) -> None:
        self._library = library
        for name in [n for n in self.__dict__ if isinstance(getattr(type(self), n, None), cached_property)]:
            del self.__dict__[name]

    @property
    def trained(self) -> bool:
        """Whether there is a vocabulary."""
        return self._library is not None

    def _ready(self) -> Library:
        if self._library is None:
            raise UnsupportedError(f"the {self.kind} tokenizer has no vocabulary yet: train it first with fit(texts)")
        return self._library

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # The library's object is never changed once made (`fit` makes a new one), so copies of a model can
        # share it.
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        memo[id(self)] = twin
        return twin

    def with_marks(self) -> Self:
        """The same vocabulary as masked language models want it: with a mask token behind all others, and begin and end
        tokens around every text that is encoded (Devlin et al. 2019, section 3).

        The special tokens get RoBERTa's order, begin, padding, end, unknown: to an MPNet padding is number 1, whatever
        its configuration says.
        """
        if self.mask_id is not None:
            return self
        own = {**self._roles, "mask": _MASK}
        first = [own[role] for role in ("begin", "pad", "end", "unknown") if role in own]
        library = numbered_anew(self._ready(), first, _MASK)
        begin, end = own["begin"], own["end"]
        marks = [(token, library.token_to_id(token)) for token in (begin, end)]
        library.post_processor = processors.TemplateProcessing([begin, "$A", end], None, marks)
        twin = copy.deepcopy(self)
        twin._adopt(library)
        return twin

    def grown(self, texts: Iterable[str], most: int, worth: int) -> tuple[Self, NewTokens]:
        """The same vocabulary with more tokens behind it, so that all others keep their numbers.

        Words that were unknown become known; byte pairs go on being joined; WordPiece takes in whole words.

        Args:
            texts: What they are looked for in, read once.
            most: New tokens, at the most.
            worth: How often one has to stand there; joined from a pair it saves as many tokens.

        Returns:
            A tokenizer of its own, and what the new tokens are made of.

        Raises:
            UnsupportedError: A vocabulary of this kind is not made by counting words or pairs.
        """
        library = self._ready()
        kind = type(library.model).__name__
        if kind == "BPE":
            found = more_merges(library, texts, most, worth)
        elif kind == "WordPiece":
            found = whole_words(library, texts, most, worth)
        elif kind == "WordLevel" and self.unknown_id is not None:
            found = new_words(library, self.unknown_id, texts, most, worth)
        else:
            raise UnsupportedError(
                f"this {self.kind} tokenizer ({kind}) takes in no new tokens; what does: word, character, byte_pair,"
                " and pretrained ones of byte pairs or WordPiece"
            )
        twin = copy.deepcopy(self)
        twin._adopt(found.library)
        if "vocabulary_size" in twin.__dict__:
            twin.__dict__["vocabulary_size"] = max(twin.__dict__["vocabulary_size"], len(twin))
        return twin, found

    # ---------------------------------------------------------------- writing

    def encode(self, texts: Sequence[str], max_length: int | None = None) -> list[Tokens]:
        """Write texts as tokens; no special tokens are added but those of a pretrained tokenizer's own
        template.

        Args:
            texts: The texts.
            max_length: Most tokens a text, special ones included; the rest at the end is left off and `cut`
                says so.

        Raises:
            DataError: A text holds half a surrogate pair.
            SettingError: `max_length` leaves no room for a token.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes several texts: encode([text])")
        room = self._room(max_length)
        return [self._finish(encoding, room) for encoding in self._written(texts, self._ready().encode_batch)]

    def encode_ids(self, texts: Sequence[str], max_length: int | None = None) -> list[np.ndarray]:
        """The ids of `encode` without the offsets, which take most of the time: int32 of shape (tokens,) a text.

        Raises:
            DataError: A text holds half a surrogate pair.
            SettingError: `max_length` leaves no room for a token.
        """
        room = self._room(max_length)
        prefix, suffix = (affix.tolist() for affix in self._affixes)
        written = self._written(texts, self._ready().encode_batch_fast)
        return [np.array([*prefix, *encoding.ids[:room], *suffix], dtype=np.int32) for encoding in written]

    def _room(self, max_length: int | None) -> int | None:
        """Tokens of a text that stand between the special ones; None where there is no limit."""
        if max_length is None:
            return None
        room = max_length - self.special_count
        if room < 1:
            least = self.special_count + 1
            raise SettingError(f"max_length {max_length} leaves no room for text: give {least} or more")
        return room

    def _written(self, texts: Sequence[str], write: Callable[..., list[Encoding]]) -> Iterator[Encoding]:
        for start in range(0, len(texts), _BATCH):
            part = list(texts[start : start + _BATCH])
            try:
                yield from write(part, add_special_tokens=False)
            except (TypeError, UnicodeEncodeError):
                for text in part:
                    refuse_half_characters(text)
                raise

    def _finish(self, encoding: Encoding, room: int | None) -> Tokens:
        # Cutting here, not in the library, keeps it free of state that two threads could fight over.
        ids = np.array(encoding.ids[:room], dtype=np.int32)
        offsets = np.fromiter(chain.from_iterable(encoding.offsets[:room]), dtype=np.int32).reshape(-1, 2)
        return self._enclosed(ids, offsets, cut=room is not None and len(encoding) > room)

    def _enclosed(self, ids: np.ndarray, offsets: np.ndarray, cut: bool) -> Tokens:
        """The text's tokens between the special ones."""
        prefix, suffix = self._affixes
        if len(prefix) or len(suffix):
            ids = np.concatenate([prefix, ids, suffix])
            offsets = np.pad(offsets, ((len(prefix), len(suffix)), (0, 0)))
        return Tokens(ids, offsets, cut)

    @cached_property
    def _affixes(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the special tokens put before and after every text, found by giving the post-processor one."""
        library = self._ready()
        around = library.encode("a")
        inner = library.encode("a", add_special_tokens=False).ids
        first = around.special_tokens_mask.index(0) if 0 in around.special_tokens_mask else 0
        prefix, suffix = around.ids[:first], around.ids[first + len(inner) :]
        if [*prefix, *inner, *suffix] != around.ids:
            raise ModelFolderError(f"the {self.kind} tokenizer puts its special tokens within the text, not around it")
        return np.array(prefix, dtype=np.int32), np.array(suffix, dtype=np.int32)

    def frame(self, pair: bool = False) -> Frame:
        """The special tokens around a text, or around a pair and between its two: the end mark, unless the tokenizer
        has a template of its own for pairs.
        """
        prefix, suffix = self._affixes
        middle = np.array([self.end_id] if pair else [], dtype=np.int32)
        return Frame(prefix, middle, suffix)

    @property
    def prefix(self) -> np.ndarray:
        """Ids of the special tokens that `encode` puts before every text: int32 of shape (tokens,), mostly none."""
        return self._affixes[0]

    @property
    def suffix(self) -> np.ndarray:
        """Ids of the special tokens that `encode` puts after every text: int32 of shape (tokens,), mostly none."""
        return self._affixes[1]

    def bare(self, tokens: Tokens) -> Tokens:
        """What `encode` gave, without the special tokens that it put around the text."""
        prefix, suffix = self._affixes
        inner = slice(len(prefix), len(tokens) - len(suffix))
        return Tokens(tokens.ids[inner], tokens.offsets[inner], tokens.cut)

    def encode_bare(self, texts: Sequence[str]) -> list[Tokens]:
        """Write texts as tokens, whole and without special tokens."""
        return [self.bare(tokens) for tokens in self.encode(texts)]

    @property
    def special_count(self) -> int:
        """How many special tokens `encode` adds to every text."""
        prefix, suffix = self._affixes
        return len(prefix) + len(suffix)

    def decode(self, ids: Iterable[int]) -> str:
        """The text that these ids write; padding and the marks of beginning and end are left out."""
        silent = self.special_ids - {self.unknown_id}
        kept = [int(i) for i in ids if int(i) not in silent]
        text: str = self._ready().decode(kept, skip_special_tokens=False)
        return text

    # ---------------------------------------------------------------- the vocabulary

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __bool__(self) -> bool:
        return True  # a tokenizer without a vocabulary yet is still a tokenizer

    @cached_property
    def vocabulary(self) -> list[str]:
        """Token of each id as the library stores it (byte-level pieces in their printable form); "" where
        none has it.
        """
        by_token = self._ready().get_vocab(with_added_tokens=True)
        tokens = [""] * (max(by_token.values(), default=-1) + 1)
        for token, i in by_token.items():
            tokens[i] = token
        return tokens

    @cached_property
    def _ids_by_role(self) -> dict[str, int]:
        library = self._ready()
        found = {role: library.token_to_id(token) for role, token in self.special_tokens().items()}
        return {role: i for role, i in found.items() if i is not None}

    def special_tokens(self) -> dict[str, str]:
        """Role (`pad`, `unknown`, `begin`, `end`, and `mask` where there is one) -> token."""
        masks = self._library is not None and self._library.token_to_id(_MASK) is not None
        return {**self._roles, "mask": _MASK} if masks else dict(self._roles)

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text: padding, unknown, beginning, end and mask."""
        return frozenset(self._ids_by_role.values())

    @property
    def reserved_ids(self) -> frozenset[int]:
        """The special ids, those of other tokens that the file calls special, and the unused ones of BERT's files."""
        added = self._ready().get_added_tokens_decoder()
        unused = (i for i, token in enumerate(self.vocabulary) if not token or token.startswith("[unused"))
        return self.special_ids.union((i for i, token in added.items() if token.special), unused)

    @property
    def pad_id(self) -> int:
        """The id that fills a batch's short texts."""
        return self._ids_by_role["pad"]

    @property
    def unknown_id(self) -> int | None:
        """The id of everything outside the vocabulary; None where nothing is."""
        return self._ids_by_role.get("unknown")

    @property
    def begin_id(self) -> int:
        """The id of the mark before a text (`[CLS]` in BERT's family)."""
        return self._ids_by_role["begin"]

    @property
    def end_id(self) -> int:
        """The id of the mark after a text (`[SEP]` in BERT's family)."""
        return self._ids_by_role["end"]

    @property
    def mask_id(self) -> int | None:
        """The id that hides a token in masked language modelling; None where there is none."""
        return self._ids_by_role.get("mask")

    # ---------------------------------------------------------------- identity and storage

    @property
    def kind(self) -> str:
        """The catalog's name: `word`, `character`, `byte_pair`, `pretrained`."""
        return catalog.name_of(self)

    @property
    def unit(self) -> str | None:
        """`word` or `character` where each token is just that, as in a `Lexicon` of that unit; None otherwise."""
        return None

    def describe(self) -> str:
        """A line for tables and cards: "word, 10,000 types, closed"."""
        return f"{self.kind}, {len(self):,} types, {'closed' if self.closed else 'open'}"

    def hyper_parameters(self) -> dict[str, Any]:
        """Field name -> value, as given to the constructor."""
        return catalog.values_of(self)

    def to_json(self) -> dict[str, Any]:
        """Name and hyper-parameters as plain data."""
        return {"tokenizer": self.kind, "hyper_parameters": self.hyper_parameters()}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the rules and the vocabulary: the same one writes every text the same way."""
        roles = json.dumps(self.special_tokens(), sort_keys=True)
        return hashlib.sha256(f"{roles}\n{self._ready().to_str()}".encode()).hexdigest()

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, which Hugging Face's libraries open too."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / VOCABULARY).write_text(self._ready().to_str(pretty=True) + "\n", encoding="utf-8")
        configuration = {**self._configuration(), "transferlm": self.to_json()}
        text = json.dumps(configuration, ensure_ascii=False, indent=2)
        (place / CONFIGURATION).write_text(text + "\n", encoding="utf-8")

    def _configuration(self) -> dict[str, Any]:
        names = {"pad": "pad_token", "unknown": "unk_token", "begin": "bos_token", "end": "eos_token"}
        special = self.special_tokens()
        if "mask" in special:
            names |= {"begin": "cls_token", "end": "sep_token", "mask": "mask_token"}
        tokens = {names[role]: token for role, token in special.items()}
        return {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **tokens}

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The tokenizer saved in a folder, of whatever kind; a folder that others made gives a `Pretrained`.

        Raises:
            ModelFolderError: The folder holds none, or a damaged one.
            SettingError: It is of a kind that this version does not know, or not of the class that was asked.
        """
        place = Path(folder)
        described = read_configuration(place).get("transferlm")
        saved: dict[str, Any] = described if isinstance(described, dict) else {"tokenizer": "pretrained"}
        found = catalog.find("tokenizers", str(saved.get("tokenizer")))
        if not issubclass(found, cls):
            raise SettingError(f"{place} holds a {saved['tokenizer']} tokenizer, not a {catalog.name_of(cls)} one")
        return found._restore(place, saved.get("hyper_parameters", {}))

    @classmethod
    def _restore(cls, folder: Path, hyper_parameters: dict[str, Any]) -> Self:
        try:
            tokenizer = cls(**hyper_parameters)
        except TypeError as error:
            raise ModelFolderError(f"{folder / CONFIGURATION}: {error}") from None
        tokenizer._adopt(read_library(folder / VOCABULARY))
        return tokenizer

    def untrained(self) -> Self:
        """The same hyper-parameters before any text."""
        return dataclasses.replace(self)  # type: ignore[type-var]


def share_read(texts: Sequence[str], tokens: Sequence[Tokens]) -> np.ndarray:
    """The share of each text's characters that stand before the cut: float64 of shape (texts,)."""
    shares = np.ones(len(texts))
    for row, (text, t) in enumerate(zip(texts, tokens, strict=True)):
        if t.cut:
            shares[row] = t.offsets[:, 1].max() / len(text)
    return shares
