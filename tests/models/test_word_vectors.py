"""Word vectors as models: as gensim trains them, opened from files, grown without gensim's faults."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import lifecycle, storage
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.models.fasttext import FastText
from transferlm.models.glove import GloVe
from transferlm.models.word2vec import Word2Vec
from transferlm.seeding import derive
from transferlm.storage import file_hash
from transferlm.text.corpus import Corpus
from transferlm.text.corpus_sources import Source
from transferlm.updates.vocabulary_growth import VocabularyGrowth
from transferlm.vectors.files import write_vectors
from transferlm.vectors.table import WordTable
from transferlm.vectors.vocabulary import LONGEST, Sentences, Vocabulary

SMALL = {"width": 8, "minimum_count": 1, "epochs": 2}
FAMILIES: dict[str, Callable[..., Any]] = {
    "word2vec": lambda **given: Word2Vec(**{**SMALL, **given}),
    "fasttext": lambda **given: FastText(**{**SMALL, "buckets": 50_000, **given}),
    "glove": lambda **given: GloVe(**{**SMALL, "x_max": 10.0, **given}),
}
# No two words occur equally often: their order, and so gensim's draws, leave nothing to chance.
WORDS = ["the", "film", "was", "good", "room", "warm", "staff", "dull"]
TEXTS = [" ".join(WORDS[: 1 + number % len(WORDS)]) for number in range(64)]
NEW = ["a zorgon was good and the zorgon was warm"] * 6


def drawn(width: int = 8) -> WordTable:
    return WordTable.of(["film", "good", "elsewhere"], np.random.default_rng(3).normal(size=(3, width)))


# -------------------------------------------------------------------- gensim's own training


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_word2vec_is_gensims_to_the_bit(architecture: Any) -> None:
    from gensim.models import Word2Vec as Peer

    ours = Word2Vec(**{**SMALL, "subsampling": 0.05, "architecture": architecture}).fit(TEXTS, 4)
    settings = {"vector_size": 8, "min_count": 1, "epochs": 2, "sample": 0.05, "workers": 1}
    peer = Peer([t.split() for t in TEXTS], sg=int(architecture == "skip_gram"), seed=derive(4, "word2vec"), **settings)
    assert list(ours.table.words) == peer.wv.index_to_key
    assert ours.table.vectors.tobytes() == peer.wv.vectors.tobytes()


def test_fasttext_is_gensims_for_known_words_and_for_unknown_ones_of_known_n_grams() -> None:
    from gensim.models import FastText as Peer

    ours = FastText(**{**SMALL, "buckets": 50_000}).fit(TEXTS, 4)
    settings = {"vector_size": 8, "min_count": 1, "epochs": 2, "workers": 1, "bucket": 50_000, "alpha": 0.05}
    peer = Peer([t.split() for t in TEXTS], sg=1, seed=derive(4, "fasttext"), **settings)
    assert list(ours.table.words) == peer.wv.index_to_key
    assert np.allclose(ours.table.vectors, peer.wv.vectors, atol=1e-7)
    unknown, known = ours.vectors_of(["goo", "xyzzy"])
    assert known.tolist() == [True, False], "of xyzzy no n-gram was ever trained"
    shared = [n for n in ours._places_of("goo") if n in set(np.concatenate(peer.wv.buckets_word).tolist())]
    assert np.allclose(unknown[0], peer.wv.vectors_ngrams[shared].mean(axis=0), atol=1e-7)
    assert not unknown[1].any()
    assert ours.nearest("goo", 1)[0][0] in WORDS
    assert ours.similarity("goo", "film") == pytest.approx(
        float(unknown[0] @ ours.table.vector("film"))
        / float(np.linalg.norm(unknown[0]) * np.linalg.norm(ours.table.vector("film")))
    )
    assert len(ours.analogy("goo", "the", "film", 6)) == 6
    with pytest.raises(DataError, match="no vector for the word 'xyzzy'"):
        ours.analogy("xyzzy", "the", "film")


def test_words_at_the_end_of_long_texts_are_read() -> None:
    text = " ".join([*["the"] * LONGEST, "film", "film"])
    assert [len(words) for words in Sentences(Corpus([text]))] == [LONGEST, 2]


class _FailsLater(Source):
    """Texts that can be read a number of times, as a file that is deleted while training runs."""

    def __init__(self, passes: int) -> None:
        self.left = passes

    def texts(self, meter: Any = None) -> Iterator[str]:
        self.left -= 1
        yield from TEXTS
        if self.left < 0:
            raise DataError("the file is gone")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_that_breaks_while_training_is_an_error_and_not_a_standstill(family: str) -> None:
    with pytest.raises(DataError, match="the file is gone"):
        FAMILIES[family]().fit(Corpus(_FailsLater(2 if family == "glove" else 3)))


# -------------------------------------------------------------------- every family


@pytest.mark.parametrize("family", FAMILIES)
def test_words_that_stand_in_the_same_places_are_near(family: str) -> None:
    draw = np.random.default_rng(0)
    texts = []
    for _ in range(1500):
        kind = int(draw.integers(2))
        subject = draw.choice([["cat", "dog"], ["car", "van"]][kind])
        texts.append(
            f"{subject} {' '.join(draw.choice([['eats', 'sleeps', 'purrs'], ['drives', 'stops', 'turns']][kind], 4))}"
        )
    model = FAMILIES[family](
        width=10, epochs=15, learning_rate=0.05, **({} if family == "glove" else {"subsampling": 0.0})
    )
    table = model.fit(texts).table
    assert table.similarity("cat", "dog") > table.similarity("cat", "car")
    assert table.similarity("van", "car") > table.similarity("van", "dog")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_is_the_mean_of_its_known_words_and_the_share_is_told(family: str) -> None:
    model = FAMILIES[family]().fit(TEXTS)
    encoding = model.encode(["good film 电影房间", "", "电影房间"])
    both = model.table.vectors[model.table.rows(["good", "film"])]
    assert np.allclose(encoding.features[0], both.mean(axis=0))
    assert not encoding.features[1:].any()
    assert encoding.known.tolist() == [pytest.approx(2 / 3), 1.0, 0.0]


@pytest.mark.parametrize("family", FAMILIES)
def test_too_rare_words_and_unseen_text_are_told(family: str) -> None:
    with pytest.raises(DataError, match="no word occurs 99 times"):
        FAMILIES[family](minimum_count=99).fit(TEXTS)
    empty = FAMILIES[family]()
    for call in (lambda: empty.table, lambda: empty.encode(["a"]), lambda: empty.grow(TEXTS), lambda: empty.save("m")):
        with pytest.raises(DataError, match="have seen no text yet"):
            call()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("setting", ["width", "window", "minimum_count", "epochs", "learning_rate"])
def test_settings_that_make_no_sense_are_refused(family: str, setting: str) -> None:
    with pytest.raises(SettingError, match=setting):
        FAMILIES[family](**{setting: 0})
    with pytest.raises(SettingError, match="learning_rate inf"):
        FAMILIES[family](learning_rate=math.inf)


OTHERWISE: dict[str, dict[str, Any]] = {
    "word2vec": {"architecture": "cbow", "negative": 2, "subsampling": 0.3},
    "fasttext": {"architecture": "cbow", "negative": 2, "subsampling": 0.3, "shortest": 2, "longest": 3, "buckets": 40},
    "glove": {"x_max": 2.0},
}
COMMON = {"width": 5, "window": 1, "minimum_count": 30, "epochs": 1, "learning_rate": 0.5, "lowercase": True}


@pytest.mark.parametrize(
    ("family", "setting", "value"),
    [(family, *item) for family, own in OTHERWISE.items() for item in (own | COMMON | {"punctuation": True}).items()],
)
def test_every_setting_has_an_effect(family: str, setting: str, value: Any) -> None:
    texts = [f"{text.capitalize()} ." if number % 2 else f"{text}." for number, text in enumerate(TEXTS)]
    plain = {"subsampling": 0.0} if family != "glove" else {}
    one, other = FAMILIES[family](**plain), FAMILIES[family](**{**plain, setting: value})
    assert one.fit(texts).table.hash != other.fit(texts).table.hash


def test_threads_are_gensims_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    made = Word2Vec._made
    monkeypatch.setattr(Word2Vec, "_made", lambda self, **given: asked.append(given["workers"]) or made(self, **given))
    for threads in (1, 2):
        Word2Vec(**SMALL, threads=threads).fit(TEXTS)
    assert asked == [1, 2]


# -------------------------------------------------------------------- growing


@pytest.mark.parametrize("family", FAMILIES)
def test_new_words_enter_and_survive_saving_and_old_ones_keep_their_places(family: str, tmp_path: Path) -> None:
    model = FAMILIES[family]().fit(TEXTS)
    before = model.table
    grown: Any = VocabularyGrowth(epochs=2).update(model, NEW)
    grown.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert opened.table.words[: len(before)] == list(before.words)
    assert {"zorgon", "a", "and"} == set(opened.table.words[len(before) :])
    assert opened.nearest("zorgon", 3) == grown.nearest("zorgon", 3)
    assert "zorgon" not in model.table
    again: Any = VocabularyGrowth(epochs=1).update(opened, ["the qux and the qux"])
    assert {"qux", "zorgon", "film"} <= set(again.table.words)
    assert grown.lineage.scores["words added"] == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_counts_lengths_and_what_follows_from_them_are_of_all_the_text(family: str) -> None:
    model: Any = VocabularyGrowth(epochs=1).update(FAMILIES[family]().fit(TEXTS), NEW)
    counted = Counter(word for text in TEXTS + NEW for word in text.split())
    assert dict(zip(model.table.words, model._state["counts"].tolist(), strict=True)) == counted
    assert np.allclose(model.table.lengths, np.linalg.norm(model.table.vectors, axis=1))


@pytest.mark.parametrize("family", ["word2vec", "fasttext"])
def test_thresholds_and_negative_samples_of_a_grown_model_are_those_of_a_new_one(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = []
    model = FAMILIES[family](subsampling=0.05).fit(TEXTS)
    made = type(model)._made
    monkeypatch.setattr(type(model), "_made", lambda self, **given: engines.append(made(self, **given)) or engines[-1])
    model.grow(NEW, epochs=1)
    fresh = made(model, vector_size=8, min_count=1, sample=0.05, sorted_vocab=0, sg=1)
    fresh.build_vocab_from_freq(dict(zip(model.table.words, model._state["counts"].tolist(), strict=True)))
    for what in ("count", "sample_int"):
        assert np.array_equal(engines[0].wv.expandos[what], fresh.wv.expandos[what])
    assert np.array_equal(engines[0].cum_table, fresh.cum_table)
    assert len(engines[0].cum_table) == len(model.table)


@pytest.mark.parametrize("family", FAMILIES)
def test_plasticity_bounds_how_far_old_words_move(family: str) -> None:
    model = FAMILIES[family]().fit(TEXTS)
    old, moved = len(model.table), []
    for plasticity in (0.0, 0.3, 1.0):
        grown: Any = VocabularyGrowth(plasticity=plasticity).update(model, NEW)
        moved.append(float(np.abs(grown.table.vectors[:old] - model.table.vectors).max()))
        scores = grown.lineage.scores
        assert 0 <= scores["neighbours kept"] <= 1
        assert (scores["cosine of old words"] == pytest.approx(1, abs=1e-6)) == (plasticity == 0)
    assert 0 == moved[0] < moved[1] < moved[2]
    for wrong in (-0.1, 1.1):
        with pytest.raises(SettingError, match="plasticity"):
            VocabularyGrowth(plasticity=wrong)


@pytest.mark.parametrize("family", FAMILIES)
def test_training_goes_on_from_all_that_was_learnt(family: str) -> None:
    """At a learning rate of next to nothing every array stays what it was: context vectors, AdaGrad's squares, all."""
    model = FAMILIES[family]().fit(TEXTS)
    before = model._arrays()
    model.grow(NEW, epochs=1, learning_rate=1e-7)
    after = model._arrays()
    learnt = {"vectors", "context", "own", "weights", "squares"} & set(before)
    assert len(learnt) >= 2
    for name in learnt:
        rows = (slice(None),) * (name in ("weights", "squares")) + (slice(len(WORDS)),)
        assert np.abs(before[name]).max() > 1e-4
        assert np.allclose(after[name][rows], before[name], atol=1e-5), name


def test_new_text_without_new_words_trains_the_old_ones() -> None:
    model = Word2Vec(**SMALL).fit(TEXTS)
    grown: Any = VocabularyGrowth().update(model, TEXTS[:9])
    assert grown.table.words == model.table.words
    assert grown.lineage.scores["words added"] == 0
    assert not np.array_equal(grown.table.vectors, model.table.vectors)


def test_a_vocabulary_orders_new_words_by_count_and_then_by_first_occurrence() -> None:
    first, _ = Vocabulary.empty().with_text(Sentences(Corpus(["b a b c d d"])), 1)
    assert (list(first.words), first.counts.tolist()) == (["b", "d", "a", "c"], [2, 2, 1, 1])
    second, lists = first.with_text(Sentences(Corpus(["z z y", "c c"])), 2)
    assert (list(second.words), second.counts.tolist(), lists) == (["b", "d", "a", "c", "z"], [2, 2, 1, 3, 2], 2)


# -------------------------------------------------------------------- pretrained tables laid in


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", ["trained", "frozen", "overwritten"])
def test_a_pretrained_table_is_laid_in(family: str, how: Any, tmp_path: Path) -> None:
    table = drawn()
    write_vectors(table, tmp_path / "v.vec")
    given: dict[str, Any] = {} if family == "glove" else {"subsampling": 0.0}
    plain = FAMILIES[family](**given).fit(TEXTS).table
    laid = FAMILIES[family](**given, pretrained=str(tmp_path / "v.vec"), pretrained_words=how).fit(TEXTS).table
    for word in ("film", "good"):
        assert np.allclose(laid.vector(word), table.vector(word), atol=1e-5) == (how != "trained")
        assert laid.vector(word) @ table.vector(word) > 0.5 * np.square(table.vector(word)).sum()
    assert "elsewhere" not in laid
    same = np.array_equal(laid.vector("the"), plain.vector("the"))
    assert same == (how == "overwritten"), "overwriting comes after training, the other two before it"


def test_a_pretrained_table_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    write_vectors(drawn(5), tmp_path / "v.vec")
    with pytest.raises(SettingError, match="vectors of width 5"):
        Word2Vec(**SMALL, pretrained=str(tmp_path / "v.vec")).fit(TEXTS)
    write_vectors(WordTable.of(["nowhere"], np.ones((1, 8))), tmp_path / "w.vec")
    with pytest.raises(DataError, match="no vector for any word"):
        Word2Vec(**SMALL, pretrained=str(tmp_path / "w.vec")).fit(TEXTS)
    tl.models.TfIdf().fit(TEXTS).save(tmp_path / "t")
    with pytest.raises(UnsupportedError, match="is a tfidf model, not word vectors"):
        Word2Vec(**SMALL, pretrained=str(tmp_path / "t")).fit(TEXTS)


def test_what_a_model_began_from_stands_in_its_story_with_its_hash(tmp_path: Path) -> None:
    """Another table under the same name is another story."""
    hashes = []
    for number in range(2):
        table = WordTable.of(["film", "good"], np.full((2, 8), number + 1.0))
        write_vectors(table, tmp_path / "v.vec")
        made = lifecycle.pretrain(Word2Vec(**SMALL, pretrained=str(tmp_path / "v.vec")), TEXTS)
        made.save(tmp_path / "m")
        (parent,) = storage.open_folder(tmp_path / "m").lineage().parents
        assert parent["step"] == "imported"
        told = {entry["name"]: entry["hash"] for entry in parent["data"]}
        assert told == {"v.vec": file_hash(tmp_path / "v.vec"), "v.vec, its words and vectors": table.hash}
        hashes.append(told)
    assert hashes[0] != hashes[1]
    assert lifecycle.pretrain(Word2Vec(**SMALL), TEXTS).lineage.parents == []


def test_a_model_that_another_began_from_is_its_parent(tmp_path: Path) -> None:
    lifecycle.pretrain(Word2Vec(**SMALL), TEXTS).save(tmp_path / "first")
    made = lifecycle.pretrain(GloVe(**SMALL, pretrained=str(tmp_path / "first")), TEXTS)
    (parent,) = made.lineage.parents
    assert (parent["step"], parent["method"]["name"]) == ("pretrain", "word2vec")


# -------------------------------------------------------------------- files as models


@pytest.mark.parametrize("name", ["v.bin", "v.vec", "v.txt", "v.bin.gz", "v.txt.gz"])
def test_exported_and_opened_they_are_the_same(name: str, tmp_path: Path) -> None:
    model = Word2Vec(**SMALL).fit(TEXTS)
    lifecycle.export(model, tmp_path / name)
    opened: Any = tl.load(tmp_path / name)
    assert opened.family == "word_vectors"
    assert opened.table.hash == model.table.hash
    assert opened.lineage.step == "imported"
    with pytest.raises(UnsupportedError, match="a file of vectors holds nothing that training could go on from"):
        lifecycle.pretrain(opened, TEXTS)


def test_glove_files_have_no_header_and_word2vecs_have_one(tmp_path: Path) -> None:
    for name, header in (("v.txt", False), ("v.vec", True)):
        lifecycle.export(Word2Vec(**SMALL).fit(TEXTS), tmp_path / name)
        assert ((tmp_path / name).read_text().split("\n")[0] == "8 8") == header
    with pytest.raises(SettingError, match=r"\.bin or \.vec or \.txt"):
        lifecycle.export(Word2Vec(**SMALL).fit(TEXTS), tmp_path / "v.arpa")


def test_how_text_is_read_follows_from_the_words_of_the_file_and_can_be_said(tmp_path: Path) -> None:
    for name, words, expected in (
        ("small.txt", ["the", ".", ","], (True, True)),
        ("both.txt", ["the", "The", "."], (False, False)),
    ):
        write_vectors(WordTable.of(words, np.eye(3)), tmp_path / name, header=False)
        opened: Any = tl.load(tmp_path / name)
        assert (opened.lowercase, opened.punctuation) == expected
    assert opened.encode(["THE."]).known[0] == 0
    assert tl.load(tmp_path / "both.txt", lowercase=True, punctuation=True).encode(["THE."]).known[0] == 1  # type: ignore[union-attr]


def test_plain_text_is_not_taken_for_vectors(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the film was good\nthe room was warm\n")
    with pytest.raises(DataError, match=r"notes\.txt, line 1: neither a header .* this is no file of word vectors"):
        tl.load(tmp_path / "notes.txt")


def test_the_fetched_table_opens_by_its_name(tmp_path: Path, cache: Path) -> None:
    from safetensors.numpy import save_file
    from test_docs import fetched

    folder = tmp_path / "content"
    folder.mkdir()
    save_file({"vectors": np.eye(3, dtype=np.float32)}, folder / "vectors.safetensors")
    (folder / "words.txt").write_bytes("the\n\u00a0\r\nfilm\n".encode())
    fetched("glove", folder)
    opened: Any = tl.load("glove")
    assert list(opened.table.words) == ["the", "\u00a0\r", "film"]
    assert opened.lineage.data[0]["name"] == "glove"
    assert opened.lowercase


def test_a_classifier_stands_on_word_vectors(make_examples: Callable[..., Any]) -> None:
    examples = make_examples(60)
    vectors = Word2Vec(width=10, minimum_count=2, epochs=20).fit(examples.texts)
    made = tl.transfer(vectors, examples, tl.strategies.FeatureExtraction())
    assert made.lineage.scores["train_share_known"] == pytest.approx(vectors.encode(examples.texts).known.mean())  # type: ignore[union-attr]
    assert made.lineage.scores["train_share_known"] < 1
    assert made.score(examples).metrics["accuracy"] > 0.8
