"""A sentencepiece unigram model as a `tokenizers` file: same pieces, same scores, same normalisation."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from transferlm.errors import SourceError

__all__ = ["to_tokenizer"]

# Numbers of the fields in sentencepiece's `sentencepiece_model.proto`.
_PIECE, _NORMALIZER = 1, 3
_TEXT, _SCORE = 1, 2
_CHARACTER_MAP = 2
_UNKNOWN, _BEGIN, _END = "<unk>", "<s>", "</s>"


def to_tokenizer(model: Path, target: Path) -> None:
    """Write `tokenizer.json` for a sentencepiece unigram model with `<unk>`, `<s>` and `</s>`.

    Texts are normalised by the model's own character map, runs of spaces joined, and framed by `<s>` and
    `</s>`.
    Successive unknown characters become one `<unk>`, as in sentencepiece itself.

    Raises:
        SourceError: `model` is no such sentencepiece model.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    try:
        pieces, character_map = _read(model.read_bytes())
        ids = {piece: number for number, (piece, _) in enumerate(pieces)}
        framing = [(token, ids[token]) for token in (_BEGIN, _END)]
        unknown = ids[_UNKNOWN]
    except (ValueError, KeyError, IndexError, struct.error):
        raise SourceError(f"{model.name} is no sentencepiece model with {_UNKNOWN}, {_BEGIN} and {_END}") from None
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(character_map),
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{_BEGIN} $A {_END}", special_tokens=framing)
    tokenizer.save(str(target))


def _read(data: bytes) -> tuple[list[tuple[str, float]], bytes]:
    """All pieces with their log-probabilities, and the normaliser's compiled character map."""
    pieces: list[tuple[str, float]] = []
    character_map = b""
    for number, value in _fields(data):
        if number == _PIECE:
            piece = dict(_fields(value))
            pieces.append((piece[_TEXT].decode("utf-8"), struct.unpack("<f", piece[_SCORE])[0]))
        elif number == _NORMALIZER:
            character_map = dict(_fields(value))[_CHARACTER_MAP]
    return pieces, character_map


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field of a protocol-buffers message that is no plain integer, in order."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            _, position = _varint(data, position)
            continue
        if wire_type == 2:
            size, position = _varint(data, position)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type}")
        if position + size > len(data):
            raise ValueError("a field runs over the end")
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A base-128 number, least significant group first, and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
