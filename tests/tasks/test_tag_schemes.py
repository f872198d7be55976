"""Tag sequences, whole and broken, tell the entities that seqeval reads in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from transferlm.tasks._tag_schemes import breaks, chunks, parsed, scheme_of

TAGS = ["O", *(f"{letter}-{label}" for letter in "BIES" for label in ("PER", "LOC"))]


def read(tags: list[str]) -> list[tuple[str, int, int]]:
    found = [parsed(tag) for tag in tags]
    assert None not in found
    return [(label, start, end - 1) for start, end, label in chunks(found)]  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(TAGS), max_size=12))
def test_any_sequence_is_read_as_seqeval_reads_it(tags: list[str]) -> None:
    assert read(tags) == get_entities(tags)


@given(st.lists(st.sampled_from([tag for tag in TAGS if tag[0] in "OBI"]), max_size=12))
def test_a_sequence_without_breaks_is_read_alike_with_and_without_lenience(tags: list[str]) -> None:
    found = [parsed(tag) for tag in tags]
    strict = [tag for place, tag in enumerate(tags) if tag[0] == "B"]
    if not breaks(found, "BIO"):  # type: ignore[arg-type]
        assert len(read(tags)) == len(strict)
    else:
        assert len(read(tags)) > len(strict)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-A", "I-A", "O", "B-B"], "BIO"),
        (["I-A", "I-A", "B-A", "O", "I-B"], "IOB1"),
        (["B-A", "B-A", "B-A", "I-B"], "BIO"),
        (["O", "O"], "BIO"),
        (["B-A", "E-A", "S-B"], "BIOES"),
        (["B-A", "M-A", "E-A"], "BMES"),
        (["B-A", "I-A", "L-A", "U-B"], "BILOU"),
    ],
)
def test_the_scheme_is_found_out(tags: list[str], scheme: str) -> None:
    assert scheme_of([tags]) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme", "places"),
    [
        (["O", "I-A", "I-B"], "BIO", [1, 2]),
        (["B-A", "I-A", "O"], "BIO", []),
        (["B-A", "I-A"], "BIOES", [2]),
        (["B-A", "E-A", "S-A", "O"], "BIOES", []),
        (["B-A", "B-A", "E-A", "I-A", "O"], "BIOES", [1, 3, 4]),
        (["I-A", "B-A", "O", "B-A"], "IOB1", [3]),
    ],
)
def test_what_breaks_a_scheme_is_told_by_its_place(tags: list[str], scheme: str, places: list[int]) -> None:
    assert breaks([parsed(tag) for tag in tags], scheme) == places  # type: ignore[misc]


@pytest.mark.parametrize("tag", ["PER", "B-", "X-PER", "", "o"])
def test_what_is_no_tag(tag: str) -> None:
    assert parsed(tag) is None
