"""ARPA files as models: exported, opened, scored as the model they came from, by other tools too."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog, lifecycle
from transferlm.counts.mapped_arrays import map_arrays, save_arrays
from transferlm.errors import DataError, ModelFolderError, UnsupportedError

TEXTS = ["the film was good", "the film was long and the room was cold", "a warm room", "房间 很 好"]
NEW = ["the room was good", "a long and unheard of film", "", "房间 好"]


def counted(**settings: Any) -> Any:
    return catalog.find("models", "kneser_ney")(**{"order": 4, "open_vocabulary": False, **settings}).fit(TEXTS)


@pytest.mark.parametrize("name", ["m.arpa", "m.arpa.gz"])
def test_exported_and_opened_it_scores_the_same(name: str, tmp_path: Path) -> None:
    model = counted()
    lifecycle.export(model, tmp_path / name)
    opened: Any = tl.load(tmp_path / name)
    assert opened.family == "arpa"
    assert np.allclose(opened.log_probs(TEXTS + NEW), model.log_probs(TEXTS + NEW), atol=1e-6)
    assert opened.lineage.step == "imported"
    assert opened.vocabulary.hash == model.vocabulary.hash, "the same words, so that perplexities may be compared"


def test_saved_as_a_folder_it_is_the_same(tmp_path: Path) -> None:
    counted().export(tmp_path / "m.arpa")
    opened: Any = tl.load(tmp_path / "m.arpa", open_vocabulary=True)
    opened.save(tmp_path / "m")
    again: Any = tl.load(tmp_path / "m")
    assert again.fingerprint == opened.fingerprint
    again.adjust(open_vocabulary=False)
    assert again.fingerprint != opened.fingerprint, "it gives other probabilities to unknown words"
    again.adjust(open_vocabulary=True)
    assert np.array_equal(again.log_probs(NEW), opened.log_probs(NEW))


@pytest.mark.parametrize("family", ["good_turing", "witten_bell", "hierarchical_dirichlet", "kneser_ney"])
def test_kenlm_gives_the_same_probability_to_every_word(family: str, tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    model = catalog.find("models", family)(order=3, open_vocabulary=False).fit(TEXTS)  # type: ignore[attr-defined]
    model.export(tmp_path / "m.arpa")
    other = kenlm.Model(str(tmp_path / "m.arpa"))
    for text, scores in zip(TEXTS + NEW, model.token_scores(TEXTS + NEW), strict=True):
        theirs = [row[0] for row in other.full_scores(text)]
        assert np.allclose(scores.log_probs / math.log(10), theirs, atol=1e-4)


def test_spaces_that_are_words_are_named(tmp_path: Path) -> None:
    counted(unit="character").export(tmp_path / "m.arpa")
    assert "<U+0020>" in (tmp_path / "m.arpa").read_text(encoding="utf-8")
    with pytest.raises(UnsupportedError, match=r"holds <U\+0020>"):
        tl.load(tmp_path / "m.arpa")


@pytest.mark.parametrize("word", ["<U+0020>", "a\x1cb", "\x1e"])
def test_a_word_that_looks_like_a_name_or_holds_a_control_character_is_a_word(word: str, tmp_path: Path) -> None:
    texts = [f"the {word} sign", "a sign"]
    model = catalog.find("models", "witten_bell")(order=3, open_vocabulary=False).fit(texts)  # type: ignore[attr-defined]
    model.export(tmp_path / "m.arpa")
    opened: Any = tl.load(tmp_path / "m.arpa")
    assert word in set(opened.tokenizer)
    assert np.allclose(opened.log_probs(texts), model.log_probs(texts), atol=1e-6)
    lifecycle.export(lifecycle.compress(model), tmp_path / "small.arpa")
    assert list(tl.load(tmp_path / "small.arpa").tokenizer) == list(opened.tokenizer)  # type: ignore[union-attr]


def test_words_and_probabilities_of_two_models_are_not_opened_together(tmp_path: Path) -> None:
    other = catalog.find("models", "kneser_ney")(order=4, open_vocabulary=False).fit([*TEXTS, "one more"])  # type: ignore[attr-defined]
    for name, made in (("a", counted()), ("b", other)):
        made.export(tmp_path / f"{name}.arpa")
        for kind, model in (
            ("counted", made),
            ("compact", lifecycle.compress(made, None)),
            ("arpa", tl.load(tmp_path / f"{name}.arpa")),
        ):
            model.save(tmp_path / f"{kind}-{name}")
    for kind in ("counted", "compact", "arpa"):
        path = tmp_path / f"{kind}-a" / "model.safetensors"
        mine, others = (map_arrays(tmp_path / f"{kind}-{name}" / path.name) for name in "ab")
        mixed = {name: np.array(array) for name, array in {**others, **part_of_words(mine)}.items()}
        save_arrays(path, mixed)
        with pytest.raises(ModelFolderError, match=r"words for 17 symbols and probabilities of 19"):
            tl.load(tmp_path / f"{kind}-a")


def part_of_words(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name.startswith("lexicon.")}


def test_by_character_without_white_space_it_is_read_by_character(tmp_path: Path) -> None:
    texts = ["房间很好", "房间很冷", "电影很好"]
    model = catalog.find("models", "witten_bell")(order=3, unit="character", open_vocabulary=False).fit(texts)  # type: ignore[attr-defined]
    model.export(tmp_path / "m.arpa")
    opened: Any = tl.load(tmp_path / "m.arpa")
    assert np.allclose(opened.log_probs(texts), model.log_probs(texts), atol=1e-6)
    assert tl.load(tmp_path / "m.arpa", unit="word").unit == "word"  # type: ignore[union-attr]


def test_what_has_no_counts_is_refused(tmp_path: Path) -> None:
    counted().export(tmp_path / "m.arpa")
    opened: Any = tl.load(tmp_path / "m.arpa")
    with pytest.raises(UnsupportedError, match="count_merging needs a model that is made from n-gram counts"):
        tl.update(opened, NEW, tl.updates.CountMerging())
    with pytest.raises(UnsupportedError, match="export needs"):
        lifecycle.export(opened, tmp_path / "n.arpa")
    with pytest.raises(DataError, match="nothing without its file"):
        tl.load("arpa").log_probs(["a"])  # type: ignore[union-attr]


def test_the_command_line_exports_and_evaluates(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    assert run("pretrain", "kneser_ney", tmp_path / "text.txt", "--order", 3, "-o", tmp_path / "m").code == 0
    told = run("export", tmp_path / "m", tmp_path / "m.arpa")
    assert told.code == 0
    assert "bytes" in told.out
    assert run("evaluate", tmp_path / "m.arpa", tmp_path / "text.txt").code == 0
    for wrong in ("m.txt", "nowhere/m.arpa"):
        refused = run("export", tmp_path / "m", tmp_path / wrong)
        assert (refused.code, refused.err.count("\n")) == (1, 1)
    (tmp_path / "bad.arpa").write_text("nothing\n")
    bad = run("evaluate", tmp_path / "bad.arpa", tmp_path / "text.txt")
    assert bad.code == 1
    assert str(tmp_path / "bad.arpa") in bad.err
    assert bad.err.count("\n") == 1
