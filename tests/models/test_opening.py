"""Opening a saved count-based model reads none of its arrays, so that its size does not matter."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import transferlm as tl
from transferlm import catalog
from transferlm.counts._compact_trie_parts import width_of, words_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what of a mapped file was read")

WORDS = 1 << 25
"""17 GB altogether, on paper: the file is sparse, and what is not written takes no place on disk."""

MOST = 1 << 24
"""Bytes of the file that one opening may touch, with what the system reads around them; each large array has twice as
many or more.
"""

SIZES = {
    "lexicon.letters": (8 * WORDS,),
    "lexicon.ends": (WORDS,),
    "lexicon.slots": (2 * WORDS,),
    "table.grams": (8 * WORDS, 3),
    "table.counts": (8 * WORDS,),
    "automaton.slots": (16 * WORDS, 4),
    "automaton.states": (4 * WORDS, 5),
    "automaton.unigrams": (WORDS + 4, 3),
    "automaton.levels": (3,),
    "automaton.first": (4 * WORDS + 1,),
    "automaton.symbols": (8 * WORDS,),
    "automaton.log_probs": (8 * WORDS,),
    "literal_share": (1,),
    "trie.unigrams": (WORDS + 4, 3),
    "trie.unigram_first": (WORDS + 5,),
    "trie.levels": (3,),
    "trie.symbols": (words_of(24 * WORDS, width_of(WORDS + 3)),),
    "trie.groups": (8 * WORDS // 32 + 1,),
    "trie.first": ((8 * WORDS // 32 + 1) * 20 + 1,),
    "trie.log_probs": (words_of(24 * WORDS, 8),),
    "trie.back_offs": (words_of(8 * WORDS, 8),),
    "trie.normalisers": (words_of(8 * WORDS, 1),),
    "trie.normaliser_bounds": (2,),
    "trie.log_prob_values": (2, 256),
    "trie.back_off_values": (1, 256),
}
ENDS = {
    "lexicon.ends": [8 * WORDS],
    "automaton.levels": [1, WORDS, 4 * WORDS],
    "trie.levels": [0, 8 * WORDS, 24 * WORDS],
}
"""What arrays end in that are not all zeros."""


def make_huge(weights: Path) -> None:
    """Put a file of the same arrays in the place of `weights`, all of them huge and all zeros but for their borders."""
    content = weights.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, at = json.loads(content[8 : 8 + length]), 0
    for name, told in header.items():
        size = int(np.prod(SIZES[name])) * {"U8": 1, "U32": 4, "F32": 4, "I64": 8, "F64": 8}[told["dtype"]]
        told |= {"shape": list(SIZES[name]), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    begin = 8 + len(text)
    with weights.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(begin + at)
        for name, values in ((name, values) for name, values in ENDS.items() if name in header):
            file.seek(begin + header[name]["data_offsets"][1] - 8 * len(values))
            file.write(np.array(values, np.int64).tobytes())


def touched(file: Path) -> int:
    """Bytes of a mapped file that this process has read."""
    return sum(part.rss for part in psutil.Process().memory_maps() if part.path == str(file))


@pytest.mark.parametrize("family", ["kneser_ney", "arpa", "compact"])
def test_opening_reads_no_array(family: str, tmp_path: Path) -> None:
    model: Any = catalog.find("models", "kneser_ney")(order=3).fit(["the film was good", "a warm room"])  # type: ignore[attr-defined]
    if family == "arpa":
        model.export(tmp_path / "m.arpa")
        model = tl.load(tmp_path / "m.arpa")
    if family == "compact":
        model = tl.compress(model)
    model.save(tmp_path / "m")
    assert len(tl.load(tmp_path / "m").tokenizer) == 7  # type: ignore[union-attr]
    weights = tmp_path / "m" / "model.safetensors"
    make_huge(weights)
    if weights.stat().st_blocks > 1 << 15:
        pytest.skip("this file system has no sparse files")
    opened: Any = tl.load(tmp_path / "m")
    assert 0 < touched(weights) < MOST
    assert len(opened.tokenizer) == WORDS
