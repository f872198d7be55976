"""Copies are found, exact and near, in English and Chinese; texts that only look alike are not."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlm.errors import SettingError
from transferlm.text.duplicates import exact_duplicates, keep_first, leaks, near_duplicates
from transferlm.text.minhash import banding, jaccard, normalised, shingles, signatures

LONG = (
    "The hotel stands by the river, ten minutes from the station; our room was quiet and clean, the breakfast rich, "
    "and the staff at the desk spoke four languages and found us a doctor in the middle of the night."
)  # fmt: skip
LONG_ZH = (
    "酒店离火车站只有十分钟的路程，房间安静整洁，早餐种类丰富，前台的服务员会说四种语言，"
    "半夜还帮我们找到了医生，非常感谢他们的热心帮助，下次来这个城市还会选择住在这里。"
)


def random_texts(count: int, length: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return ["".join(map(chr, draw.integers(0x4E00, 0x5E00, length))) for _ in range(count)]


def test_exact_groups_keep_order() -> None:
    assert exact_duplicates(["b", "a", "b", "", "a", "b", ""]) == [[0, 2, 5], [1, 4], [3, 6]]
    assert exact_duplicates([]) == []


def test_texts_that_agree_after_normalisation() -> None:
    texts = [
        "Fine film!",
        "ＦＩＮＥ　ｆｉｌｍ",
        "fine\nfilm.",
        "fine films",
        "很好。",
        "很 好",
        "!!!",
        "???",
        "👍",
        "👎",
        "",
    ]
    assert near_duplicates(texts) == [[0, 1, 2], [4, 5]]


def test_a_changed_word_is_near_and_another_text_is_not() -> None:
    texts = [LONG, LONG_ZH, LONG.replace("four", "five"), LONG_ZH.replace("酒店离", "宾馆离"), LONG[:100], "the hotel"]
    assert near_duplicates(texts) == [[0, 2], [1, 3]]
    assert near_duplicates(texts, threshold=1.0) == []


def test_groups_are_connected_by_chains() -> None:
    words = LONG.split()
    chain = [" ".join([*words[:i], f"zz{i}", *words[i + 1 :]]) for i in (3, 12)]
    assert near_duplicates([chain[0], "else", LONG, chain[1]], threshold=0.85) == [[0, 2, 3]]


def test_every_pair_found_is_true_and_nearly_all_true_pairs_are_found() -> None:
    originals = random_texts(300, 200)
    draw = np.random.default_rng(1)
    copies = []
    for text in originals:
        letters = list(text)
        for place in draw.integers(0, len(letters), draw.integers(0, 5)):
            letters[place] = "X"
        copies.append("".join(letters))
    truly = {
        i for i in range(300) if jaccard(shingles(normalised(originals[i])), shingles(normalised(copies[i]))) >= 0.9
    }
    groups = near_duplicates(originals + copies, threshold=0.9)
    assert {tuple(group) for group in groups} == {(i, i + 300) for i in truly}
    assert 50 < len(truly) < 300


def test_signatures_estimate_the_similarity() -> None:
    first, second = random_texts(1, 400)[0], random_texts(1, 400, seed=1)[0]
    mixed = first[:300] + second[300:]
    a, b = signatures([first, mixed])
    assert (a == b).mean() == pytest.approx(jaccard(shingles(first), shingles(mixed)), abs=0.13)
    assert (signatures(["别的", *random_texts(40, 5000), first])[-1] == a).all()


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_miss_at_most_one_pair_in_a_thousand(threshold: float) -> None:
    bands, rows = banding(threshold)
    assert bands * rows <= 128
    assert (1 - threshold**rows) ** bands <= 1e-3


def test_keep_first_leaves_one_of_each_group() -> None:
    texts = ["a", "b", "A", "c", "b!"]
    assert keep_first(near_duplicates(texts), len(texts)).tolist() == [0, 1, 3]


def test_leaks_name_every_pair() -> None:
    train = ["x", LONG, "Y!", LONG_ZH, "y"]
    test = ["new", "y", LONG.replace("four", "five"), "y?"]
    assert leaks(train, test) == [(2, 1), (4, 1), (1, 2), (2, 3), (4, 3)]
    assert leaks(train, test, threshold=1.0) == [(2, 1), (4, 1), (2, 3), (4, 3)]
    assert leaks([], test) == leaks(train, []) == []


def test_a_threshold_that_means_nothing_is_refused() -> None:
    for threshold in (0.1, 1.1):
        with pytest.raises(SettingError, match=r"is not between 0\.5 and 1"):
            near_duplicates(["a"], threshold)
        with pytest.raises(SettingError, match=r"is not between 0\.5 and 1"):
            leaks(["a"], ["a"], threshold)


def test_many_like_texts_do_not_explode() -> None:
    many = [LONG + f" Room {i}." for i in range(1500)]
    began = time.monotonic()
    assert near_duplicates(many) == [list(range(1500))]
    assert time.monotonic() - began < 10


@given(st.lists(st.text(max_size=12), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_strings_group_without_repeats(texts: list[str]) -> None:
    groups = near_duplicates(texts)
    members = [index for group in groups for index in group]
    assert len(members) == len(set(members))
    for group in exact_duplicates(texts):
        assert any(set(group) <= set(near) for near in groups)
