"""Whatever way texts come into a count-based model, and out again: it is to the bit the model of what is in it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import transferlm as tl
from transferlm import catalog
from transferlm.counts import counted_text
from transferlm.counts.counted_text import CountedText
from transferlm.counts.table import CountTable
from transferlm.models import _count_based, _discounting, _kneser_ney
from transferlm.models._count_based import BackOffModel

FAMILIES = ["good_turing", "hierarchical_dirichlet", "kneser_ney", "maximum_likelihood", "witten_bell"]
WORDS = ["!", "a", "aa", "ab", "b", "m", "zz", "é", "电影", "\U0001f600", "<unk>"]
"""They sort before, between and after one another, so that new ones push in anywhere."""
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join), min_size=1, max_size=7)
MODELS = st.fixed_dictionaries(
    {"family": st.sampled_from(FAMILIES), "order": st.integers(1, 5), "unit": st.sampled_from(["word", "character"])}
)
CAREFULLY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def made(family: str, **settings: Any) -> BackOffModel:
    model: BackOffModel = catalog.find("models", family)(**settings)
    return model


def update(model: BackOffModel, texts: list[str], method: str = "count_merging", **settings: Any) -> Any:
    return catalog.find("updates", method)(**settings).update(model, texts)


def assert_same(grown: BackOffModel, whole: BackOffModel, folder: Path) -> None:
    """To the bit, in everything that can be asked of a model."""
    assert grown.fingerprint == whole.fingerprint
    assert grown.facts() == whole.facts()
    asked = [" ".join(WORDS), "a b", "", "zz never seen", *WORDS]
    assert np.array_equal(grown.log_probs(asked), whole.log_probs(asked))
    assert np.array_equal(grown.next_log_probs(asked), whole.next_log_probs(asked))
    for model, name in ((grown, "grown"), (whole, "whole")):
        model.save(folder / name)
    assert (folder / "grown/model.safetensors").read_bytes() == (folder / "whole/model.safetensors").read_bytes()


@given(MODELS, st.lists(TEXTS, min_size=2, max_size=4))
@CAREFULLY
def test_text_that_comes_in_parts_leaves_no_trace_of_them(
    tmp_path_factory: Any, how: dict[str, Any], parts: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("grown")
    grown = made(**how).fit(parts[0])
    for part in parts[1:]:
        grown.save(folder / "between")
        grown = update(tl.load(folder / "between"), part)
    assert_same(grown, made(**how).fit([text for part in parts for text in part]), folder)


@given(MODELS, TEXTS, TEXTS, st.booleans())
@CAREFULLY
def test_text_that_is_withdrawn_leaves_no_trace(
    tmp_path_factory: Any, how: dict[str, Any], kept: list[str], gone: list[str], opened: bool
) -> None:
    folder = tmp_path_factory.mktemp("withdrawn")
    grown = update(made(**how).fit(kept), gone)
    if opened:
        grown.save(folder / "between")
        grown = tl.load(folder / "between")
    assert_same(update(grown, gone, removed=True), made(**how).fit(kept), folder)


@given(MODELS, TEXTS, TEXTS, st.sampled_from([0.5, 0.3]))
@CAREFULLY
def test_counts_that_fade_are_those_summed_by_hand(
    tmp_path_factory: Any, how: dict[str, Any], old: list[str], new: list[str], keep: float
) -> None:
    faded = update(made(**how).fit(old), new, "decay", keep=keep)
    by_hand: Counter[tuple[int, ...]] = Counter()
    for texts, weight in ((old, keep), (new, 1.0)):
        counted = made(**how).counted(texts)
        for gram, count in zip(counted.table.grams.tolist(), counted.table.counts.tolist(), strict=True):
            words = (counted.lexicon.word(symbol) if symbol else "" for symbol in gram)
            by_hand[tuple(faded.counts.lexicon.id_of(word) if word else 0 for word in words)] += weight * count
    rows = sorted(by_hand)
    table = CountTable(np.array(rows, np.uint32), np.array([by_hand[row] for row in rows], np.float64))
    whole = made(**how)
    whole.adopt(CountedText(faded.counts.lexicon, table))
    assert_same(faded, whole, tmp_path_factory.mktemp("faded"))


def many_texts(seed: int, texts: int, first_word: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(f"w{first_word + n}" for n in draw.geometric(0.03, size=12)) for _ in range(texts)]


@pytest.fixture(scope="module")
def large() -> tuple[list[str], list[str]]:
    """Enough n-grams that work is divided among threads, and new text with words before, among and after the old."""
    new = ["aaa w7 zzz", *many_texts(1, 60, 20), "w11 aaa", "zzz zzz w9 w9"]
    return many_texts(0, 3_000, 0), new


@pytest.mark.parametrize(
    "how", [{"family": name} for name in FAMILIES] + [{"family": "kneser_ney", "pruning": "1,1,2"}]
)
def test_a_large_model_that_grows_and_shrinks_is_the_model_of_its_texts(
    how: dict[str, Any], large: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    old, new = large
    small, whole = made(order=4, **how).fit(old), made(order=4, **how).fit(old + new)
    small.save(tmp_path / "small")
    opened: Any = tl.load(tmp_path / "small")
    assert_same(update(opened, new), whole, tmp_path)
    assert_same(update(update(opened, new[:20]), new[20:]), whole, tmp_path)
    assert_same(update(whole, new, removed=True), small, tmp_path)
    assert opened.fingerprint == small.fingerprint, "the model that was given is as it was"


def test_what_is_exported_is_the_same(large: tuple[list[str], list[str]], tmp_path: Path) -> None:
    old, new = large
    update(made("kneser_ney", order=3).fit(old), new).export(tmp_path / "grown.arpa")
    made("kneser_ney", order=3).fit(old + new).export(tmp_path / "whole.arpa")
    assert (tmp_path / "grown.arpa").read_bytes() == (tmp_path / "whole.arpa").read_bytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_threads_leave_no_trace(
    family: str, large: tuple[list[str], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = []
    for threads in (1, 2, 3):
        for module in (counted_text, _count_based, _discounting, _kneser_ney):
            monkeypatch.setattr(module, "THREADS", threads)
        models.append(update(made(family, order=4).fit(large[0]), large[1]))
    for one, other in pairwise(models):
        assert_same(one, other, tmp_path)
