"""Characters of entities and answers hold whatever a text mixes and however a tokenizer cuts it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.outputs import Stretch
from transferlm.tasks._spans import best_span, tokens_of
from transferlm.tasks._tagging import decoded, tags_of_tokens
from transferlm.tasks.base import Entity
from transferlm.text.tokenizers import BytePair, Character, Pretrained, Word
from transferlm.text.tokenizers.base import Tokenizer
from transferlm.text.units import unit_offsets, word_offsets

PIECES = [
    *("北京", "大学", "2024", "3.14", "iPhone15", "Ada", " ", " ", "，", "U.S.", "…", "ไทย", "नमस्ते"),
    *("👩‍👩‍👧", "👍🏽", "❤️", "cafe\u0301", "e\u0301", "\u00e9", "𠮷", "İ", "\u200b"),
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join).filter(lambda text: bool(text.strip()))
LABELS = ("LOC", "PER")


@cache
def wordpiece() -> Tokenizer:
    """BERT's cutting over a vocabulary that knows some of the pieces and not others."""
    import tempfile

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "北", "京", "大", "ada", "caf", "##e", "e", "i", "##phone"]
    words += [*"0123456789.,，", *(f"##{digit}" for digit in "0123456789"), "u", "s"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        made = Pretrained(folder)
        made.encode(["北京"])  # reads the folder
        return made


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "word": cache(lambda: Word().fit(PIECES)),
    "word and punctuation": cache(lambda: Word(punctuation=True, lowercase=True).fit(PIECES)),
    "character": cache(lambda: Character().fit(PIECES)),
    "byte_pair": cache(lambda: BytePair(vocabulary_size=300).fit(PIECES * 3)),
    "wordpiece": wordpiece,
}


def stretches(offsets: np.ndarray, scores: np.ndarray, cut: int | None) -> list[Stretch]:
    """All tokens in one stretch, or in two that share a token."""
    whole = np.zeros(scores.shape[1], dtype=np.float32)
    places = [slice(None)] if cut is None else [slice(0, cut + 1), slice(cut, None)]
    return [Stretch(offsets[place], scores[place].astype(np.float32), whole) for place in places]


def read_units(units: np.ndarray, offsets: np.ndarray) -> tuple[list[int], bool]:
    """The units that a token stands for, and whether no token stands for two."""
    touched = [np.flatnonzero((units[:, 0] < end) & (units[:, 1] > start)) for start, end in offsets if end > start]
    return sorted({int(unit) for each in touched for unit in each}), all(len(each) <= 1 for each in touched)


@pytest.mark.parametrize("places", [unit_offsets, word_offsets])
@pytest.mark.parametrize("name", MAKERS)
@given(TEXTS, st.data())
@settings(max_examples=60, deadline=None)
def test_entities_come_back_to_the_character(
    name: str, places: Callable[[str], np.ndarray], text: str, data: st.DataObject
) -> None:
    offsets = MAKERS[name]().encode([text])[0].offsets
    units = places(text)
    read, fine = read_units(units, offsets)
    borders = sorted(data.draw(st.sets(st.integers(0, len(read)), max_size=6)))
    entities = []
    for first, end in zip(borders[::2], borders[1::2], strict=False):
        start, stop = int(units[read[first], 0]), int(units[read[end - 1], 1])
        entities.append(Entity(start, stop, data.draw(st.sampled_from(LABELS)), text[start:stop]))
    tags = tags_of_tokens(units, entities, offsets, LABELS)
    scores = 9.0 * np.eye(6)[tags][:, :5]  # of a token without a unit, whose tag is -1, nothing is said
    cut = data.draw(st.none() | st.integers(0, len(offsets) - 1)) if len(offsets) else None
    found = decoded(text, units, unit_offsets(text), stretches(offsets, scores, cut), LABELS)
    for entity in found:
        assert text[entity.start : entity.end] == entity.text
        assert entity.start in units[:, 0]
        assert entity.end in units[:, 1]
    if fine:
        assert [(e.start, e.end, e.label) for e in found] == [(e.start, e.end, e.label) for e in entities]


@pytest.mark.parametrize("name", MAKERS)
@given(TEXTS, st.data())
@settings(max_examples=60, deadline=None)
def test_answers_come_back_to_the_character_where_tokens_end_with_them(
    name: str, text: str, data: st.DataObject
) -> None:
    offsets = MAKERS[name]().encode([text])[0].offsets
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = tokens_of(offsets, start, end)
    covered = [any(a <= place < b for a, b in offsets) for place in (start, end - 1)]
    assert (first >= 0) == all(covered)
    if first < 0:
        return
    scores = np.zeros((len(offsets), 2))
    scores[first, 0] = scores[last, 1] = 9.0
    best = best_span(stretches(offsets, scores, None), len(text))
    assert best.start is not None
    assert (best.start, best.end) == (offsets[first, 0], offsets[last, 1])
    assert best.start <= start < end <= best.end
    if all(start <= a < b <= end for a, b in offsets if a < min(b, end) and b > start):
        assert text[best.start : best.end] == text[start:end]


@pytest.mark.parametrize("name", ["character", "word and punctuation"])
def test_a_joined_emoji_within_a_name_does_not_end_it(name: str) -> None:
    text = "👩‍👩‍👧 2024年 Ada cafe\u0301"
    offsets = MAKERS[name]().encode([text])[0].offsets
    entity = Entity(0, 5, "PER", "👩‍👩‍👧")
    scores = 9.0 * np.eye(6)[tags_of_tokens(unit_offsets(text), [entity], offsets, LABELS)][:, :5]
    (found,) = decoded(text, unit_offsets(text), unit_offsets(text), stretches(offsets, scores, None), LABELS)
    assert (found.start, found.end, found.label) == (0, 5, "PER")


def test_a_joiner_that_a_tokenizer_drops_ends_no_entity() -> None:
    text = "👩‍👩 ran"
    offsets = np.array([[0, 1], [2, 3], [4, 7]], dtype=np.int32)
    scores = 9.0 * np.eye(5)[[1, 2, 0]]
    (found,) = decoded(text, unit_offsets(text), unit_offsets(text), stretches(offsets, scores, None), LABELS)
    assert (found.start, found.end) == (0, 3)
