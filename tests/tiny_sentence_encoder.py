"""A Universal Sentence Encoder of the published shape and toy size, as its package lays it, weights drawn."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

WIDTH, BRANCH, GROUPS, ROWS = 8, 4, 3, 14
PIECES = ["<unk>", "<s>", "</s>", "▁", *"abcdefghijklmnopqrstuvwxyz", "▁the", "ing", "er", "▁a", "!", "好", "的"]


def write_packaged(folder: Path, seed: int = 0) -> None:
    """Write `weights.npz` and `sp.model` into `folder`."""
    draw = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.5, shape).astype(np.float32)

    arrays = {f"q{group + 1}": draw.integers(0, 64, (ROWS, WIDTH), dtype=np.uint8) for group in range(GROUPS)}
    arrays |= {"scale": draw.uniform(0.02, 0.05, GROUPS).astype(np.float32), "lo": weights(GROUPS)}
    for order in (2, 3, 5):
        arrays |= {f"proj{order}": weights(WIDTH, BRANCH), f"proj_b{order}": weights(BRANCH)}
        arrays |= {f"ln_g{order}": weights(BRANCH), f"ln_b{order}": weights(BRANCH)}
        for layer in (1, 2):
            arrays[f"w{layer}_{order}"] = weights(order * BRANCH, BRANCH)
            arrays[f"b{layer}_{order}"] = weights(BRANCH)
    mixed = WIDTH + 3 * BRANCH
    arrays |= {"ln_g": weights(mixed), "ln_b": weights(mixed), "cnn_W": weights(mixed, WIDTH), "cnn_b": weights(WIDTH)}
    arrays |= {"d0": weights(WIDTH, 5), "d1": weights(5, 6), "d2": weights(6, 7), "d3": weights(7, 9)}
    arrays |= {"p1": weights(WIDTH, 6), "p3": weights(6, 9), "eps": np.array(1e-12)}
    np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]
    (folder / "sp.model").write_bytes(sentencepiece_model())


def sentencepiece_model() -> bytes:
    """The pieces, each a little less likely than the one before, as sentencepiece serialises them."""
    pieces = b""
    for place, piece in enumerate(PIECES):
        text = piece.encode()
        score = struct.pack("<f", 0.0 if place < 3 else -1.0 - place / 10)
        pieces += _field(1, _field(1, text) + b"\x15" + score + b"\x18\x01")
    # A character map that maps nothing: a trie of 256 empty units, and no replacements.
    character_map = struct.pack("<I", 1024) + bytes(1024) + b"\0"
    return pieces + _field(2, b"\x18\x01") + _field(3, _field(1, b"identity") + _field(2, character_map))


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content
