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
from transferlm.neural.checkpoint import Checkpoint
from transferlm.updates.token_growth import _Judge, _weights

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


MASKED = {"layers": 1, "heads": 2, "width": 16, "max_length": 24, **SMALL}


@cache
def masked(tokenizer: Any) -> Any:
    made: Any = lifecycle.empty("masked_transformer", tokenizer.fit(OLD), **MASKED)
    return made.fit(OLD, 0)


def filled(model: Any, texts: list[str]) -> float:
    """Nats of words, each of whose tokens is told nothing of the others."""
    return -float(sum(scores.log_probs.sum() for scores in model.pseudo_scores(texts, True)))


@pytest.mark.parametrize("tokenizer", [WORDS, PAIRS], ids=["words", "byte pairs"])
def test_a_masked_model_takes_in_tokens_and_is_saved(tokenizer: Any, tmp_path: Path) -> None:
    model = masked(tokenizer).copy()
    made = tl.updates.TokenGrowth(tolerance=0.2, **FAST).update(model, NEW, OLD)
    count = len(model.tokenizer)
    assert made.tokenizer.vocabulary[:count] == model.tokenizer.vocabulary
    assert made.lineage.scores["tokens added"] == len(made.tokenizer) - count > 0
    assert made.lineage.scores["old loss's rise"] <= 0.2
    if tokenizer is WORDS:
        assert not any((tokens.ids == made.tokenizer.unknown_id).any() for tokens in made.tokenizer.encode(NEW))
    else:
        assert sum(map(len, made.tokenizer.encode(NEW))) < sum(map(len, model.tokenizer.encode(NEW)))
        assert filled(made, NEW[:3]) < filled(model, NEW[:3])
    made.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert filled(opened, NEW[:3]) == pytest.approx(filled(made, NEW[:3]), rel=1e-5)
    assert opened.embedding.num_embeddings == len(opened.head.bias) == len(made.tokenizer)


def test_an_unknown_words_probability_is_shared_out_where_it_is_hidden() -> None:
    model = masked(WORDS).copy()
    grown = model.copy()
    count, unknown = len(model.tokenizer), model.tokenizer.unknown_id
    assert grown.grow_tokens(10, 5, tl.Corpus(NEW)) == 2
    states = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = (m.head(states, m.embedding.weight).softmax(dim=1) for m in (model, grown))
    others = torch.arange(count) != unknown
    torch.testing.assert_close(after[:, :count][:, others], before[:, others])
    torch.testing.assert_close(after[:, [unknown, count, count + 1]].sum(dim=1), before[:, unknown])


def test_rows_that_no_token_had_are_taken_first(tmp_path: Path) -> None:
    model = masked(WORDS).copy()
    model.module.resize_token_embeddings(len(model.tokenizer) + 5, mean_resizing=False)
    model.head.bias = torch.nn.Parameter(torch.cat([model.head.bias.detach(), torch.full((5,), -9.0)]))
    count, unknown = len(model.tokenizer), model.tokenizer.unknown_id
    assert model.grow_tokens(10, 5, tl.Corpus(NEW)) == 2
    assert model.embedding.num_embeddings == len(model.head.bias) == count + 5
    assert model.head.bias[count + 2 :].tolist() == [-9.0] * 3
    torch.testing.assert_close(model.embedding.weight[count], model.embedding.weight[unknown])
    model.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert len(opened.tokenizer) == count + 2


def word_piece(folder: Path) -> Any:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "cat", "ze", "##b", "##ra", "xy", "##lo", "dog"]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return tl.tokenizers.Pretrained(folder=str(folder))


def test_word_pieces_take_in_whole_words_that_save_most(tmp_path: Path) -> None:
    tokenizer = word_piece(tmp_path)
    text = ["The Zebra, a zebra: zebras"] * 4 + ["xylo xylo 12"] * 2
    grown, new = tokenizer.grown(text, most=10, worth=2)
    added = grown.vocabulary[len(tokenizer) :]
    # 8 zebras save 16 tokens, 4 commas, colons, plurals and xylos (of two pieces) 4 each, two numbers 2.
    assert added == ["zebra", ",", ":", "xylo", "zebras", "12"]
    names = tokenizer.vocabulary
    assert [[names[piece] for piece in own] for own in new.pieces] == [
        ["ze", "##b", "##ra"], ["[UNK]"], ["[UNK]"], ["xy", "##lo"], ["[UNK]"], ["[UNK]"],
    ]  # fmt: skip
    # Of 15 unknown words, and one that may always come, the commas are 4.
    assert new.shares == pytest.approx([1, 4 / 15, 4 / 15, 1, 4 / 15, 2 / 15])
    assert [grown.vocabulary[token] for token in grown.encode(["the zebra"])[0].ids[1:-1]] == ["the", "zebra"]
    assert tokenizer.grown(text, most=1, worth=2)[0].vocabulary[-1] == "zebra"
    assert len(tokenizer.grown(text, most=10, worth=100)[0]) == len(tokenizer)
    assert [grown.vocabulary[token] for token in grown.encode(["zebrara"])[0].ids[1:-1]] == ["zebra", "##ra"]


def test_a_berts_vocabulary_grows_and_its_folder_is_still_one_of_hugging_face(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    (tmp_path / "t").mkdir()
    model: Any = lifecycle.empty("masked_transformer", word_piece(tmp_path / "t"), **MASKED)
    model.fit(OLD, 0)
    made = tl.updates.TokenGrowth(tolerance=0.5, **FAST).update(model, NEW, OLD)
    assert {"xylophone", "zebra"} <= set(made.tokenizer.vocabulary)
    made.save(tmp_path / "m")
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path / "m")
    ids = AutoTokenizer.from_pretrained(tmp_path / "m")("the zebra")["input_ids"]
    assert ids == made.tokenizer.encode(["the zebra"])[0].ids.tolist()
    with torch.no_grad():
        scores = theirs(input_ids=torch.tensor([ids])).logits[0]
        own = made.head(made.module(input_ids=torch.tensor([ids])).last_hidden_state[0], made.embedding.weight)
    torch.testing.assert_close(scores, own, rtol=1e-4, atol=1e-5)


def test_back_at_the_start_a_masked_model_has_the_head_it_had() -> None:
    model = masked(PAIRS).copy()
    model.grow_tokens(5, 5, tl.Corpus(NEW))
    growth = tl.updates.TokenGrowth(tolerance=0.0)
    judge = _Judge(model, OLD[:4])
    home = [weight.detach().clone() for weight in _weights(model)]
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in _weights(model):
            weight.add_(torch.randn(weight.shape, generator=drawn), alpha=9)
    found = growth._go_back(model, home, judge)
    assert found == {"old loss's rise": pytest.approx(0, abs=1e-6), "share of the new weights": 0}
    assert all(torch.equal(one, other) for one, other in zip(_weights(model), home, strict=True))
    assert {id(weight) for weight in model.head.parameters()} <= {id(weight) for weight in _weights(model)}


@pytest.mark.parametrize("saves", [2, 9, 14])
def test_a_masked_models_growth_goes_on_to_the_same_bits(saves: int, tmp_path: Path) -> None:
    settings = {**FAST, "steps": 10, "head_steps": 10, "tolerance": 9.0}
    model = masked(PAIRS).copy()
    whole = tl.updates.TokenGrowth(**settings).update(model, NEW, OLD)
    save, left = Checkpoint.save, saves

    def killed(self: Checkpoint, tensors: Any, facts: Any) -> None:
        nonlocal left
        save(self, tensors, facts)
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transferlm.neural.checkpoint.SECONDS_BETWEEN", 0.0)
        patch.setattr(Checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            tl.updates.TokenGrowth(**settings).update(model, NEW, OLD, checkpoints=tmp_path)
    again = tl.updates.TokenGrowth(**settings).update(model, NEW, OLD, checkpoints=tmp_path)
    for one, other in zip(_weights(again), _weights(whole), strict=True):
        assert torch.equal(one, other)


def test_the_gate_says_why_a_masked_model_with_more_tokens_cannot_be_compared() -> None:
    model, growth = masked(PAIRS).copy(), tl.updates.TokenGrowth(tolerance=9.0, **FAST)
    old, new = (
        [f"{text} {word}" for text in texts[:4] for word in ["the", "cat", "dog", "mat", "log"]] for texts in (OLD, NEW)
    )
    made, report = tl.update(model, new, growth, old=old, seed=0)
    assert made.lineage.scores["tokens added"] > 0
    assert "vocabulary has changed" in str(report)
    with pytest.raises(UnsupportedError, match="vocabulary has changed"):
        tl.update(model, new, growth, old=old, max_forgetting=0.02)


def test_a_word_that_was_unknown_is_left_aside_though_others_are_cut_otherwise(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    model: Any = lifecycle.empty("masked_transformer", word_piece(tmp_path / "t"), **MASKED)
    model.fit(OLD, 0)
    judge = _Judge(model, ["the zebra 12 cat"])  # a word in pieces that becomes one, and an unknown one
    grown = model.copy()
    assert grown.grow_tokens(10, 1, tl.Corpus(["zebra", "12"])) == 2
    (before,), (after,) = judge.before, list(grown.pseudo_scores(judge.texts, True))
    assert len(before.ids) > len(after.ids)
    known = float(after.log_probs[[0, 1, 3]].sum() / before.log_probs[[0, 1, 2, 3, 5]].sum()) - 1
    assert judge.rise(grown) == pytest.approx(known)
    assert _Judge(model, ["12"]).rise(grown) == 0


def test_a_word_that_would_keep_another_from_being_written_is_left_out(tmp_path: Path) -> None:
    tokenizer = word_piece(tmp_path)
    grown, new = tokenizer.grown(["xyl xylo"] * 3, most=10, worth=2)  # after xyl there is no ##o
    assert not any(grown.unknown_id in tokens.ids for tokens in grown.encode(["xylo"]))
    assert len(new.pieces) == 2
    only, _ = tokenizer.grown(["xyl"] * 3 + ["xylo"], most=10, worth=2)
    assert len(only) == len(tokenizer)


def test_the_tokenizers_own_signs_are_no_words(tmp_path: Path) -> None:
    grown, _ = word_piece(tmp_path).grown(["the [MASK] [SEP] zebra"] * 9, most=10, worth=2)
    assert grown.vocabulary[-1] == "zebra"
    assert not {"[", "mask", "sep"} & set(grown.vocabulary)


def test_a_masked_model_without_its_head_is_given_one_first(bert_folder: Path) -> None:
    model: Any = tl.load(bert_folder)
    assert model.lacks_head
    made: Any = tl.updates.TokenGrowth(tolerance=1.0, **FAST).update(model, NEW, OLD)
    assert made.lineage.scores["tokens added"] > 0
    assert len(made.head.bias) == made.embedding.num_embeddings == len(made.tokenizer)
    assert any("without a masked-LM head" in note for note in made.lineage.notes)


def test_a_fixed_vocabulary_is_refused_by_name(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    Tokenizer(models.Unigram([("<unk>", 0.0), ("</s>", -1.0), ("a", -1.0)], 0)).save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>", "unk_token": "<unk>"}', encoding="utf-8")
    with pytest.raises(UnsupportedError, match="byte_pair"):
        tl.tokenizers.Pretrained(folder=str(tmp_path)).grown(NEW, 5, 5)


@pytest.mark.parametrize("setting", [{"most": 0}, {"worth": 0}, {"tolerance": -1.0}, {"share": 1.0}])
def test_senseless_settings_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(setting))):
        tl.updates.TokenGrowth(**setting)
