"""Named entities: read with what is wrong told, tagged by units, stitched over windows, scored as seqeval scores."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score

import transferlm as tl
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.outputs import Stretch
from transferlm.tasks._tagging import _most_probable, decoded, tags_of_tokens
from transferlm.tasks.base import Entities, Entity
from transferlm.tasks.ner import NER
from transferlm.text.units import unit_offsets

LABELS = ("LOC", "PER")
Run = Callable[..., Any]


def write(folder: Path, text: str, name: str = "data.conll") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(folder: Path, *records: Any) -> Path:
    return write(folder, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "data.jsonl")


def spans(row: Any) -> list[tuple[int, int, str, str]]:
    return [(entity.start, entity.end, entity.label, entity.text) for entity in row]


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("B-PER I-PER O B-LOC", "BIO"),
        ("I-PER I-PER O I-LOC", "IOB1"),
        ("B-PER E-PER O S-LOC", "BIOES"),
        ("B-PER L-PER O U-LOC", "BILOU"),
    ],
)
def test_every_scheme_tells_the_same_entities(tags: str, scheme: str, tmp_path: Path) -> None:
    words = ["Ada", "Lovelace", "in", "London"]
    text = "".join(f"{word} {tag}\n" for word, tag in zip(words, tags.split(), strict=True))
    examples = NER().read(write(tmp_path, text))
    assert examples.texts == ["Ada Lovelace in London"]
    assert spans(examples.targets[0]) == [(0, 12, "PER", "Ada Lovelace"), (16, 22, "LOC", "London")]
    assert examples.labels == LABELS
    assert f"Tags follow {scheme}." in examples.notes


def test_chinese_characters(tmp_path: Path) -> None:
    examples = NER().read(write(tmp_path, "我 O\n在 O\n北 B-LOC\n京 E-LOC\n"))
    assert examples.texts == ["我在北京"]
    assert spans(examples.targets[0]) == [(2, 4, "LOC", "北京")]


def test_broken_sequences_are_read_leniently_and_their_lines_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "a B-PER\nb I-LOC\nc O\n\nd O\ne I-PER\n\nx B-PER\ny B-LOC\nz B-LOC\n")
    examples = NER().read(path)
    assert [spans(row) for row in examples.targets[:2]] == [
        [(0, 1, "PER", "a"), (2, 3, "LOC", "b")],
        [(2, 3, "PER", "e")],
    ]
    assert any("break BIO" in note and "2 (2, 6)" in note for note in examples.notes)


def test_json_lines_with_objects_or_triples(tmp_path: Path) -> None:
    text = "Ada in London"
    path = lines(
        tmp_path,
        {"text": text, "entities": [{"start": 7, "end": 13, "label": "LOC"}, {"start": 0, "end": 3, "label": "PER"}]},
        {"text": text, "entities": [[0, 4, "PER"], [7, 13, "LOC"]]},
        {"text": "nobody", "entities": []},
    )
    examples = NER().read(path)
    assert spans(examples.targets[0]) == spans(examples.targets[1]) == [(0, 3, "PER", "Ada"), (7, 13, "LOC", "London")]
    assert examples.targets[2] == ()
    assert NER().read(json.loads(f"[{','.join(path.read_text().splitlines())}]")).hash == examples.hash


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([[0, 3, "PER"], [2, 6, "LOC"]], r"line 2: entities overlap: \[0, 3, 'PER'\] and \[2, 6, 'LOC'\]"),
        ([[0, 99, "PER"]], r"line 2: entity \[0, 99, 'PER'\] does not lie in a text of 13 characters"),
        ([[3, 3, "PER"]], "line 2: .* does not lie in a text of 13 characters, or is empty"),
        ([[3, 4, "PER"]], "line 2: .* holds white space alone"),
        ([{"start": 0, "label": "PER"}], "line 2: .* is no entity"),
        ("PER", "line 2: no list of entities stands under 'entities'"),
    ],
)
def test_entities_that_can_not_be_are_refused_with_their_line(entities: Any, message: str, tmp_path: Path) -> None:
    good = {"text": "Ada in London", "entities": [[0, 3, "PER"]]}
    path = lines(tmp_path, good, {"text": "Ada in London", "entities": entities}, good)
    with pytest.raises(DataError, match=rf"data\.jsonl, {message}"):
        NER().read(path)
    faults = NER().labelled(path).faults
    assert len(faults) == 1
    assert faults[0].startswith("Line 2: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\nb PER\n", r"line 2: tag 'PER' is neither O nor a letter, a hyphen and a label"),
        ("a\nb\n", "line 1: one column, where tokens and tags are expected"),
        ("a O\n", "no text has an entity"),
    ],
)
def test_columns_that_can_not_be_read(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        NER().read(write(tmp_path, text))


@pytest.mark.parametrize("text", [" ", None, 3])
def test_a_record_without_a_text_is_told_with_its_place(text: Any, tmp_path: Path) -> None:
    good = {"text": "Ada in London", "entities": [[0, 3, "PER"]]}
    path = lines(tmp_path, good, {"text": text, "entities": []}, {"text": "Bo", "entities": [[0, 9, "PER"]]})
    for read in (NER().read, lambda source: list(NER().inputs(source))):
        with pytest.raises(DataError, match=r"data\.jsonl, line 2: no text stands under 'text'"):
            read(path)
    found = NER().labelled(path)
    assert found.texts == ["Ada in London", "Bo"]
    assert [fault[:7] for fault in found.faults] == ["Line 2:", "Line 3:"]


@pytest.mark.parametrize("name", ["data.csv", "data.CSV.gz", "data.json", "data.parquet"])
def test_files_of_other_kinds_are_refused_by_what_can_be_read(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "text,label\nAda,B-PER\n", name)
    for read in (NER().read, NER().labelled, lambda source: list(NER().inputs(source))):
        with pytest.raises(DataError, match=rf"{name}: .* read from JSON lines \(\.jsonl\) or CoNLL columns"):
            read(path)


@pytest.mark.parametrize("name", ["data.tsv", "data.txt", "data.bio", "data"])
def test_columns_may_have_any_other_name(name: str, tmp_path: Path) -> None:
    assert spans(NER().read(write(tmp_path, "Ada\tB-PER\n", name)).targets[0]) == [(0, 3, "PER", "Ada")]


def test_entities_within_words_are_noted(tmp_path: Path) -> None:
    notes = NER().read(lines(tmp_path, {"text": "Londonderry", "entities": [[0, 6, "LOC"]]})).notes
    assert any("within a word" in note and "1 (1)" in note for note in notes)


def test_what_is_tagged_as_one_is_found_out_from_the_entities(tmp_path: Path) -> None:
    columns = NER().read(write(tmp_path, "@ada-l O\nmet O\nJean-Luc B-PER\n"))
    assert columns.task == NER(tag_by="words")
    assert NER(tag_by="units").read(write(tmp_path, "Jean-Luc B-PER\n")).task == NER(tag_by="units")
    parted = {"text": "a London-based firm", "entities": [[2, 8, "LOC"]]}
    assert NER().read(lines(tmp_path, parted)).task == NER(tag_by="units")
    few = NER().read(lines(tmp_path, parted, *[{"text": "in London", "entities": [[3, 9, "LOC"]]}] * 99))
    assert few.task == NER(tag_by="words")
    assert any(
        "within a word" in note and "fewer do with --tag-by units), by line: 1 (1)" in note for note in few.notes
    )
    assert NER(tag_by="words").read(lines(tmp_path, parted)).notes == few.notes
    with pytest.raises(SettingError, match="tag_by 'letters': choose auto, words or units"):
        NER(tag_by="letters")  # type: ignore[arg-type]


def test_a_word_with_signs_in_it_is_one_decision() -> None:
    text = "@ada-l met Jean-Luc, son"
    entities = [Entity(11, 19, "PER", "Jean-Luc")]
    pieces = np.array([[0, 1], [1, 4], [4, 5], [5, 6], [7, 10], [11, 15], [15, 16], [16, 19], [19, 20], [21, 24]])
    task = NER(tag_by="words")
    assert task.token_targets(text, entities, pieces, LABELS).tolist() == [0, -1, -1, -1, 0, 3, -1, -1, 0, 0]
    assert task.token_targets(text, entities, pieces, LABELS, ahead=False).tolist() == [0, 0, 0, 0, 0, 3, 3, 3, 0, 0]
    scores = np.zeros((10, 5), np.float32)
    scores[[5, 6, 7], [3, 0, 0]] = 4, 5, 5  # what had not learnt tells nothing
    whole = Stretch(pieces.astype(np.int32), scores, np.zeros(5, np.float32))
    (found,) = task.decode([[whole]], [text], LABELS)
    assert [(entity.text, entity.label) for entity in found.entities] == [("Jean-Luc", "PER")]
    (found,) = NER().decode([[whole]], [text], LABELS)
    assert [entity.text for entity in found.entities] == ["Jean"]
    # From left to right all tokens had learnt, the last of them with most before it.
    (found,) = task.decode([[replace(whole, ahead=False)]], [text], LABELS)
    assert not found.entities


def test_a_word_whose_first_sign_a_tokenizer_drops_is_read_from_the_next() -> None:
    scores = np.array([[0, 9, 0, 0, 0]], np.float32)
    (found,) = NER(tag_by="words").decode(
        [[Stretch(np.array([[1, 2]], np.int32), scores, scores[0])]], ["\u200d👍"], LABELS
    )
    assert [(entity.start, entity.end, entity.label) for entity in found.entities] == [(0, 2, "LOC")]


def test_the_texts_alone_can_be_read(tmp_path: Path) -> None:
    assert list(NER().inputs(write(tmp_path, "Ada\nruns\n\nBo\n"))) == ["Ada runs", "Bo"]
    assert list(NER().inputs(lines(tmp_path, {"text": "Ada runs"}))) == ["Ada runs"]


# ------------------------------------------------------------------ tags and windows


def test_tokens_take_the_tag_of_their_unit() -> None:
    text = "Angela Merkel, Paris"
    entities = [Entity(0, 13, "PER"), Entity(15, 20, "LOC")]
    pieces = np.array([[0, 3], [3, 6], [7, 10], [10, 13], [13, 14], [14, 15], [15, 18], [18, 20], [20, 20]])
    units = unit_offsets(text)
    assert tags_of_tokens(units, entities, pieces, LABELS).tolist() == [3, 3, 4, 4, 0, -1, 1, 1, -1]
    assert tags_of_tokens(units, entities, pieces, LABELS, True).tolist() == [3, -1, 4, -1, 0, -1, 1, -1, -1]
    # A stretch that begins within a word has none of its first characters.
    assert tags_of_tokens(units, entities, pieces[3:], LABELS, True).tolist() == [-1, 0, -1, 1, -1, -1]
    assert NER().token_targets(text, entities, pieces, LABELS).tolist() == [3, -1, 4, -1, 0, -1, 1, -1, -1]
    assert NER().token_targets(text, entities, pieces, LABELS, ahead=False).tolist() == [3, 3, 4, 4, 0, -1, 1, 1, -1]


def certain(text: str, offsets: np.ndarray, entities: list[Entity], noise: float = 0.0) -> Stretch:
    """A stretch whose scores say what is true."""
    scores = np.zeros((len(offsets), 5), np.float32)
    for place, tag in enumerate(tags_of_tokens(unit_offsets(text), entities, offsets, LABELS)):
        scores[place, max(0, tag)] = 9
    scores += noise * np.random.default_rng(0).normal(size=scores.shape).astype(np.float32)
    return Stretch(offsets.astype(np.int32), scores, np.zeros(5, np.float32))


@given(st.lists(st.sampled_from(["Ada", "runs", "北京", "New York", ",", "Bo"]), min_size=1, max_size=30), st.data())
def test_entities_come_back_from_the_tags_of_any_tokens(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    units = unit_offsets(text)
    borders = sorted(data.draw(st.sets(st.integers(0, len(units)), max_size=8)))
    entities = [
        Entity(int(units[a, 0]), int(units[b - 1, 1]), label, text[units[a, 0] : units[b - 1, 1]])
        for (a, b), label in zip(itertools.pairwise(borders), LABELS * 4, strict=False)
    ]
    letters = np.array([[place, place + 1] for place in range(len(text))])
    found = decoded(text, unit_offsets(text), unit_offsets(text), [certain(text, letters, entities)], LABELS)
    assert [(e.start, e.end, e.label, e.text) for e in found] == [(e.start, e.end, e.label, e.text) for e in entities]
    assert all(0.9 < entity.probability <= 1 for entity in found)


def test_a_token_counts_where_it_was_read_with_most_context() -> None:
    text = "a b c d e f"
    offsets = unit_offsets(text)
    left, right = offsets[:4], offsets[2:]
    true = [Entity(4, 5, "PER")]
    wrong = [Entity(4, 5, "LOC")]
    # "c" is the second-last token of the first stretch and the first of the second: the first one knows it better.
    stitched = decoded(
        text, unit_offsets(text), unit_offsets(text), [certain(text, left, true), certain(text, right, wrong)], LABELS
    )
    assert [entity.label for entity in stitched] == ["PER"]
    # "d" the other way round.
    true, wrong = [Entity(6, 7, "PER")], [Entity(6, 7, "LOC")]
    stitched = decoded(
        text, unit_offsets(text), unit_offsets(text), [certain(text, left, wrong), certain(text, right, true)], LABELS
    )
    assert [entity.label for entity in stitched] == ["PER"]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_the_most_probable_possible_tags_are_found(seed: int, count: int) -> None:
    """Beside trying all sequences."""

    logs = np.log(np.random.default_rng(seed).dirichlet(np.ones(5), size=count))

    def possible(tags: tuple[int, ...]) -> bool:
        return all(t in (0, 1, 3) or b in (t, t - 1) for b, t in zip((0, *tags), tags, strict=False))

    every = [tags for tags in itertools.product(range(5), repeat=count) if possible(tags)]
    best = max(every, key=lambda tags: sum(logs[place, tag] for place, tag in enumerate(tags)))
    assert _most_probable(logs).tolist() == list(best)


def test_a_text_of_white_space_has_no_entity() -> None:
    nothing = Stretch(np.zeros((0, 2), np.int32), np.zeros((0, 5), np.float32), np.zeros(5, np.float32))
    assert decoded("  ", *[unit_offsets("  ")] * 2, [nothing], LABELS) == []
    assert decoded("…", *[unit_offsets("…")] * 2, [nothing], LABELS) == []


@pytest.fixture(scope="module")
def exact(bert_folder: Path) -> tl.TaskModel:
    """A made tagger whose scores of a token depend on that token alone: what else is read changes nothing."""
    model: Any = tl.load(bert_folder)
    model.token_states = lambda batch: model.embedding(batch.ids)
    weights = 100 * np.random.default_rng(0).normal(size=(model.token_width, 5)).astype(np.float32)
    return tl.TaskModel(model, NER(), LABELS, weights, np.zeros(5, np.float32))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(18, 40))
def test_windows_of_an_exact_model_find_what_one_pass_finds(exact: tl.TaskModel, seed: int, max_length: int) -> None:
    # Words of up to five tokens, one more than two windows of 18 share at the least.
    words = np.random.default_rng(seed).choice(["film", "the", "goods", "roomabcd", "xyz", "q", "京", "-"], 60)
    text, model = " ".join(words), exact.model
    found: list[Any] = []
    for length in (max_length, 10_000):
        model.max_length = length  # type: ignore[attr-defined]
        found += exact.task.decode(exact.scores([text])[0], [text], LABELS)  # predictions have a pass of their own
    stitched, whole = (
        [(*key, e.probability) for key, e in zip(spans(row.entities), row.entities, strict=True)] for row in found
    )
    assert stitched == [(*key, pytest.approx(chance, rel=1e-4)) for *key, chance in whole]


def test_a_long_text_is_read_in_windows_as_long_as_the_training_texts(
    exact: tl.TaskModel, tagger: tl.TaskModel, tmp_path: Path
) -> None:
    assert tagger.window == 64, "texts of a few words were learnt from, and 64 tokens is the least"
    exact.model.max_length = 60  # type: ignore[attr-defined]
    text, lengths = " ".join(["film"] * 200), []
    for window in (20, None):
        made = tl.TaskModel(exact.model, exact.task, LABELS, exact.weights, exact.bias, window=window)
        scores, read = made.scores([text])
        lengths.append(max(len(stretch.offsets) for stretch in scores[0]))
        assert read.tolist() == [1.0]
    assert lengths == [18, 58]
    tagger.save(tmp_path / "m")
    assert tl.load(tmp_path / "m").window == 64  # type: ignore[union-attr]
    manifest = tmp_path / "m" / "transferlm.json"
    manifest.write_text(manifest.read_text().replace('"window": 64', '"window": "x"'))
    with pytest.raises(ModelFolderError, match="window 'x' is no number of tokens"):
        tl.load(tmp_path / "m")


# ------------------------------------------------------------------ scoring


@given(st.integers(0, 10_000))
def test_scores_are_seqevals(seed: int) -> None:
    draw = np.random.default_rng(seed)
    tags = np.array(["O", "O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    true, said = (tags[draw.integers(0, 7, size=(4, 9))].tolist() for _ in range(2))
    targets, predictions = (_entities(rows) for rows in (true, said))
    found = NER().metrics(targets, [Entities(row) for row in predictions], LABELS)
    expected = {
        "f1": f1_score(true, said, zero_division=0),
        "precision": precision_score(true, said, zero_division=0),
        "recall": recall_score(true, said, zero_division=0),
        "macro_f1": f1_score(true, said, average="macro", zero_division=0),
    }
    assert found == pytest.approx(expected)


def _entities(rows: list[list[str]]) -> np.ndarray:
    from seqeval.metrics.sequence_labeling import get_entities

    found = [tuple(Entity(start, end + 1, label) for label, start, end in get_entities(row)) for row in rows]
    return np.fromiter(found, dtype=object, count=len(found))


def test_figures_by_label() -> None:
    targets = np.fromiter([(Entity(0, 1, "PER"), Entity(2, 3, "LOC"))], dtype=object, count=1)
    found = NER().by_label(targets, [Entities((Entity(0, 1, "PER"), Entity(2, 3, "PER")))], LABELS)
    assert found["PER"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "entities": 1}
    assert found["LOC"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "entities": 1}


# ------------------------------------------------------------------ with a model


@pytest.fixture(scope="module")
def tagger(bert_folder: Path) -> tl.TaskModel:
    """A tiny BERT that has learnt that films are works and rooms are places."""
    rows = []
    for n in range(60):
        noun, label = (("film", "WORK"), ("room", "PLACE"), ("meal", None))[n % 3]
        before = "the " * (1 + n % 4)
        entities = [[len(before), len(before) + 4, label]] if label else []
        rows.append({"text": f"{before}{noun} was good", "entities": entities})
    strategy = tl.strategies.FineTuning(learning_rate=5e-3, minimum_steps=120, precision="fp32")
    return tl.transfer(tl.load(bert_folder, max_length=24), NER().read(rows), strategy)


def test_a_tagger_finds_entities_with_their_characters(tagger: tl.TaskModel) -> None:
    (found,) = tagger.predict(["the film was good the room was good"])
    assert isinstance(found, Entities)
    assert spans(found.entities) == [(4, 8, "WORK", "film"), (22, 26, "PLACE", "room")]
    assert str(found) == "WORK 4-8 film; PLACE 22-26 room"


def test_entities_beyond_the_maximum_length_are_found(tagger: tl.TaskModel) -> None:
    words = ["the", "meal", "was", "good"] * 1250
    places = [17, 1023, 2499, 4873, 4997]
    for place in places:
        words[place] = "film" if place % 2 else "room"
    text = " ".join(words)
    (found,) = tagger.predict([text])
    assert isinstance(found, Entities)
    starts = [len(" ".join(words[:place])) + 1 for place in places]
    assert [entity.start for entity in found.entities] == starts
    assert tagger.scores([text])[1].tolist() == [1.0]


def test_on_the_command_line(tagger: tl.TaskModel, tmp_path: Path, run: Run) -> None:
    tagger.save(tmp_path / "m")
    told = run("predict", tmp_path / "m", "the film was good", " ")
    assert told.out == "WORK 4-8 film\tthe film was good\n\t \n"
    told = json.loads(run("predict", tmp_path / "m", "the film was good", "--json").out)
    assert told["text"] == "the film was good"
    (entity,) = told["entities"]
    assert (entity["start"], entity["end"], entity["label"], entity["text"]) == (4, 8, "WORK", "film")
    assert 0 < entity["probability"] <= 1
    data = write(tmp_path, "the O\nfilm B-WORK\nwas O\n")
    told = run("evaluate", tmp_path / "m", data)
    assert "macro_f1" in told.out
    assert "entities" in told.out


def test_faults_are_told_by_check(tmp_path: Path, run: Run) -> None:
    path = lines(tmp_path, {"text": "Ada", "entities": [[0, 9, "PER"]]}, {"text": "Bo", "entities": [[0, 2, "PER"]]})
    told = run("check", path, "--task", "ner")
    assert told.code == 0
    assert "Line 1: entity [0, 9, 'PER'] does not lie in a text of 3 characters" in told.out
    told = run("transfer", "tfidf", path, "--task", "ner", "--strategy", "fine_tuning", "-o", tmp_path / "m")
    assert told.code == 1
    assert "line 1" in told.err


def test_check_finds_no_trouble_with_one_kind_of_entity_or_with_unlike_ones(tmp_path: Path, run: Run) -> None:
    one = {"text": "Ada and Bo and Cy", "entities": [[0, 3, "PER"], [8, 10, "PER"], [15, 17, "PER"]]}
    told = run("check", lines(tmp_path, one), "--task", "ner")
    assert "No trouble found." in told.out
    assert "100.0%" in told.out
    many = [{"text": f"Ada saw {n * 7919}", "entities": [[0, 3, "PER"]]} for n in range(30)]
    path = lines(tmp_path, *many, {"text": "in London", "entities": [[3, 9, "LOC"]]})
    assert "unbalanced" not in run("check", path, "--task", "ner").out
