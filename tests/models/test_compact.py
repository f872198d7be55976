"""Compressed models: what they keep, what they cost, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog, lifecycle
from transferlm.errors import DataError, ModelFolderError, SettingError, TransferLMError, UnsupportedError
from transferlm.measure.language import compare_perplexity, score

FAMILIES = ["good_turing", "hierarchical_dirichlet", "kneser_ney", "maximum_likelihood", "witten_bell"]
WORDS = ["the", "a", "film", "room", "soup", "was", "is", "good", "cold", "warm", "long", "and", "of", "in"]
DRAWN = np.random.default_rng(0)
TEXTS = [" ".join(DRAWN.choice(WORDS, size)) for size in DRAWN.integers(1, 12, 300)]
NEW = ["the room was good", "a long and unheard of film", "", "房间 好"]


def counted(family: str = "kneser_ney", **settings: Any) -> Any:
    return catalog.find("models", family)(**{"order": 4, **settings}).fit(TEXTS)


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("family", FAMILIES)
def test_without_codes_nothing_is_lost_but_the_counts(family: str, unit: str, tmp_path: Path) -> None:
    model = counted(family, unit=unit)
    before = model.fingerprint
    lifecycle.compress(model, bits=None).save(tmp_path / "m")
    small: Any = tl.load(tmp_path / "m")
    assert np.array_equal(small.log_probs(TEXTS + NEW), model.log_probs(TEXTS + NEW))
    assert np.array_equal(small.next_log_probs(NEW), model.next_log_probs(NEW))
    assert model.fingerprint == before
    assert small.vocabulary == model.vocabulary
    assert small.lineage.notes == []


@pytest.mark.parametrize("family", FAMILIES)
def test_fewer_bits_are_smaller_and_cost_more(family: str) -> None:
    model, held_out = counted(family), TEXTS[:50]
    made = [lifecycle.compress(model, bits) for bits in (2, 4, 6, None)]
    sizes = [each.lineage.scores["bytes after"] for each in made]
    assert max(sizes[:3]) < sizes[3] < made[0].lineage.scores["bytes before"] / 3
    if family == "kneser_ney":  # values of others are so few that wider codes need no normalisers
        assert sizes == sorted(sizes)
    apart = [np.abs(each.log_probs(held_out) - model.log_probs(held_out)).max() for each in made]  # type: ignore[attr-defined]
    assert apart == sorted(apart, reverse=True)
    assert 4 * apart[2] < apart[0]


def test_codes_that_would_take_more_room_than_they_save_are_left_out() -> None:
    model = counted()
    small: Any = lifecycle.compress(model, 16)
    assert small.bits is None
    assert small.lineage.method["hyper_parameters"] == {"bits": None}
    assert small.lineage.scores["bytes after"] == lifecycle.compress(model, None).lineage.scores["bytes after"]
    assert "codes of 16 bits would take" in small.lineage.notes[0]
    assert lifecycle.compress(model, 8).lineage.notes == []


def test_the_story_tells_bytes_and_what_perplexity_it_cost(tmp_path: Path) -> None:
    model = tl.pretrain(catalog.find("models", "kneser_ney")(order=4), TEXTS)
    texts = tl.Corpus(NEW)
    small: Any = tl.compress(model, 3, texts)
    told, weights = small.lineage.scores, "model.safetensors"
    assert small.lineage.step == "compress"
    assert [parent["step"] for parent in small.lineage.parents] == ["pretrain"]
    assert told["rise"] == pytest.approx(compare_perplexity(score(small, texts), score(model, texts)) - 1)  # type: ignore[arg-type]
    assert told["perplexity after"] == score(small, texts).perplexity
    for name, each in (("bytes before", model), ("bytes after", small)):
        each.save(tmp_path / name)
        assert 0 <= (tmp_path / name / weights).stat().st_size - told[name] < 3000


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bits", [2, 3, 8])
def test_its_scores_are_a_distribution_whatever_the_codes(family: str, bits: int) -> None:
    model = counted(family, open_vocabulary=False)
    small: Any = lifecycle.compress(model, bits)
    trie, automaton = small._known()[1], model._known()[1]
    assert trie.bits <= bits
    contexts = [np.array(context, np.uint32) for context in ([], [1], [1, 4], [1, 4, 5], [7, 8], [4, 4, 4], [900])]
    sums, before = (np.logaddexp.reduce(scorer.next_log_probs(contexts), axis=1) for scorer in (trie, automaton))
    assert sums == pytest.approx(before, abs=1e-5)
    text = "the film was good and warm"
    [scores] = small.token_scores([text])
    cuts = [0, *scores.offsets[:-1, 1].tolist()]
    steps = small.next_log_probs([text[:cut] for cut in cuts])[np.arange(len(cuts)), scores.ids]
    assert scores.log_probs == pytest.approx(steps, abs=1e-5)


def test_an_arpa_file_is_compressed_too(tmp_path: Path) -> None:
    counted(open_vocabulary=False).export(tmp_path / "m.arpa")
    opened: Any = tl.load(tmp_path / "m.arpa", open_vocabulary=True)
    small: Any = lifecycle.compress(opened, None)
    assert np.array_equal(small.log_probs(TEXTS + NEW), opened.log_probs(TEXTS + NEW))
    assert not small.vocabulary.closed
    assert small.lineage.parents[0]["step"] == "imported"


@pytest.mark.parametrize("bits", [None, 4])
def test_exported_and_opened_it_scores_the_same(bits: int | None, tmp_path: Path) -> None:
    small: Any = lifecycle.compress(counted(open_vocabulary=False), bits)
    lifecycle.export(small, tmp_path / "m.arpa")
    opened: Any = tl.load(tmp_path / "m.arpa")
    assert np.allclose(opened.log_probs(TEXTS + NEW), small.log_probs(TEXTS + NEW), atol=1e-6)


def test_what_it_can_not_do_says_that_the_counts_were_dropped(tmp_path: Path) -> None:
    small = lifecycle.compress(counted())
    asked: list[Callable[[], Any]] = [
        lambda: tl.update(small, NEW, catalog.find("updates", "count_merging")()),
        lambda: tl.update(small, NEW, catalog.find("updates", "count_merging")(removed=True)),
        lambda: tl.update(small, NEW, catalog.find("updates", "decay")()),
        lambda: tl.pretrain(small, NEW),
    ]
    for ask in asked:
        with pytest.raises(UnsupportedError, match=r"raw counts were dropped.*kneser_ney"):
            ask()
    with pytest.raises(UnsupportedError, match=r"compressed already.*kneser_ney"):
        lifecycle.compress(small)
    with pytest.raises(UnsupportedError, match="compress needs a model that is scored by a back-off automaton"):
        lifecycle.compress(tl.load("tfidf"))
    with pytest.raises(DataError, match="pretrain it first"):
        lifecycle.compress(catalog.find("models", "kneser_ney")())
    with pytest.raises(DataError, match="transferlm compress"):
        tl.load("compact").log_probs(NEW)  # type: ignore[union-attr]


@pytest.mark.parametrize("bits", [1, 17, -3, 8.5, "8", True])
def test_bits_out_of_range_are_refused(bits: Any) -> None:
    with pytest.raises(SettingError, match=f"bits {bits!r}: give 2 to 16"):
        lifecycle.compress(counted(), bits)
    with pytest.raises(SettingError, match=f"bits {bits!r}: give 2 to 16"):
        catalog.find("models", "compact")(bits=bits)


def test_a_damaged_folder_is_one_clear_line(tmp_path: Path) -> None:
    lifecycle.compress(counted()).save(tmp_path / "m")
    weights, manifest = tmp_path / "m" / "model.safetensors", tmp_path / "m" / "transferlm.json"
    whole, told = weights.read_bytes(), manifest.read_text()
    for wrong in (whole[:-4], whole.replace(b'"trie.first"', b'"trie.worst"', 1), whole[:8] + b"{}" + whole[10:], b""):
        weights.write_bytes(wrong)
        with pytest.raises(ModelFolderError) as error:
            tl.load(tmp_path / "m")
        assert "\n" not in str(error.value)
    weights.write_bytes(whole)
    manifest.write_text(told.replace('"bits": 8', '"bits": 7'))
    with pytest.raises(ModelFolderError, match="says 7 bits and holds 8"):
        tl.load(tmp_path / "m")
    manifest.write_text(told.replace('"bits": 8', '"bits": "8"'))
    with pytest.raises(TransferLMError, match="bits is '8'"):
        tl.load(tmp_path / "m")


def test_the_command_line(run: Callable[..., Any], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    assert run("pretrain", "kneser_ney", text, "--order", 3, "-o", tmp_path / "m").code == 0
    told = run("compress", tmp_path / "m", "-o", tmp_path / "small", "--test", text)
    assert told.code == 0, told.err
    assert " bytes as a folder\nperplexity: " in told.out
    assert told.out.rstrip().endswith("%)")
    for words in (("--bits", "none"), ("--bits", "4", "--test", text)):
        document = json.loads(run("compress", tmp_path / "m", "-o", tmp_path / "n", "--json", *words).out)
        assert document["bytes"]["before"] > 3 * document["bytes"]["after"]
        assert (document["perplexity"] is None) == ("--test" not in words)
    assert run("evaluate", tmp_path / "small", text).code == 0
    assert "compress by compact" in run("show", tmp_path / "small").out
    for wrong in ("17", "1", "many", "²"):
        refused = run("compress", tmp_path / "m", "-o", tmp_path / "n", "--bits", wrong)
        assert refused.code == 2
        assert "give 2 to 16, or none" in refused.err
    for flag, value in (("--column", "text"), ("--encoding", "gb18030")):
        refused = run("compress", tmp_path / "m", "-o", tmp_path / "n", flag, value)
        assert refused.code == 2
        assert "--test" in refused.err
    again = run("compress", tmp_path / "small", "-o", tmp_path / "n")
    assert (again.code, again.err.count("\n")) == (1, 1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    assert run("compress", tmp_path / "m", "-o", tmp_path / "other").code == 1
