"""Examples written as records come back as they were, whatever their task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, UnsupportedError
from transferlm.tasks.base import Examples

PAIRED = tl.tasks.Classification(pair_column="other")
MADE: dict[str, Examples] = {
    "classification": Examples(tl.tasks.Classification(), ["a", "b\n", "\u4e2d"], np.array([1, 0, 1]), ("x", "y")),
    "pairs": Examples(PAIRED, [("a", "b"), ("c", "d")], np.array([1, 0]), ("x", "y")),
    "multilabel": Examples(
        tl.tasks.Multilabel(), ["a", "b", "c"], np.array([[True, False], [False, False], [True, True]]), ("x", "y")
    ),
    "regression": Examples(tl.tasks.Regression(), ["a", "b"], np.array([0.1, -3e9]), ()),
    "ner": tl.tasks.NER().read([{"text": "Ann saw Bob", "entities": [(0, 3, "PER"), (8, 11, "PER")]},
                                {"text": "no one", "entities": []}]),
    "question_answering": tl.tasks.QuestionAnswering().read(
        [{"question": "who", "context": "Ann saw Bob", "answers": [{"text": "Bob", "answer_start": 8}]},
         {"question": "why", "context": "Ann saw Bob", "answers": []}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_records_come_back_as_they_were(name: str) -> None:
    examples = MADE[name]
    again = Examples.of_records(examples.records(), examples.task, examples.labels)
    assert list(again.texts) == list(examples.texts)
    assert again.hash == examples.hash
    assert again.targets.dtype == examples.targets.dtype
    plain: Any = examples.task.plain(examples.targets, examples.labels)
    assert again.task.plain(again.targets, again.labels) == plain


def test_labels_follow_the_order_that_is_asked_for() -> None:
    examples = MADE["classification"]
    turned = examples.under(examples.task, ("y", "z", "x"))
    assert turned.targets.tolist() == [0, 2, 0]
    assert turned.hash == examples.hash
    several = MADE["multilabel"].under(tl.tasks.Multilabel(), ("z", "y", "x"))
    assert several.targets.tolist() == [[False, False, True], [False, False, False], [False, True, True]]


@pytest.mark.parametrize(("name", "row"), [("classification", 1), ("multilabel", 3), ("ner", 1)])
def test_a_label_that_is_not_there_is_told_with_its_row(name: str, row: int) -> None:
    examples = MADE[name]
    with pytest.raises(DataError, match=f"example {row}: label '(y|PER)'"):
        examples.under(examples.task, ("x", "z"))


def test_tasks_of_other_kinds_and_broken_records_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="ner, and the model's task is classification"):
        MADE["ner"].under(tl.tasks.Classification(), ("x", "y"))
    with pytest.raises(UnsupportedError, match="of pairs"):
        MADE["pairs"].under(tl.tasks.Classification(), ("x", "y"))
    for broken in ("text alone", "[1]", '["a"]', '[["a"], "x"]'):
        with pytest.raises(DataError, match="record 2"):
            Examples.of_records(['["a", "x"]', broken], tl.tasks.Classification(), ("x", "y"))


def test_sets_are_joined_in_their_order() -> None:
    one = MADE["classification"]
    both = Examples.joined([one, one.subset(np.array([2]))])
    assert (list(both.texts), both.targets.tolist()) == ([*one.texts, one.texts[2]], [1, 0, 1, 1])
    assert both.name == "examples and 1 more"
