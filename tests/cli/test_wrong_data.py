"""Wrong files of every task: `check` names each bad row and `transfer` refuses the first, or says what it repaired."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Run = Callable[..., Any]


class Wrong(NamedTuple):
    """A wrong file, what a check says of it, and what a transfer refuses it by."""

    task: str
    name: str
    content: str
    checked: tuple[str, ...]
    refused: str


def question(answers: Any = (), context: str = "Anna sang", asked: str = "who", **more: Any) -> str:
    return json.dumps({"question": asked, "context": context, "answers": answers, **more}) + "\n"


def squad(*questions: dict[str, Any], context: str = "Anna sang") -> str:
    return json.dumps({"data": [{"title": "", "paragraphs": [{"context": context, "qas": list(questions)}]}]})


ANNA = [{"text": "Anna", "answer_start": 0}]
WRONG = [
    Wrong("classification", "ragged.csv", "text,label\na film,x\na room\n", ("line 3: 1 fields",), "line 3: 1 fields"),
    Wrong("classification", "one.csv", "text,label\na film,x\na room,x\n", ("one label only, 'x'",), "only one label"),
    Wrong("classification", "column.csv", "body,label\na,x\nb,y\n", ("there are body, label",), "no column 'text'"),
    Wrong("classification", "quote.csv", 'text,label\n"a film,x\nb,y\n', ("line 2: a quoted",), "never closed"),
    Wrong("classification", "half.jsonl", '{"text": "a", "label": "x"}\n{"text"\n', ("line 2: no valid",), "line 2"),
    Wrong(
        "multilabel", "none.csv", "text,labels\na film,\na room,\n", ("No text has a label.",), "no text has a label"
    ),
    Wrong(
        *("multilabel", "list.csv", 'text,labels\na,"[1]"\nb,"[x]"\nc,x\n'),
        ("Line 2: [1] is no list of labels", "Line 3: no valid JSON"),
        "line 2: [1] is no list of labels",
    ),
    Wrong("multilabel", "empty.csv", "text,labels\na,x\n,y\n", ("1 text is empty",), "line 3, column 'text'"),
    Wrong(
        *("multilabel", "object.jsonl", '{"text": "a", "labels": ["x"]}\n{"text": "b", "labels": {"x": 1}}\n'),
        ("line 2, column 'labels'",),
        "line 2, column 'labels'",
    ),
    Wrong("multilabel", "column.csv", "text,label\na,x\n", ("did you mean 'label'",), "no column 'labels'"),
    Wrong(
        *("regression", "words.csv", "text,score\na,5\nb,good\nc,\nd,nan\n"),
        ("Line 3: 'good' is no finite", "Line 4: column 'score' is empty", "Line 5: 'nan'"),
        "line 4, column 'score'",
    ),
    Wrong("regression", "alike.csv", "text,score\na,5\nb,5.0\n", ("Every row has the number 5.",), "number 5: there"),
    Wrong("regression", "comma.csv", 'text,score\na,"3,5"\nb,2\n', ("Line 2: '3,5'",), "line 2, column 'score': '3,5'"),
    Wrong("regression", "infinite.csv", "text,score\na,1\nb,1e999\n", ("Line 3: '1e999'",), "'1e999' is no finite"),
    Wrong("regression", "column.csv", "text,value\na,1\nb,2\n", ("there are text, value",), "no column 'score'"),
    Wrong(
        *("ner", "tags.conll", "Anna B-PER\nsang X\nin PER\nParis B-\n"),
        ("Line 2: tag 'X'", "Line 3: tag 'PER'", "Line 4: tag 'B-'"),
        "line 2: tag 'X'",
    ),
    Wrong(
        "ner", "tokens.conll", "Anna\nsang\n\nBob\n", ("no row can be read. Line 1: one column",), "line 1: one column"
    ),
    Wrong("ner", "ragged.conll", "Anna B-PER\nsang\n", ("line 2: 1 columns",), "line 2: 1 columns"),
    Wrong("ner", "none.conll", "Anna O\nsang O\n", ("No text has an entity.",), "no text has an entity"),
    Wrong(
        "ner",
        "spans.jsonl",
        '{"text": "Anna", "entities": [[0, 40, "PER"]]}\n{"text": "Bob", "entities": [[0, 3, "PER"], [1, 2, "LOC"]]}\n'
        '{"text": "", "entities": []}\n{"text": "Eve", "entities": [[2, 1, "PER"]]}\n{"text": "Joe"}\n',
        (
            *("Line 1: entity [0, 40, 'PER'] does not lie", "Line 2: entities overlap", "Line 3: no text"),
            *("Line 4: entity [2, 1, 'PER']", "Line 5: no list of entities"),
        ),
        "line 1: entity [0, 40, 'PER'] does not lie in a text of 4 characters",
    ),
    Wrong(
        *("question_answering", "nowhere.jsonl", question([{"text": "Bob", "answer_start": 0}]) + question(ANNA)),
        ("Line 1: the answer 'Bob' does not stand",),
        "line 1: the answer 'Bob' does not stand in its context",
    ),
    Wrong(
        "question_answering",
        "empty.jsonl",
        question(asked="") + question(context=" ") + question([{"text": ""}]) + question(None) + question(ANNA),
        (
            *("Line 1: its question is empty", "Line 2: its context is empty", "Line 3: an answer is empty"),
            "Line 4: no list of answers is given",
        ),
        "line 1: its question is empty",
    ),
    Wrong(
        "question_answering",
        "unsaid.json",
        squad({"id": "1", "question": "who", "answers": ANNA}, {"id": "2", "question": "what"}),
        ("Question 2: no list of answers is given",),
        "question 2: no list of answers is given",
    ),
    Wrong("question_answering", "cut.json", squad()[:-20], ("no valid JSON",), "no valid JSON"),
    Wrong(
        *("question_answering", "kinds.json", squad({"id": "1", "question": ["who"], "answers": ANNA}, context="Anna")),
        ("no row can be read. Question 1: its question is empty",),
        "question 1: its question is empty",
    ),
    Wrong("question_answering", "other.json", '{"rows": []}', ("this is no SQuAD file",), "this is no SQuAD file"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.task}-{wrong.name}")
def test_a_wrong_file_is_told_row_by_row_and_refused_by_one_line(wrong: Wrong, run: Run, tmp_path: Path) -> None:
    path = tmp_path / wrong.name
    path.write_text(wrong.content, encoding="utf-8")
    checked = run("check", path, "--task", wrong.task)
    for words in wrong.checked:
        assert words in checked.out + checked.err
    assert "No trouble found" not in checked.out
    told = run("transfer", "tfidf", path, "--task", wrong.task, "--strategy", "fine_tuning", "-o", tmp_path / "model")
    assert told.code == 1
    assert told.err.count("\n") == 1
    assert wrong.name in told.err
    assert wrong.refused in told.err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("task", "name", "train", "test", "says"),
    [
        ("classification", "t.csv", "text,label\na,x\nb,y\n", "text,label\nc,z\n", "label 'z'"),
        ("multilabel", "t.csv", "text,labels\na,x\nb,y\n", "text,labels\nc,z\n", "label 'z'"),
        ("ner", "t.conll", "Anna B-PER\n", "Rome B-LOC\n", "label 'LOC'"),
    ],
)
def test_labels_that_training_never_saw_are_named_with_their_line(
    task: str, name: str, train: str, test: str, says: str, run: Run, tmp_path: Path
) -> None:
    first, second = tmp_path / name, tmp_path / f"test-{name}"
    first.write_text(train)
    second.write_text(test)
    checked = run("check", first, "--test", second, "--task", task)
    assert f"labels that training never saw: {says.removeprefix('label ')}" in checked.out
    strategy = ("--strategy", "feature_extraction")
    told = run("transfer", "tfidf", first, "--test", second, "--task", task, *strategy, "-o", tmp_path / "model")
    assert told.code == 1
    assert f"test-{name}, line {1 if task == 'ner' else 2}: {says} is not among the training labels" in told.err


def test_having_an_answer_is_no_label_that_training_could_have_missed(run: Run, tmp_path: Path) -> None:
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text(question(ANNA) + question(ANNA, context="Anna ran"))
    test.write_text(question(context="Bob slept"))
    told = run("check", train, "--test", test, "--task", "question_answering")
    assert "labels that training never saw" not in told.out
    assert "The test part alone has rows 'without an answer': training shows none of that kind." in told.out
    assert "No test row is one 'with an answer'" in told.out


@pytest.mark.parametrize("flag", ["--column", "--encoding"])
def test_flags_about_files_are_refused_with_texts_given_as_words(
    flag: str, run: Run, review_file: Path, tmp_path: Path
) -> None:
    made = tmp_path / "model"
    assert run("transfer", "tfidf", review_file, "--strategy", "feature_extraction", "-o", made).code == 0
    told = run("predict", made, "a film", flag, "utf-8")
    assert told.code == 2
    assert f"{flag} says how files are read" in told.err
