"""The check finds what would spoil a measurement and says each in one sentence."""

from __future__ import annotations

import json

import pytest

from transferlm.errors import DataError
from transferlm.text.checks import Labelled, check
from transferlm.text.tokenizers import Character

FINE = [f"a fine film about {word}" for word in ("love", "war", "winter", "trains", "cooking", "the sea")]


def test_clean_parts_have_no_problem() -> None:
    labels = ["good", "bad"] * 3
    report = check((FINE, labels), (["another thing altogether", "and one more"], ["good", "bad"]))
    assert report.problems() == []
    assert report.train.labels == {"good": 3, "bad": 3}
    assert report.train.characters.longest == max(map(len, FINE))
    assert report.train.tokens is None


def test_everything_wrong_is_found() -> None:
    texts = [*FINE, FINE[0], FINE[1], "A fine film about LOVE!", " ", "bad \ufffd\ue000\x07 text\t\n"]
    labels = ["good"] * 7 + ["bad"] + ["good"] * 3
    report = check(Labelled(texts, labels), ([FINE[2], "new", "newer"], ["good", "good", "ugly"]))
    part = report.train
    assert part.exact_duplicates == [[0, 6], [1, 7]]
    assert part.near_duplicates == [[0, 6, 8], [1, 7]]
    assert part.conflicts == [[1, 7]]
    assert part.empty == [9]
    assert part.unknown_characters == pytest.approx(3 / sum(map(len, texts)))
    assert report.leaks == [(2, 0)]
    assert (report.unknown_labels, report.missing_labels) == (["ugly"], ["bad"])
    problems = "\n".join(report.problems())
    for said in (
        "1 text is empty in the training part, first row 10",
        "2 exact and 1 near duplicates are in the training part",
        "1 text is in the training part under different labels, first in rows 2, 8",
        "characters can't be read",
        "1 of 3 test texts (33.3%) stand in the training part too",
        "labels that training never saw: 'ugly'",
        "No test text has the label 'bad'",
    ):
        assert said in problems


def test_balance_and_single_label() -> None:
    assert "one label only, 'good'" in check((FINE, ["good"] * 6)).problems()[0]
    texts = [f"text {i * 7919}" for i in range(24)]
    problems = check((texts, ["ham"] * 23 + ["spam"])).problems()
    assert problems == [
        "The training part is unbalanced: 23 rows with 'ham' and 1 with 'spam';"
        " look at macro-F1, and consider class weights."
    ]


def test_what_a_maximum_length_cuts() -> None:
    texts = ["abcde", "abcdefgh", "abcdefghij"]
    report = check((texts, None), tokenizer=Character().fit(texts), max_length=5)
    tokens = report.train.tokens
    assert tokens is not None
    assert (tokens.lengths.median, tokens.lengths.longest) == (8, 10)
    assert tokens.texts_cut == pytest.approx(2 / 3)
    assert tokens.text_cut == pytest.approx((3 + 5) / 23)
    assert report.problems() == ["A maximum length of 5 tokens cuts 66.7% of the training texts (34.8% of their text)."]
    assert check((texts, None), tokenizer=Character().fit(texts)).train.tokens.texts_cut == 0  # type: ignore[union-attr]


def test_the_report_is_plain_json() -> None:
    report = check((FINE, ["good", "bad"] * 3), ([FINE[0]], ["good"]))
    data = json.loads(json.dumps(report.as_json()))
    assert data["train"]["rows"] == 6
    assert data["leaks"] == [[0, 0]]
    assert data["problems"] == report.problems()


def test_nothing_to_check() -> None:
    with pytest.raises(DataError, match="no texts to check"):
        check(([], []))
    with pytest.raises(DataError, match="one label a text"):
        check((FINE, ["good"]))
