"""Text drawn from models: how a token is chosen, how tokens become text again, what unknown words become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog, lifecycle
from transferlm.counts.automaton import Automaton
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models._sampling import Continuation, Drawing, Reread
from transferlm.models._side_by_side import Alone, drawn_pieces, drawn_texts
from transferlm.models.base import Causal
from transferlm.text.lexicon import UNKNOWN

TEXTS = ["the film was good", "the film was long and the room was cold", "a warm room", "a good long film"]
ROW = np.log([0.5, 0.25, 0.125, 0.125, 0.0 + 1e-300])


def counted(texts: list[str] = TEXTS, family: str = "kneser_ney", **settings: Any) -> Any:
    return catalog.find("models", family)(**{"order": 3, **settings}).fit(texts)  # type: ignore[attr-defined]


def drawn(continuation: Continuation, drawing: Drawing, seed: int = 0) -> str:
    return drawn_texts(Alone([continuation]), drawing, [np.random.default_rng(seed)])[0]


def shares(drawing: Drawing, row: np.ndarray = ROW, draws: int = 20_000) -> np.ndarray:
    generator = np.random.default_rng(0)
    drawn = [drawing.token(row, generator) for _ in range(draws)]
    return np.bincount(drawn, minlength=len(row)) / draws


# ------------------------------------------------------------------ one token


def test_at_temperature_1_tokens_have_their_own_probability() -> None:
    assert shares(Drawing()) == pytest.approx([0.5, 0.25, 0.125, 0.125, 0], abs=0.01)


def test_a_low_temperature_prefers_what_is_probable_and_a_high_one_evens_out() -> None:
    squares = np.array([0.25, 0.0625, 0.015625, 0.015625, 0])
    assert shares(Drawing(temperature=0.5)) == pytest.approx(squares / squares.sum(), abs=0.01)
    assert shares(Drawing(temperature=1e300)) == pytest.approx(np.full(5, 0.2), abs=0.01)
    assert shares(Drawing(temperature=1e-310), draws=50).tolist() == [1, 0, 0, 0, 0]


def test_of_equally_probable_tokens_no_more_are_drawn_than_asked_for() -> None:
    assert shares(Drawing(top_k=2), np.zeros(5), 400)[2:].tolist() == [0, 0, 0]


def test_only_the_most_probable_tokens_are_drawn() -> None:
    assert shares(Drawing(top_k=2)) == pytest.approx([2 / 3, 1 / 3, 0, 0, 0], abs=0.01)
    assert shares(Drawing(top_k=1), draws=50).tolist() == [1, 0, 0, 0, 0]
    assert shares(Drawing(top_k=99)) == pytest.approx(shares(Drawing()), abs=1e-12)


def test_only_the_nucleus_is_drawn() -> None:
    assert shares(Drawing(top_p=0.75)) == pytest.approx([2 / 3, 1 / 3, 0, 0, 0], abs=0.01)
    assert shares(Drawing(top_p=0.76)) == pytest.approx([4 / 7, 2 / 7, 1 / 7, 0, 0], abs=0.01)
    assert shares(Drawing(top_p=1e-9), draws=50).tolist() == [1, 0, 0, 0, 0]
    assert shares(Drawing(top_p=1.0)) == pytest.approx(shares(Drawing()), abs=1e-12)
    assert shares(Drawing(top_p=0.6, top_k=2)) == pytest.approx([1, 0, 0, 0, 0]), "a share of what top_k leaves"
    assert shares(Drawing(top_p=0.7, temperature=0.5), draws=50).tolist() == [1, 0, 0, 0, 0], "at this temperature"


def test_what_was_drawn_before_is_drawn_less() -> None:
    class Always(Continuation):
        """The same distribution after every token; the fifth token ends."""

        end_id, barred = 4, np.array([], np.int64)

        def __init__(self) -> None:
            self.taken: list[int] = []

        def log_probs(self) -> np.ndarray:
            return ROW.copy()

        def take(self, token: int) -> None:
            self.taken.append(token)

        def text(self) -> str:
            return "".join(map(str, self.taken))

    assert drawn(Always(), Drawing(4, temperature=0)) == "0000"
    # log 0.5 doubled is log 0.25, tripled log 0.125: a drawn token gives way to the next one.
    assert drawn(Always(), Drawing(4, temperature=0, repetition_penalty=2.1)) == "0100"
    assert drawn(Always(), Drawing(5, temperature=0, repetition_penalty=3.5)) == "01230"
    weighed = Drawing(repetition_penalty=2.0).weighed(ROW.copy(), np.array([], np.int64), [0, 0, 2])
    assert np.exp(weighed) == pytest.approx([0.25, 0.25, 0.015625, 0.125, 0])


def test_what_is_impossible_is_never_drawn() -> None:
    row = np.log(np.maximum([0, 0.5, 0, 0.5, 0], 1e-323))
    row[[0, 2, 4]] = -np.inf
    assert shares(Drawing(), row, 500)[[0, 2, 4]].tolist() == [0, 0, 0]
    assert shares(Drawing(top_k=5), row, 500)[[0, 2, 4]].tolist() == [0, 0, 0]
    with pytest.raises(DataError, match="no token has a probability"):
        Drawing().token(np.full(3, -np.inf), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"length": 0}, "length 0"),
        ({"temperature": -0.1}, "temperature -0.1"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"temperature": float("inf")}, "temperature inf"),
        ({"top_k": 0}, "top_k 0"),
        ({"top_p": 0.0}, "top_p 0.0"),
        ({"top_p": 1.1}, "top_p 1.1"),
        ({"repetition_penalty": 0.9}, "repetition_penalty 0.9"),
        ({"beams": 0}, "beams 0: give 1 or more"),
        ({"beams": 2, "count": 3}, "beams 2: give 3 or more"),
        ({"beams": 2, "temperature": 0.5}, "leave temperature, top_k and top_p out"),
        ({"beams": 2, "top_p": 0.5}, "leave temperature, top_k and top_p out"),
        ({"top": 2}, "no setting of drawing is called 'top': did you mean"),
        ({"count": 0}, "count 0"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        counted().sample(**settings)


# ------------------------------------------------------------------ beams


def every_text(model: Any, length: int) -> dict[str, float]:
    """Each text of at most that many tokens, and its mean log-probability a token."""
    found: dict[str, float] = {}
    open_: list[tuple[Continuation, float, int]] = [(model._continuation("", np.random.default_rng(0)), 0.0, 0)]
    while open_:
        continuation, total, taken = open_.pop()
        if taken == length:
            found[continuation.text()] = total / taken
            continue
        for token, log in enumerate(Drawing().weighed(continuation.log_probs(), continuation.barred, [])):
            if token == continuation.end_id:
                found[continuation.text()] = (total + log) / (taken + 1)
            elif np.isfinite(log):
                further = continuation.fork()
                further.take(token)
                open_.append((further, total + log, taken + 1))
    return found


def test_enough_beams_find_the_best_texts_of_all(recurrent: Any) -> None:
    counts = counted(["a b c", "b a a", "a b c a", "c b", "c"], open_vocabulary=False, order=2)
    for model, length, beams in ((counts, 4, 200), (recurrent, 1, 300)):
        everything = every_text(model, length)
        best = sorted(everything, key=everything.__getitem__, reverse=True)[:3]
        assert model.sample(count=3, beams=beams, length=length) == best
    assert counts.sample(count=3, beams=200, length=4, seed=9) == counts.sample(count=3, beams=200, length=4)


def test_one_beam_takes_the_most_probable_token(recurrent: Any) -> None:
    for prompt in ("", "the film"):
        assert recurrent.sample(prompt, beams=1, length=9) == recurrent.sample(prompt, temperature=0, length=9)


def test_beams_find_what_greed_misses(tmp_path: Path) -> None:
    lines = ["-99 <s> 0", "-1 </s>", "-1 a 0", "-1 b 0", "-1 c 0", "-99 <unk>"]
    pairs = ["-0.3 <s> a", "-0.32 <s> b", "-1 a a", "-0.9 a c", "-0.95 a </s>", "-0.01 b </s>"]
    text = ["\\data\\", f"ngram 1={len(lines)}", f"ngram 2={len(pairs)}", "\\1-grams:", *lines, "\\2-grams:", *pairs]
    (tmp_path / "m.arpa").write_text("\n".join([*text, "\\end\\", ""]))
    model: Any = tl.load(tmp_path / "m.arpa")
    assert model.sample(temperature=0, length=2)[0].startswith("a")
    assert model.sample(beams=2, length=4) == ["b"]


def test_a_search_in_which_nothing_can_follow_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no token has a probability"):
        arpa(tmp_path, "-99 <s>", "-99 </s>", "-99 a", "-0.0 <unk>").sample(beams=2)


# ------------------------------------------------------------------ whole texts


@pytest.mark.parametrize("prompt", ["", "the film"])
def test_pieces_are_the_text_as_it_is_drawn(prompt: str, recurrent: Any) -> None:
    for model in (recurrent, counted(["房间 很好", "the film"], unit="character")):
        pieces = list(model.sample_pieces(prompt, length=12, seed=3))
        assert "".join(pieces) == model.sample(prompt, length=12, seed=3)[0]
        assert pieces[0] == prompt
        assert len(pieces) > 2


def test_a_piece_is_whole_characters() -> None:
    class Bytes(Continuation):
        end_id, barred = 0, np.array([], np.int64)

        def __init__(self) -> None:
            self.taken: list[int] = []

        def log_probs(self) -> np.ndarray:
            row = np.full(256, -np.inf)
            row[[*"房a".encode(), 0xE6, 0][len(self.taken)]] = 0.0
            return row

        def take(self, token: int) -> None:
            self.taken.append(token)

        def text(self) -> str:
            return bytes(self.taken).decode(errors="replace")

    assert list(drawn_pieces(Alone([Bytes()]), Drawing(), np.random.default_rng(0))) == ["", "房", "a", "\ufffd"]


def reread(model: Causal, prompt: str, drawing: Drawing, seed: int) -> str:
    """What a family without a continuation of its own would draw."""
    return drawn(Reread(model, prompt), drawing, seed)


@pytest.mark.parametrize("prompt", ["", "the film", "a  strange ", "the room was"])
def test_a_carried_state_draws_what_reading_the_text_anew_would(prompt: str, recurrent: Any) -> None:
    by_word = counted(open_vocabulary=False)
    by_character = counted(unit="character", family="witten_bell", order=4)
    for model in (by_word, by_character, recurrent):
        for seed in range(5):
            generator = np.random.default_rng(seed)
            drawing = Drawing(length=15)
            carried = drawn(model._continuation(prompt, generator), drawing, seed)
            assert carried == reread(model, prompt, drawing, seed)


def test_words_are_parted_by_single_spaces_and_characters_stand_as_they_are() -> None:
    texts = counted().sample("the film", 20)
    assert all(text == " ".join(text.split()) and text.startswith("the film") for text in texts)
    assert any(text != "the film" for text in texts)
    assert counted().sample("the  film ", temperature=0)[0].startswith("the  film was")
    characters = counted(["房间很好", "电影很好", "a b"], "witten_bell", unit="character")
    drawn = characters.sample(count=30, length=20)
    assert {letter for text in drawn for letter in text} <= set("房间很好电影a b")
    assert any("很好" in text for text in drawn)


def test_byte_pairs_become_text_by_the_tokenizers_own_rule() -> None:
    settings = {"width": 32, "embedding_width": 16, "epochs": 40, "batch_size": 2, "sequence_length": 13, "held_out": 0}
    bytewise = tl.tokenizers.BytePair(vocabulary_size=259)
    model = catalog.find("models", "recurrent")(tokenizer=bytewise, learning_rate=0.02, dropout=0.0, **settings)  # type: ignore[attr-defined]
    model.fit(["房间 很好"] * 12)
    assert model.sample(temperature=0) == model.sample("房间", temperature=0) == ["房间 很好"]
    assert model.sample("房间", temperature=0, length=3) == ["房间 \ufffd"], "two bytes of a character"
    assert np.isfinite(model.log_probs(model.sample(count=12, length=40, temperature=2.0))).all()


def test_pad_begin_and_unknown_are_never_drawn(recurrent: Any) -> None:
    import torch

    silent = sorted(recurrent.tokenizer.special_ids - {recurrent.tokenizer.end_id})
    with torch.no_grad():
        recurrent.module.output.bias[silent] += 50
    drawn = " ".join(recurrent.sample(count=5, length=20))
    assert len(drawn) > 50
    assert not any(token in drawn for token in recurrent.tokenizer.special_tokens().values())


# ------------------------------------------------------------------ unknown words


def test_unk_is_drawn_where_the_corpus_has_it_as_a_word() -> None:
    texts = ["the <unk> was good", "the film was <unk>"] * 3
    known = {"the", "<unk>", "film", "was", "good"}
    drawn = " ".join(counted(texts, open_vocabulary=False).sample(count=50)).split()
    assert drawn.count("<unk>") > 5
    assert set(drawn) == known
    drawn = " ".join(counted(texts).sample(count=200)).split()
    spelled = sum(word not in known for word in drawn)
    # Of 6 and one at least: a seventh of what is unknown is a new word.
    assert 0.05 < spelled / (spelled + drawn.count("<unk>")) < 0.25


@pytest.mark.parametrize("order", [1, 2])
def test_unk_is_drawn_by_every_order_and_compressed_too(order: int) -> None:
    model = counted(["the <unk> was good", "the film was <unk>"] * 3, order=order)
    assert "<unk>" in " ".join(model.sample(count=50))
    if order > 1:  # unigrams alone do not tell whether a word was counted
        assert "<unk>" in " ".join(lifecycle.compress(model).sample(count=50))  # type: ignore[attr-defined]
    assert "<unk>" not in " ".join(counted(["the film was good"] * 3, order=order).sample(count=50))


def test_a_continuation_reads_no_whole_distribution_before_it_is_asked_for_one() -> None:
    model = counted(["the film was good"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Automaton, "next_log_probs", lambda *_: pytest.fail("a row of the whole vocabulary"))
        model._continuation("the", np.random.default_rng(0))


def test_a_prompt_is_parted_as_the_lexicon_parts_words() -> None:
    model = counted(["the film\x1c was good"])
    assert model.sample("the film\x1c", temperature=0) == ["the film\x1c was good"]
    assert model.sample("the film\x1c\u3000", temperature=0) == ["the film\x1c\u3000was good"]


@pytest.mark.parametrize("family", ["kneser_ney", "witten_bell", "hierarchical_dirichlet"])
def test_an_unknown_word_is_spelled_out_as_often_as_it_is_probable(family: str) -> None:
    model = counted(["abba bab", "baab ab abab", "bb"], family, order=1)
    draws = 3000
    first = [text.split()[:1] for text in model.sample(count=draws, length=1, seed=4)]
    known = set(model.tokenizer)
    spelled = [word for words in first for word in words if word not in known]
    expected = np.exp(model.next_log_probs([""])[0][UNKNOWN])
    assert expected > 0.05
    assert len(spelled) / draws == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))
    assert {letter for word in spelled for letter in word} == {"a", "b"}, "letters no known word has are not drawn"
    assert len(set(spelled)) > 10


def test_what_is_spelled_out_is_scored_as_spelled_out() -> None:
    model = counted(order=2)
    texts = [text for text in model.sample(count=300) if model.tokenizer.unknown_words([text])]
    assert texts
    assert "<unk>" not in " ".join(texts)
    assert np.isfinite(model.log_probs(texts)).all()


def test_a_closed_vocabulary_and_characters_draw_known_ones_only() -> None:
    closed = counted(["a b", "b a c"], open_vocabulary=False, order=1)
    assert set(" ".join(closed.sample(count=200)).split()) == {"a", "b", "c"}
    characters = counted(["ab", "bac"], unit="character", order=1)
    assert set("".join(characters.sample(count=200))) == {"a", "b", "c"}


def arpa(folder: Path, *unigrams: str, **settings: bool) -> Any:
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", "\\1-grams:", *unigrams, "\\end\\", ""]
    (folder / "m.arpa").write_text("\n".join(lines))
    return tl.load(folder / "m.arpa", **settings)


def test_a_model_without_words_has_nothing_to_spell_with_and_draws_empty_texts(tmp_path: Path) -> None:
    model = arpa(tmp_path, "-99 <s>", "-0.3 </s>", "-0.3 <unk>", open_vocabulary=True)
    assert model.sample(count=5) == [""] * 5


def test_a_model_in_which_nothing_can_follow_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no token has a probability"):
        arpa(tmp_path, "-99 <s>", "-99 </s>", "-99 a", "-0.0 <unk>").sample()


def test_a_model_without_text_or_without_next_tokens_says_so() -> None:
    with pytest.raises(DataError, match="pretrain it first"):
        lifecycle.generate(lifecycle.empty("kneser_ney"))
    with pytest.raises(DataError, match="pretrain it first"):
        lifecycle.generate(lifecycle.empty("recurrent"))
    with pytest.raises(UnsupportedError, match="generate needs a model that is a causal language model"):
        lifecycle.generate(lifecycle.empty("tfidf"))
