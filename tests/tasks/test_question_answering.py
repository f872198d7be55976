"""Question answering: files of every form, answers put right, official scores, spans over windows, no answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import transferlm as tl
from transferlm.errors import DataError, SettingError
from transferlm.outputs import Stretch
from transferlm.tasks._answer_scores import exact_match, f1
from transferlm.tasks._spans import best_span, tokens_of
from transferlm.tasks.base import Answer, Gold
from transferlm.tasks.question_answering import QuestionAnswering, _best_threshold

Run = Callable[..., Any]
CONTEXT = "The film was good. The room was cold."


def squad(folder: Path, *questions: dict[str, Any], context: str = CONTEXT) -> Path:
    path = folder / "squad.json"
    document = {
        "version": "v2.0",
        "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}],
    }
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def asked(text: str, start: Any, name: str = "q1") -> dict[str, Any]:
    return {"id": name, "question": "What?", "answers": [{"text": text, "answer_start": start}]}


# ------------------------------------------------------------------ reading


def test_squad_1_and_2(tmp_path: Path) -> None:
    none = {"id": "q2", "question": "Who?", "answers": [], "is_impossible": True, "plausible_answers": [{"text": "x"}]}
    examples = QuestionAnswering().read(squad(tmp_path, asked("film", 4), none))
    assert examples.texts == [("What?", CONTEXT), ("Who?", CONTEXT)]
    assert [list(row) for row in examples.targets] == [[(4, 8, "film")], []]
    assert examples.notes == ()


def test_cmrcs_own_form_and_json_lines_and_datasets_give_the_same(tmp_path: Path) -> None:
    from datasets import Dataset
    from pandas import DataFrame

    context = "莱茵河流经科隆。"
    own = [{"context_text": context, "qas": [{"query_id": "a", "query_text": "哪里？", "answers": ["科隆", "科隆"]}]}]
    cmrc = tmp_path / "cmrc.json"
    cmrc.write_text(json.dumps(own, ensure_ascii=False), encoding="utf-8")
    answers = [{"text": "科隆", "answer_start": 5}] * 2
    lines = tmp_path / "data.jsonl"
    lines.write_text(json.dumps({"question": "哪里？", "context": context, "answers": answers}) + "\n")
    columns = {"text": ["科隆", "科隆"], "answer_start": [5, 5]}
    rows = [{"question": "哪里？", "context": context, "answers": columns}]
    sources = (cmrc, lines, rows, Dataset.from_list(rows), DataFrame(rows))
    read = [QuestionAnswering().read(source) for source in sources]
    assert [list(row) for row in read[0].targets] == [[(5, 7, "科隆")] * 2]
    assert len({examples.hash for examples in read}) == 1
    assert {examples.notes for examples in read} == {()}, "where no place is said, none is moved"


def test_an_answer_that_stands_elsewhere_is_moved_to_the_nearest_place_and_noted(tmp_path: Path) -> None:
    examples = QuestionAnswering().read(squad(tmp_path, asked("was", 25), asked("film", 4, "q2")))
    assert examples.targets[0][0] == (28, 31, "was")
    assert examples.notes == ("Answers moved to where they stand in the context: 1 (question q1).",)


def test_white_space_at_the_ends_of_an_answer_is_no_part_of_it(tmp_path: Path) -> None:
    examples = QuestionAnswering().read(squad(tmp_path, asked(" film ", 3), asked("film was ", 4, "q2")))
    assert [list(row) for row in examples.targets] == [[(4, 8, "film")], [(4, 12, "film was")]]
    assert examples.notes == ()
    offsets = np.array([[0, 3], [4, 8], [9, 12]])
    assert examples.task.token_targets("", examples.targets[0], offsets, ()).tolist() == [1, 1]  # type: ignore[attr-defined]


def test_an_answer_that_stands_nowhere_is_refused_or_left_out(tmp_path: Path) -> None:
    path = squad(tmp_path, asked("snow", 4), asked("film", 4, "q2"))
    with pytest.raises(DataError, match=r"squad\.json: question q1: the answer 'snow' does not stand in its context"):
        QuestionAnswering().read(path)
    examples = QuestionAnswering(unusable="drop").read(path)
    assert len(examples) == 1
    assert examples.notes == ("Questions left out, being empty or without their answer: 1 (question q1).",)


def test_one_of_several_answers_may_stand_nowhere_and_counts_in_scoring_only(tmp_path: Path) -> None:
    question = asked("film", 4)
    question["answers"].insert(0, {"text": "the movie", "answer_start": -1})
    examples = QuestionAnswering().read(squad(tmp_path, question))
    offsets = np.array([[0, 3], [4, 8]])
    assert examples.task.token_targets("", examples.targets[0], offsets, ()).tolist() == [1, 1]  # type: ignore[attr-defined]
    said = [Answer("The movie", 0, 0, 1.0)]
    assert examples.task.metrics(examples.targets, said, ())["exact_match"] == 1.0
    assert "count in scoring only" in examples.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no valid JSON"),
        ('{"data": 3}', "the file holds no list 'data': this is no SQuAD file"),
        ('{"data": [{"paragraphs": [{"context": "a"}]}]}', "article 1 holds no list 'qas'"),
        ('{"data": []}', "there is no question"),
        ('"text"', "the file is a JSON str, where an object is expected"),
    ],
)
def test_a_file_that_is_none_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        QuestionAnswering().read(path)


def test_empty_questions_are_refused_by_name(tmp_path: Path) -> None:
    empty = {**asked("film", 4), "question": " "}
    with pytest.raises(DataError, match=r"question q1: its question is empty: repair it, or .* --unusable drop"):
        QuestionAnswering().read(squad(tmp_path, empty))
    with pytest.raises(DataError, match="question q1: an answer is empty"):
        QuestionAnswering().read(squad(tmp_path, asked(" ", 0)))


def test_check_tells_every_fault_and_no_context_as_its_own_duplicate(tmp_path: Path, run: Run) -> None:
    path = squad(tmp_path, asked("snow", 0), asked("film", 5, "q2"), asked("room", 23, "q3"))
    told = run("check", path, "--task", "question_answering")
    assert "Question q1: the answer 'snow' does not stand in its context." in told.out
    assert "Answers moved to where they stand in the context: 1 (question q2)." in told.out
    assert "1 exact and 0 near duplicates" in told.out, "q2 and q3 ask the same of one context"


@pytest.mark.parametrize("unanswered", [0, 1])
def test_check_finds_no_trouble_where_most_questions_have_an_answer(unanswered: int, tmp_path: Path, run: Run) -> None:
    questions = [{**asked("film", 4, f"q{n}"), "question": f"What of {n * 7919}?"} for n in range(20)]
    none = {"id": "n", "question": "Who?", "answers": [], "is_impossible": True}
    told = run("check", squad(tmp_path, *questions, *[none] * unanswered), "--task", "question_answering")
    assert "No trouble found." in told.out
    assert ("95.2%" if unanswered else "100.0%") in told.out


@pytest.mark.parametrize(("name", "value"), [("unusable", "x"), ("language", "french"), ("longest_answer", 0)])
def test_settings_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        QuestionAnswering(**{name: value})


# ------------------------------------------------------------------ scores, by the official definitions


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "overlap"),
    [
        ("the Normans", ["Normans"], 1, 1),
        ("Denver Broncos!", ["denver broncos", "Broncos"], 1, 1),
        ("in the 10th century", ["10th century"], 0, 2 * 2 / (3 + 2)),
        ("a b c c", ["c c d"], 0, 2 * 2 / (3 + 3)),  # the article is taken off, both c count
        ("France", ["Spain"], 0, 0),
        ("", [], 1, 1),
        ("France", [], 0, 0),
        ("", ["France"], 0, 0),
        ("the", ["The", "cat"], 0, 0),  # an answer of which nothing is left does not count
        ("U.S.", ["US"], 1, 1),
    ],
)
def test_english_scores(answer: str, golds: list[str], exact: float, overlap: float) -> None:
    assert exact_match(answer, golds) == exact
    assert f1(answer, golds) == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "overlap"),
    [
        ("《战国无双3》", ["战国无双3"], 1, 1),
        ("光荣和ω-force", ["光荣"], 0, 2 * 2 / (4 + 2)),  # 光, 荣, 和, ωforce
        ("在科隆的莱茵河", ["莱茵河"], 0, 2 * 3 / (7 + 3)),
        ("河茵莱", ["莱茵河"], 0, 2 * 1 / (3 + 3)),  # a run, not a bag of characters
        ("1963年", ["1963年，", "1964年"], 1, 1),
        ("Nexon开发", ["nexon开发"], 1, 1),
        ("", ["莱茵河"], 0, 0),
        ("莱茵河", [], 0, 0),
    ],
)
def test_chinese_scores(answer: str, golds: list[str], exact: float, overlap: float) -> None:
    assert exact_match(answer, golds, "chinese") == exact
    assert f1(answer, golds, "chinese") == pytest.approx(overlap)
    assert f1(answer, golds) == pytest.approx(overlap), "the script tells the language"


def gold(*rows: list[str]) -> np.ndarray:
    found = (tuple(Gold(0, len(text), text) for text in row) for row in rows)
    return np.fromiter(found, dtype=object, count=len(rows))


def test_parts_with_and_without_an_answer() -> None:
    task = QuestionAnswering()
    targets = gold(["film"], ["room"], [], [])
    said = [Answer(text, None, None, 1.0) for text in ("film", "a film room", "", "film")]
    found = task.metrics(targets, said, ())
    assert found == pytest.approx(
        {
            "f1": (1 + 2 / 3 + 1 + 0) / 4,
            "exact_match": 2 / 4,
            "no_answer_accuracy": 1 / 2,
            "has_answer_f1": (1 + 2 / 3) / 2,
            "has_answer_exact_match": 1 / 2,
        }
    )
    assert set(task.metrics(targets[:2], said[:2], ())) == {"f1", "exact_match"}


# ------------------------------------------------------------------ spans


def stretch(offsets: list[tuple[int, int]], starts: list[float], ends: list[float], null: float) -> Stretch:
    scores = np.stack([starts, ends], axis=1).astype(np.float32)
    return Stretch(np.array(offsets, np.int32), scores, np.array([null / 2, null / 2], np.float32))


WORDS = [(0, 3), (4, 8), (9, 12), (13, 17)]


def test_the_best_span_does_not_end_before_it_begins_nor_is_too_long() -> None:
    one = stretch(WORDS, [0, 0, 9, 0], [0, 9, 1, 0], 0)
    assert best_span([one], 200)[:2] == (9, 12)
    one = stretch(WORDS, [9, 0, 0, 0], [0, 0, 0, 9], 0)
    assert best_span([one], 200)[:2] == (0, 17)
    assert best_span([one], 16)[:2] != (0, 17)


def test_the_best_window_wins_and_the_least_null_counts() -> None:
    one, other = stretch(WORDS[:2], [1, 0], [0, 1], 5), stretch(WORDS[2:], [3, 0], [0, 3], 2)
    for order in ([one, other], [other, one]):
        best = best_span(order, 200)
        assert (best.start, best.end, best.score, best.null) == (9, 17, 6.0, 2.0)
    assert best_span([stretch([], [], [], 1)], 200).start is None


@given(st.integers(0, 10_000))
def test_probabilities_of_all_spans_and_none_sum_to_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    parts = [stretch(WORDS, *draw.normal(size=(2, 4)), float(draw.normal())) for _ in range(2)]
    best = best_span(parts, 200)
    every = [
        float(part.scores[first, 0] + part.scores[last, 1])
        for part in parts
        for first in range(4)
        for last in range(first, 4)
    ]
    assert best.score == pytest.approx(max(every), abs=1e-6)
    assert best.total == pytest.approx(np.log(np.exp([*every, best.null]).sum()), abs=1e-6)


@given(st.integers(0, 16), st.integers(1, 17))
def test_a_span_of_characters_is_the_tokens_that_hold_it(start: int, end: int) -> None:
    if start >= end:
        return
    first, last = tokens_of(np.array(WORDS), start, end)
    covered = set(range(start, end)) - {3, 8, 12}
    if not covered or start in (3, 8, 12) or end in (4, 9, 13):
        return
    assert WORDS[first][0] <= start
    assert WORDS[last][1] >= end
    assert first == 0 or WORDS[first - 1][1] <= start


def test_a_span_that_is_cut_by_the_stretch_is_not_there() -> None:
    assert tokens_of(np.array(WORDS[1:]), 0, 8).tolist() == [-1, -1]
    assert tokens_of(np.array(WORDS[:2]), 4, 12).tolist() == [-1, -1]
    assert tokens_of(np.zeros((0, 2)), 0, 3).tolist() == [-1, -1]


def test_the_threshold_is_the_one_with_the_best_f1() -> None:
    task = QuestionAnswering()
    # Questions with an answer score no answer low, but one; those without score it high, but one.
    targets = gold(["film"], ["film"], ["film"], [], [], [])
    nulls = [-4.0, -3.0, 2.0, 4.0, 5.0, -3.5]
    scores = [[stretch([(0, 4)], [0.0], [0.0], null)] for null in nulls]
    texts = [("q", "film")] * 6
    fitted = task.fitted(targets, scores, texts, ())
    assert task.is_open(targets)
    assert not fitted.is_open(targets)
    assert not task.is_open(targets[:3])
    assert fitted.null_threshold is not None

    def gained(threshold: float) -> float:
        said = QuestionAnswering(null_threshold=threshold).decode(scores, texts, ())
        return task.metrics(targets, said, ())["f1"]

    assert gained(fitted.null_threshold) == max(map(gained, np.linspace(-6, 6, 200))) == 5 / 6


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([-1.0, 0.0, 0.5, 1.0])), min_size=1, max_size=12))
def test_no_threshold_gives_more_f1_than_the_one_fitted(questions: list[tuple[int, float]]) -> None:
    margins, gained = (np.array(side, dtype=np.float64) for side in zip(*questions, strict=True))

    def total(threshold: float) -> float:
        return float(gained[margins <= threshold].sum())

    assert total(_best_threshold(margins, gained)) == max(map(total, [-9.0, *margins]))


def test_a_threshold_that_silences_every_question_is_doubted() -> None:
    task, texts = QuestionAnswering(), [("q", "film good")] * 4
    targets = gold(["film"], ["film"], [], [])
    # A model that points at the wrong word and one that points at the right one, both as sure of an answer as of none.
    wrong, right = (
        [[stretch([(0, 4), (5, 9)], [*starts], [*starts], null)] for null in (1, 1, 2, 2)]
        for starts in ([0, 3], [3, 0])
    )
    for scores, doubts in ((wrong, 1), (right, 0)):
        fitted = task.fitted(targets, scores, texts, ())
        said = fitted.decode(scores, texts, ())
        assert len(fitted.doubts(targets, said)) == doubts
        assert task.metrics(targets, said, ())["f1"] == (0.5 if doubts else 1.0)
    assert "4 held-out questions" in task.doubts(targets, [Answer("", None, None, 1.0)] * 4)[0]
    assert task.doubts(gold([], []), [Answer("", None, None, 1.0)] * 2) == []


@pytest.mark.parametrize(("threshold", "answer"), [(None, "film"), (1.5, "film"), (0.5, "")])
def test_no_answer_is_given_where_it_scores_higher_by_more_than_the_threshold(
    threshold: float | None, answer: str
) -> None:
    scores = [[stretch([(0, 4)], [2.0], [2.0], 5.0)]]
    (found,) = QuestionAnswering(null_threshold=threshold).decode(scores, [("q", "film")], ())
    assert found.answer == answer
    assert found.probability == pytest.approx(1 / (1 + np.exp(-1 if answer == "" else 1)))


# ------------------------------------------------------------------ with a model


@pytest.fixture(scope="module")
def reader(bert_folder: Path) -> tl.TaskModel:
    """A tiny BERT that has learnt to point at what the question names, and that snow is nowhere."""
    rows = []
    nouns = ["film", "room", "meal", "book"]
    for n in range(160):
        noun = nouns[n % 4]
        context = " ".join(["the"] * (1 + n % 3) + [noun, "was", "good"])
        wanted = noun if n % 5 else nouns[(n + 1) % 4]
        answers = [{"text": noun, "answer_start": context.index(noun)}] if wanted == noun else []
        rows.append({"question": wanted, "context": context, "answers": answers})
    strategy = tl.strategies.FineTuning(learning_rate=2e-3, minimum_steps=400, held_out=0.2, precision="fp32")
    return tl.transfer(tl.load(bert_folder, max_length=24), QuestionAnswering().read(rows), strategy)


def test_a_reader_points_at_the_answer_or_says_none(reader: tl.TaskModel) -> None:
    one, other = reader.predict([("film", "the the film was good"), ("film", "the the room was good")])
    assert isinstance(one, Answer)
    assert isinstance(other, Answer)
    assert (one.answer, one.start, one.end) == ("film", 8, 12)
    assert (other.answer, other.start) == ("", None)
    assert reader.task.null_threshold is not None  # type: ignore[attr-defined]


def test_an_answer_beyond_the_maximum_length_is_found(reader: tl.TaskModel) -> None:
    context = "the the " * 60 + "film was good"
    (found,) = reader.predict([("film", context)])
    assert isinstance(found, Answer)
    assert (found.answer, found.start) == ("film", 480)
    assert reader.scores([("film", context)])[1].tolist() == [1.0]


def test_a_single_text_is_refused(reader: tl.TaskModel) -> None:
    with pytest.raises(DataError, match="question_answering model reads pairs of texts, not single ones"):
        reader.predict(["the film"])


def test_on_the_command_line(reader: tl.TaskModel, tmp_path: Path, run: Run) -> None:
    model = tmp_path / "m"
    reader.save(model)
    told = run("predict", model, "--question", "film", "the the film was good", "--json")
    assert told.code == 0, told.err
    found = json.loads(told.out)
    assert (found["answer"], found["start"], found["end"], found["first"]) == ("film", 8, 12, "film")
    told = run("predict", model, "--question", "film", "the film was good")
    assert told.out.startswith("film\t4\t8\t")
    told = run("predict", model, "the film")
    assert told.code == 2
    assert "--question" in told.err
    path = squad(tmp_path, asked("film", 4))
    told = run("predict", model, "--file", path, "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["second"] == CONTEXT


def test_a_line_for_every_text_whatever_stands_in_it(reader: tl.TaskModel, tmp_path: Path, run: Run) -> None:
    reader.save(tmp_path / "m")
    told = run("predict", tmp_path / "m", "--file", squad(tmp_path, asked("film", 4), context="the\tfilm\r\nwas good"))
    (line,) = told.out.splitlines()
    assert line.split("\t")[4:] == ["What?", "the film  was good"]
    told = run("predict", tmp_path / "m", "--question", "film", stdin=b"the film\n\nthe room\n")
    rows = [line.split("\t") for line in told.out.splitlines()]
    assert [row[4:] for row in rows] == [["film", "the film"], ["film", ""], ["film", "the room"]]
    assert rows[1][:4] == ["", "", "", ""]


def test_an_encoding_holds_for_the_tasks_own_form(reader: tl.TaskModel, tmp_path: Path, run: Run) -> None:
    reader.save(tmp_path / "m")
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"question": "Où?", "context": "là"}, ensure_ascii=False), encoding="latin-1")
    told = run("predict", tmp_path / "m", "--file", path, "--encoding", "latin-1")
    assert told.code == 0, told.err
    assert told.out.endswith("\tOù?\tlà\n")
    assert run("predict", tmp_path / "m", "--file", path).code == 1


@pytest.mark.parametrize(
    ("flags", "told", "untold"),
    [
        (["--table", "text"], "--table", "--question"),
        (["--file", "x.csv", "--column", "text"], "--column", "--table"),
        (["text"], "--question", "--table"),
        (["--file", "x.csv", "--table", "--column", "text"], "--column", "--question"),
        (["--file", "x.csv", "--table", "--question", "who?"], "--question", "--column"),
    ],
)
def test_flags_that_do_not_go_together_are_refused_by_those_given(
    flags: list[str], told: str, untold: str, reader: tl.TaskModel, tmp_path: Path, run: Run
) -> None:
    reader.save(tmp_path / "m")
    refused = run("predict", tmp_path / "m", *flags)
    assert refused.code == 2
    assert told in refused.err
    assert untold not in refused.err
