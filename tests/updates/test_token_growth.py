"""What new tokens are, what they are made of, and what they do to old and new text."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import transferlm as tl
from transferlm import lifecycle
from transferlm.errors import ForgettingError, SettingError, UnsupportedError

OLD = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "the mat and the log"] * 8
NEW = ["the xylophone sat on the zebra", "a zebra and a xylophone", "the dog and the xylophone"] * 8
SMALL = {"epochs": 40, "batch_size": 4, "held_out": 0.0}
WORDS, PAIRS = tl.tokenizers.Word(), tl.tokenizers.BytePair(vocabulary_size=290)
FAMILIES = {
    "recurrent": {"width": 24, "embedding_width": 16, "sequence_length": 8},
    "causal_transformer": {"layers": 1, "heads": 2, "width": 16, "max_length": 32},
}
FAST = {"steps": 20, "epochs": 100, "batch_size": 4, "head_steps": 20, "head_learning_rate": 0.01, "worth": 5}


@cache
def trained(family: str, tokenizer: Any, **settings: Any) -> Any:
    made: Any = lifecycle.empty(family, tokenizer.fit(OLD), **SMALL, **FAMILIES[family], **settings)
    return made.fit(OLD, 0)


def word(family: str, **settings: Any) -> Any:
    return trained(family, WORDS, **settings).copy()


def byte_pair(family: str) -> Any:
    return trained(family, PAIRS).copy()


def total(model: Any, texts: list[str]) -> float:
    return -float(model.log_probs(texts).sum())


@pytest.mark.parametrize("family", FAMILIES)
def test_unknown_words_become_known_and_are_saved(family: str, tmp_path: Path) -> None:
    model = word(family)
    made = tl.updates.TokenGrowth(tolerance=0.2, **FAST).update(model, NEW, OLD)  # both texts have words after "the"
    assert set(made.tokenizer.vocabulary) - set(model.tokenizer.vocabulary) == {"xylophone", "zebra"}
    assert made.tokenizer.vocabulary[: len(model.tokenizer)] == model.tokenizer.vocabulary
    assert made.lineage.scores["tokens added"] == 2
    assert made.lineage.scores["old loss's rise"] <= 0.2
    unknown = made.tokenizer.unknown_id
    assert not any((scores.ids == unknown).any() for scores in made.token_scores(NEW))
    assert np.exp(made.next_log_probs(["the"])).sum() == pytest.approx(1)
    made.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert total(opened, NEW[:3]) == pytest.approx(total(made, NEW[:3]), rel=1e-6)
    assert model.tokenizer.encode(["zebra"])[0].ids.tolist() == [unknown], "the input is left alone"


@pytest.mark.parametrize("tied", [True, False])
def test_an_unknown_words_probability_is_shared_out_and_nothing_else_changes(tied: bool) -> None:
    model = word("recurrent", tied=tied)
    grown = model.copy()
    assert grown.grow_tokens(10, 5, tl.Corpus(NEW)) == 2
    before, after = (np.exp(m.next_log_probs(["the", "a cat"])) for m in (model, grown))
    count, unknown = before.shape[1], model.tokenizer.unknown_id
    others = np.arange(count) != unknown
    np.testing.assert_allclose(after[:, :count][:, others], before[:, others], rtol=1e-4)
    np.testing.assert_allclose(after[:, [unknown, count, count + 1]].sum(axis=1), before[:, unknown], rtol=1e-4)
    shares = after[0, count:] / before[0, unknown]
    np.testing.assert_allclose(shares, [24 / 41, 16 / 41], rtol=1e-3)  # of 40 unknown ones, and one for the rest


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_begin_as_the_mean_of_their_pieces(family: str) -> None:
    model = byte_pair(family)
    was = model.embedding.weight.detach().clone()
    names = model.tokenizer.vocabulary
    model.grow_tokens(5, 5, tl.Corpus(NEW))
    first = len(names)
    left, right = _commonest_pair(byte_pair(family).tokenizer)
    torch.testing.assert_close(model.embedding.weight[first].detach(), (was[left] + was[right]) / 2)


def _commonest_pair(tokenizer: Any) -> tuple[int, int]:
    """By hand: no token crosses a space."""
    counted: Counter[tuple[int, int]] = Counter()
    for text in NEW:
        for place, piece in enumerate(text.split(" ")):
            (tokens,) = tokenizer.encode([(" " if place else "") + piece])
            counted.update(pairwise(tokens.ids.tolist()))
    most = max(counted.values())
    return min(pair for pair, count in counted.items() if count == most)


def test_byte_pairs_go_on_as_if_they_had_been_learnt_at_once() -> None:
    tokenizer = tl.tokenizers.BytePair(vocabulary_size=259).fit(NEW)  # bytes alone
    grown, new = tokenizer.grown(NEW, most=40, worth=2)
    whole = tl.tokenizers.BytePair(vocabulary_size=259 + len(new.pieces)).fit(NEW)
    count = lambda t: sum(len(found) for found in t.encode(NEW))  # noqa: E731
    assert count(grown) == count(whole) < count(tokenizer)
    assert [grown.decode(found.ids) for found in grown.encode(NEW)] == NEW
    assert grown.vocabulary_size == len(grown)


@pytest.mark.parametrize("family", FAMILIES)
def test_sub_words_save_tokens_and_the_old_text_is_not_worse(family: str) -> None:
    model = byte_pair(family)
    made = tl.updates.TokenGrowth(**FAST).update(model, NEW, OLD)
    before, after = (sum(map(len, m.tokenizer.encode(NEW))) for m in (model, made))
    assert after < 0.7 * before
    assert total(made, NEW[:3]) < total(model, NEW[:3])
    assert total(made, OLD[:4]) <= total(model, OLD[:4]) * 1.02


def test_what_costs_the_old_text_too_much_is_refused() -> None:
    model = byte_pair("causal_transformer")
    settings = {**FAST, "tolerance": 0.0, "head_learning_rate": 1.0}
    with pytest.raises(ForgettingError, match="tolerance"):
        tl.updates.TokenGrowth(**settings).update(model, NEW, OLD)


def test_nothing_is_checked_without_old_text_and_that_is_said() -> None:
    made = tl.updates.TokenGrowth(**FAST).update(word("recurrent"), NEW)
    assert any("not checked" in note for note in made.lineage.notes)
    same = tl.updates.TokenGrowth(**{**FAST, "worth": 1000}).update(word("recurrent"), NEW)
    assert same.lineage.scores["tokens added"] == 0
    assert any("pays its way" in note for note in same.lineage.notes)


def test_kept_posteriors_that_no_longer_fit_are_gone_and_texts_stay() -> None:
    model = word("recurrent")
    for name in ("OnlineBayes", "ExperienceReplay"):
        model = getattr(tl.updates, name)(steps=2, batch_size=4).update(model, OLD[:4], OLD)
    assert set(model.kept) == {"posterior", "memory"}
    made = tl.updates.TokenGrowth(**FAST).update(model, NEW, OLD)
    assert set(made.kept) == {"memory"}
    assert any("posterior" in note for note in made.lineage.notes)


def test_a_fixed_vocabulary_is_refused_by_name(bert_folder: Path) -> None:
    with pytest.raises(UnsupportedError, match="byte_pair"):
        tl.tokenizers.Pretrained(folder=str(bert_folder)).grown(NEW, 5, 5)


@pytest.mark.parametrize("setting", [{"most": 0}, {"worth": 0}, {"tolerance": -1.0}, {"share": 1.0}])
def test_senseless_settings_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(setting))):
        tl.updates.TokenGrowth(**setting)
