"""The tokenizer that a pretrained model came with, opened without the library that made it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from tokenizers import Tokenizer as Library
from tokenizers import pre_tokenizers

from transferlm.errors import ModelFolderError, SettingError, UnsupportedError
from transferlm.text.framing import Frame
from transferlm.text.tokenizers._library import CONFIGURATION, VOCABULARY, read_configuration, read_library
from transferlm.text.tokenizers._word_piece import from_vocabulary
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["Pretrained"]

# Role -> keys of tokenizer_config.json, then names by convention where no file says it.
_ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "begin": (("cls_token", "bos_token"), ("[CLS]", "<s>", "<|begin_of_text|>", "<|endoftext|>")),
    "end": (("sep_token", "eos_token"), ("[SEP]", "</s>", "<|end_of_text|>", "<|endoftext|>")),
    "unknown": (("unk_token",), ("[UNK]", "<unk>")),
    "mask": (("mask_token",), ("[MASK]", "<mask>")),
    "pad": (("pad_token",), ("[PAD]", "<pad>")),
}


@dataclass(eq=False)
class Pretrained(Tokenizer):
    """The tokenizer in a pretrained model's folder, with its own special tokens around each text.

    Reads `tokenizer.json`, or a bare `vocab.txt` as BERT's WordPiece. Truncation and padding stored in the
    file are switched off: `encode` says itself what it cuts. `fit` learns nothing, the vocabulary is fixed.
    """

    folder: str = ""
    """The folder that holds `tokenizer.json` or `vocab.txt`."""

    def __post_init__(self) -> None:
        if self.folder:
            self._open(Path(self.folder))

    def fit(self, texts: Iterable[str]) -> Self:  # noqa: ARG002
        """Nothing to learn: the vocabulary came with the model."""
        self._ready()
        return self

    def _ready(self) -> Library:
        if self._library is None:
            raise SettingError("the pretrained tokenizer needs the folder that holds it: --tokenizer.folder FOLDER")
        return self._library

    def _learn(self, texts: Iterable[str]) -> Library:  # noqa: ARG002
        return self._ready()

    def _open(self, folder: Path) -> None:
        self._settings = {
            **read_configuration(folder, "special_tokens_map.json"),
            **read_configuration(folder),
        }
        self._settings = {
            key: value["content"] if isinstance(value, dict) and "content" in value else value
            for key, value in self._settings.items()
        }
        if (folder / VOCABULARY).is_file():
            library = read_library(folder / VOCABULARY)
        elif (folder / "vocab.txt").is_file():
            library = from_vocabulary(folder / "vocab.txt", self._settings)
        else:
            missing = f"{folder} holds neither {VOCABULARY} nor vocab.txt"
            raise ModelFolderError(f"{missing}: save it anew from transformers' AutoTokenizer")
        library.no_truncation()
        library.no_padding()
        self._adopt(library)
        self.closed = not _writes_every_string(json.loads(library.to_str()))
        self._named = self._find_roles(library, folder)

    def _find_roles(self, library: Library, folder: Path) -> dict[str, str]:
        found: dict[str, str] = {}
        for role, (keys, conventions) in _ROLES.items():
            named = [self._settings[key] for key in keys if isinstance(self._settings.get(key), str)]
            known = [token for token in (*named, *conventions) if library.token_to_id(token) is not None]
            if known:
                found[role] = known[0]
        # A generating model may have one mark for everything; padding is masked, so any token can fill it.
        mark = found.get("end") or found.get("begin")
        if mark is None:
            raise ModelFolderError(f"{folder / CONFIGURATION} names no token for the beginning or the end of a text")
        return {"pad": mark, "begin": mark, "end": mark, **found}

    def special_tokens(self) -> dict[str, str]:
        """Role (`pad`, `begin`, `end`, and `unknown` and `mask` where there is one) -> token."""
        self._ready()
        return dict(self._named)

    def with_marks(self) -> Self:
        """Itself: its marks and its mask came with the model.

        Raises:
            UnsupportedError: It has no mask token.
        """
        if self.mask_id is None:
            raise UnsupportedError(
                "the tokenizer has no mask token, so masked language modelling can't be done with it"
            )
        return self

    def frame(self, pair: bool = False) -> Frame:
        """The special tokens around a text or a pair, as the tokenizer's own template puts them (BERT's token types,
        RoBERTa's double separator); without a template a pair is parted by the end mark.
        """
        return self._pair_frame if pair else super().frame()

    @cached_property
    def _pair_frame(self) -> Frame:
        encoded = self._ready().encode("a", "a")
        belongs = encoded.sequence_ids
        first, second = belongs.index(0), belongs.index(1)
        between = [i for place, i in enumerate(encoded.ids) if belongs[place] is None and first < place < second]
        last = len(belongs) - belongs[::-1].index(1)
        prefix, suffix = encoded.ids[:first], encoded.ids[last:]
        if not [*prefix, *between, *suffix]:
            return super().frame(pair=True)
        types = (encoded.type_ids[first], encoded.type_ids[second])
        around, middle, after = (np.array(ids, dtype=np.int32) for ids in (prefix, between, suffix))
        return Frame(around, middle, after, types if any(types) else None)

    def to_json(self) -> dict[str, Any]:
        """The name alone: where the folder was on one machine says nothing on another."""
        return {"tokenizer": self.kind, "hyper_parameters": {}}

    def _configuration(self) -> dict[str, Any]:
        return self._settings

    @classmethod
    def _restore(cls, folder: Path, hyper_parameters: dict[str, Any]) -> Self:  # noqa: ARG003
        return cls(folder=str(folder))


_CONTROLS = {*range(9), 11, 12, *range(14, 32), 127}
"""ASCII's control codes, but for tab and line ends."""
_UNASSIGNED = {0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 256)}
"""Bytes that stand in no UTF-8 text, or only in planes of Unicode that hold no character."""


def _writes_every_string(library: dict[str, Any]) -> bool:
    """Whether the vocabulary holds all bytes of written text and nothing is normalised away before they are written.

    A vocabulary learnt from text alone, such as SmolLM2's, lacks a few bytes that no text is made of.
    """
    vocabulary = library["model"].get("vocab", {})
    if not isinstance(vocabulary, dict) or not _lossless(library.get("normalizer")):
        return False
    if library["model"].get("byte_fallback"):
        return all(f"<0x{byte:02X}>" in vocabulary for byte in set(range(256)) - _CONTROLS - _UNASSIGNED)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ((controls, _),) = level.pre_tokenize_str("".join(map(chr, sorted(_CONTROLS))))
    written = set(level.alphabet()) - set(controls) - set(map(chr, _UNASSIGNED))
    splitters = json.dumps(library.get("pre_tokenizer"))
    return '"ByteLevel"' in splitters and all(sign in vocabulary for sign in written)


def _lossless(normalizer: dict[str, Any] | None) -> bool:
    if normalizer is None:
        return True
    if normalizer["type"] == "Sequence":
        return all(_lossless(part) for part in normalizer["normalizers"])
    return normalizer["type"] in ("Prepend", "Replace")
