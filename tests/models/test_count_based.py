"""What the count-based families share: exact sums of counts, spelled-out words, folders that are mapped."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm import catalog
from transferlm.counts.counted_text import CountedText
from transferlm.counts.table import CountTable
from transferlm.errors import DataError, ModelFolderError, SettingError, TransferLMError, UnsupportedError
from transferlm.measure.language import score
from transferlm.models._count_based import BackOffModel, memory_bytes

OLD = ["the film was good", "the film was long and the room was cold", "a warm room"]
NEW = ["the soup was warm", "a good soup and a long film", "zebras", "a warm room"]
FAMILIES = ["good_turing", "hierarchical_dirichlet", "kneser_ney", "maximum_likelihood", "witten_bell"]


def made(family: str = "kneser_ney", **settings: Any) -> BackOffModel:
    model: BackOffModel = catalog.find("models", family)(**{"order": 3, **settings})
    return model


def merging(**settings: bool) -> Any:
    return catalog.find("updates", "count_merging")(**settings)


def test_these_are_all_the_families() -> None:
    found = [n for n in catalog.entries("models") if issubclass(catalog.find("models", n), BackOffModel)]
    assert found == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("unit", ["word", "character"])
def test_adding_text_gives_the_model_of_all_text_to_the_bit(family: str, unit: str, tmp_path: Path) -> None:
    whole = made(family, unit=unit).fit(OLD + NEW)
    for first, second in ((OLD, NEW), (NEW, OLD)):
        grown = merging().update(made(family, unit=unit).fit(first), second)
        assert grown.fingerprint == whole.fingerprint
        assert np.array_equal(grown.log_probs(OLD + NEW), whole.log_probs(OLD + NEW))
        grown.save(tmp_path / "grown")
        whole.save(tmp_path / "whole")
        one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("grown", "whole"))
        assert one == other


@pytest.mark.parametrize("family", FAMILIES)
def test_withdrawn_text_leaves_no_trace(family: str) -> None:
    without = made(family).fit(OLD)
    withdrawn = merging(removed=True).update(made(family).fit(NEW + OLD), NEW)
    assert withdrawn.fingerprint == without.fingerprint
    assert "zebras" not in list(withdrawn.counts.lexicon)
    assert np.array_equal(withdrawn.log_probs(NEW), without.log_probs(NEW))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a purple film", "'purple' of the text to remove was never counted"),
        ("film film", "'<s> film film' was not counted as often"),
    ],
)
def test_what_was_never_counted_can_not_be_withdrawn(text: str, told: str) -> None:
    model = made().fit(OLD)
    before = model.fingerprint
    with pytest.raises(DataError, match=told):
        merging(removed=True).update(model, [text])
    assert model.fingerprint == before


def test_an_update_behind_the_gate_holds_all_of_the_text() -> None:
    texts = [f"{a} {b} {c}" for a in "abc" for b in "de" for c in ("the room", "the film", "a soup", "was cold")]
    whole, model = made().fit(OLD + texts), made().fit(OLD)
    grown, report = tl.update(model, texts, merging(), old=OLD)
    assert grown.fingerprint == whole.fingerprint
    assert report.new is not None
    assert report.new.after.nats < report.new.before.nats
    assert grown.lineage.scores["new_loss_after"] == report.new.after.nats
    assert sum(part["texts"] for part in grown.lineage.data if "held out" not in part["name"]) == len(texts)

    without, report = tl.update(grown, texts, merging(removed=True), old=OLD)
    assert without.fingerprint == model.fingerprint
    assert report.new is not None
    assert report.new.after.nats > report.new.before.nats, "what was withdrawn has become less probable"


def test_taking_everything_away_is_refused() -> None:
    with pytest.raises(DataError, match="nothing would be left"):
        merging(removed=True).update(made().fit(OLD), OLD)


def test_what_the_estimate_had_to_do_stands_in_the_story() -> None:
    assert any("discounts" in note for note in tl.pretrain(made(), ["one single sentence"]).lineage.notes)


def test_damaged_counts_are_not_passed_on(tmp_path: Path) -> None:
    model = made().fit(OLD)
    counts = model.counts.table.counts.copy()
    counts[0] = -5
    wrong = CountedText(model.counts.lexicon, CountTable(model.counts.table.grams, counts))
    with pytest.raises(TransferLMError, match="count"):
        model.adopt(wrong)


def test_an_update_says_how_much_it_added() -> None:
    grown = merging().update(made().fit(OLD), ["the soup", "zebras"])
    assert grown.lineage.scores == {"tokens added": 7.0}
    assert grown.lineage.parents


def test_unknown_words_are_spelled_out() -> None:
    model = made().fit(OLD)
    known, unknown, strange, literal = (
        model.log_probs([t])[0] for t in ("the film", "the firm", "the 电影", "the <unk>")
    )
    assert known > unknown > strange > -math.inf
    assert -math.inf < literal < known, "a corpus without <unk> has it spelled out like others"
    assert not model.vocabulary.closed
    assert score(model, ["the firm"]).bits_per_byte is not None


def test_spellings_are_a_distribution_over_strings() -> None:
    spelling = made().fit(["ab", "ba", "aab"])._spelling
    strings, total = [""], 0.0
    for _ in range(9):
        total += float(np.exp(spelling.log_probs(strings)).sum())
        strings = [s + c for s in strings for c in "ab"]
    longer = float(np.exp(spelling.log_probs(strings)).sum())
    assert 0.5 < total < 1
    assert total + longer < 1


def test_a_closed_vocabulary_makes_them_one_token() -> None:
    model = made(open_vocabulary=False).fit(OLD)
    assert model.log_probs(["the firm"])[0] == model.log_probs(["the <unk>"])[0] == model.log_probs(["the 电影"])[0]
    assert model.vocabulary.closed
    assert score(model, ["the firm"]).bits_per_byte is None


def test_an_opened_model_can_be_closed_and_scores_as_before(tmp_path: Path) -> None:
    model = made().fit(OLD)
    model.save(tmp_path / "m")
    closed: Any = tl.load(tmp_path / "m", open_vocabulary=False)
    assert closed.log_probs(["the firm"])[0] == made(open_vocabulary=False).fit(OLD).log_probs(["the firm"])[0]
    opened: Any = tl.load(tmp_path / "m")
    assert np.array_equal(opened.log_probs(NEW), model.log_probs(NEW))


def test_by_character_spaces_count_and_chinese_works() -> None:
    model = made("witten_bell", unit="character").fit(["房间很好", "电影很好", "a b"])
    assert model.log_probs(["房间很好"])[0] > model.log_probs(["房间好很"])[0]
    assert model.log_probs(["a b"])[0] != model.log_probs(["a  b"])[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_one_sentence_is_enough(family: str) -> None:
    model = made(family, order=5).fit(["one single sentence"])
    assert np.exp(model.next_log_probs(["one", "never seen"])).sum(axis=1) == pytest.approx(1.0)


def test_a_corpus_too_small_for_discounts_is_told() -> None:
    assert any("discount" in note for note in made().fit(["one single sentence"]).notes())


def test_counting_on_disk_gives_the_same_model() -> None:
    texts = [f"{i % 97} {i % 31} {i % 11} {i % 7}" for i in range(3000)]
    assert made(memory="16M").fit(texts).fingerprint == made().fit(texts).fingerprint


@pytest.mark.parametrize(("said", "size"), [("512M", 2**29), ("2G", 2**31), ("1.5 GiB", 3 * 2**29), ("64mb", 2**26)])
def test_memory_is_read_as_people_write_it(said: str, size: int) -> None:
    assert memory_bytes(said) == size


@pytest.mark.parametrize(
    ("family", "settings", "told"),
    [
        ("kneser_ney", {"order": 0}, "order 0"),
        ("kneser_ney", {"order": 11}, "order 11"),
        ("kneser_ney", {"unit": "syllable"}, "unit 'syllable'"),
        ("kneser_ney", {"memory": "a lot"}, "memory 'a lot'"),
        ("kneser_ney", {"memory": "1M"}, "memory '1M'"),
        ("kneser_ney", {"pruning": "2,1"}, "pruning '2,1'"),
        ("kneser_ney", {"pruning": "1,x"}, "pruning '1,x'"),
        ("good_turing", {"maximum": 0}, "maximum 0"),
        ("good_turing", {"maximum": 2_000_000_000}, "give 1 to 100"),
        ("kneser_ney", {"memory": "1" + "0" * 400 + "G"}, "memory"),
        ("hierarchical_dirichlet", {"concentrations": "1,2"}, "concentrations '1,2'"),
        ("hierarchical_dirichlet", {"concentrations": "1,2,nan"}, "concentrations"),
    ],
)
def test_senseless_settings_are_refused(family: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        made(family, **settings)


def test_pruning_drops_rare_ngrams_and_keeps_the_counts() -> None:
    texts = OLD * 2 + NEW
    whole, pruned = made().fit(texts), made(pruning="1,1,2").fit(texts)
    assert pruned.facts()["ngrams"][2] < whole.facts()["ngrams"][2]
    assert pruned.counts.hash == whole.counts.hash
    assert np.exp(pruned.next_log_probs(["the film", "a"])).sum(axis=1) == pytest.approx(1.0)


def test_nothing_counted_is_told() -> None:
    for ask in (lambda m: m.log_probs(["a"]), lambda m: m.next_log_probs(["a"]), lambda m: m.counts):
        with pytest.raises(DataError, match="pretrain it first"):
            ask(made())
    with pytest.raises(DataError, match="empty"):
        made().fit([])


def test_a_tokenizer_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="takes no tokenizer"):
        tl.lifecycle.empty("kneser_ney", tl.tokenizers.Word())


def test_arrays_that_do_not_fit_are_one_clear_line(tmp_path: Path) -> None:
    made().fit(OLD).save(tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    whole = weights.read_bytes()
    for wrong in (whole[:8] + b"{}" + whole[10:], b"\xff" * 16 + whole[16:], whole.replace(b'"U32"', b'"Q32"', 1), b""):
        weights.write_bytes(wrong)
        with pytest.raises(ModelFolderError) as error:
            tl.load(tmp_path / "m")
        assert "\n" not in str(error.value)


def test_the_whole_way_loads_no_torch(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(OLD * 3), encoding="utf-8")
    program = f"""
import sys, os
os.chdir({str(tmp_path)!r})
from transferlm.cli import main
for line in ("pretrain kneser_ney text.txt -o m -q", "evaluate m text.txt -q", "show m", "generate m the --count 2",
             "update m text.txt --method count_merging -o n -q"):
    try:
        main(line.split())
    except SystemExit as end:
        assert not end.code, line
assert "torch" not in sys.modules and "transformers" not in sys.modules, "torch was loaded"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def decaying(keep: float) -> Any:
    return catalog.find("updates", "decay")(keep=keep)


@pytest.mark.parametrize("family", FAMILIES)
def test_old_counts_fade_and_nothing_is_forgotten_altogether(family: str) -> None:
    model = made(family).fit(OLD)
    kept, faded = decaying(1.0).update(model, NEW), decaying(0.1).update(model, NEW)
    assert kept.fingerprint == made(family).fit(OLD + NEW).fingerprint
    assert faded.counts.table.total == pytest.approx(
        0.1 * model.counts.table.total + made().fit(NEW).counts.table.total
    )
    assert np.exp(faded.next_log_probs(["the film", "a"])).sum(axis=1) == pytest.approx(1.0)
    assert np.isfinite(faded.log_probs(OLD)).all()


def test_faded_text_is_less_probable_and_new_text_more() -> None:
    model = made("witten_bell").fit(OLD)
    kept, faded = decaying(1.0).update(model, NEW[:3]), decaying(0.05).update(model, NEW[:3])
    assert faded.log_probs(OLD).sum() < kept.log_probs(OLD).sum()
    assert faded.log_probs(NEW[:3]).sum() > kept.log_probs(NEW[:3]).sum()


@pytest.mark.parametrize("keep", [0.0, 1.5, float("nan")])
def test_a_senseless_share_to_keep_is_refused(keep: float) -> None:
    with pytest.raises(SettingError, match="keep"):
        decaying(keep)


def test_a_model_without_text_is_saved_as_what_it_is(tmp_path: Path) -> None:
    tl.models.KneserNey(order=4, open_vocabulary=False).save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert not opened.trained
    assert (opened.order, opened.open_vocabulary) == (4, False)
    with pytest.raises(DataError, match="has counted no text yet"):
        opened.log_probs(["a"])


def test_unk_as_a_word_leaves_something_to_new_words_and_takes_no_more_than_its_own() -> None:
    """Counted 3 times where one word was seen once: of UNKNOWN's probability 3/4 are its own, the rest is spelled."""
    texts = ["a <unk> b", "b <unk>", "a a <unk> c"]
    model = tl.models.KneserNey(order=2).fit(texts)
    unknown = np.exp(model.next_log_probs([""])[0, 3])
    steps = {word: np.exp(next(model.token_scores([word])).log_probs[0]) for word in ("<unk>", "x", "ab", "<unk")}
    assert steps["<unk>"] == pytest.approx(0.75 * unknown)
    assert 0 < steps["x"] + steps["ab"] + steps["<unk"] < 0.25 * unknown
    plain = tl.models.KneserNey(order=2).fit(["a b", "b"])
    assert next(plain.token_scores(["<unk>"])).log_probs[0] < np.log(0.01), "never counted, it is spelled like others"
    closed = tl.models.KneserNey(order=2, open_vocabulary=False).fit(texts)
    assert next(closed.token_scores(["<unk>"])).log_probs[0] == pytest.approx(np.log(unknown))
    small = tl.compress(model)
    assert small.log_probs(["<unk> x a"]) == pytest.approx(model.log_probs(["<unk> x a"]), abs=1e-3)  # type: ignore[attr-defined]
