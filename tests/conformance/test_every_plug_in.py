"""What holds for every plug-in of every kind: from its one file follow the command's choice, flags and listing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from transferlm import catalog
from transferlm.catalog import Entry, HyperParameter

ENTRIES = [entry for kind in catalog.KINDS for entry in catalog.entries(kind).values()]
FIELDS = [(entry, field) for entry in ENTRIES for field in entry.hyper_parameters]

NAMED_BY = {
    "models": lambda name: ("pretrain", name),
    "tokenizers": lambda name: ("pretrain", "recurrent", "--tokenizer", name),
    "tasks": lambda name: ("transfer", "--task", name),
    "strategies": lambda name: ("transfer", "--strategy", name),
    "updates": lambda name: ("update", "--method", name),
    "combinations": lambda name: ("combine", "--method", name),
}
"""Kind -> the words that name a plug-in on some command line."""


def label(value: object) -> str:
    return value.name if isinstance(value, Entry | HyperParameter) else str(value)


def test_every_kind_can_be_named_on_a_command_line() -> None:
    assert set(NAMED_BY) == set(catalog.KINDS)


@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_a_plug_in_is_a_dataclass_with_a_one_line_summary(entry: Entry) -> None:
    cls = entry.load()
    assert dataclasses.is_dataclass(cls)
    assert entry.summary.endswith((".", ":"))
    assert cls.__doc__
    assert cls.__module__.endswith(f".{entry.name}")


@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_every_field_that_can_be_given_is_a_hyper_parameter(entry: Entry) -> None:
    """What the source tells is what the class has; a field left out would have no flag and not be saved."""
    known = {field.name: field.default for field in entry.hyper_parameters}
    given = {f.name: f.default for f in dataclasses.fields(entry.load()) if f.init and f.repr}
    assert {name: given.get(name) for name in known} == known
    assert set(given) == set(known)


@pytest.mark.parametrize(("entry", "field"), FIELDS, ids=label)
def test_a_hyper_parameter_has_help_and_its_default_can_be_typed(entry: Entry, field: HyperParameter) -> None:
    assert field.help.endswith((".", ")")), f"{entry.name}.{field.name} has no help string after it"
    assert field.parse(str(field.default)) == field.default
    assert type(field.parse(str(field.default))) is type(field.default)


@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_its_defaults_make_an_instance(entry: Entry) -> None:
    made = entry.load()()
    assert {f.name: getattr(made, f.name) for f in entry.hyper_parameters} == {
        f.name: f.default for f in entry.hyper_parameters
    }


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_it_is_listed(kind: str, run: Callable[..., Any]) -> None:
    told = run("list", kind, "--json")
    assert told.code == 0
    rows = {row["name"]: row for row in json.loads(told.out)}
    assert set(rows) == set(catalog.entries(kind))
    for entry in catalog.entries(kind).values():
        assert rows[entry.name]["what"] == entry.summary
        assert rows[entry.name]["hyper_parameters"] == {f.name: f.default for f in entry.hyper_parameters}


@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_its_flags_appear_once_it_is_named(entry: Entry, run: Callable[..., Any]) -> None:
    told = run(*NAMED_BY[entry.kind](entry.name), "--help")
    assert told.code == 0, told.err
    shown = " ".join(told.out.replace("_", "-").split())
    for field in entry.hyper_parameters:
        flag = field.name.replace("_", "-")
        assert f"--{flag}" in shown or f"--tokenizer.{flag}" in shown, f"{flag} is not shown"
    assert told.out.count(f"[{entry.name}]") == len(entry.hyper_parameters)


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_a_wrong_name_is_wrong_usage_with_the_names_there_are(kind: str, run: Callable[..., Any]) -> None:
    words = {
        "models": ("pretrain", "nothing", "corpus.txt", "-o", "out"),
        "tokenizers": ("pretrain", "recurrent", "corpus.txt", "-o", "out", "--tokenizer", "nothing"),
        "tasks": ("transfer", "tfidf", "data.csv", "-o", "out", "--strategy", "fine_tuning", "--task", "nothing"),
        "strategies": ("transfer", "tfidf", "data.csv", "-o", "out", "--strategy", "nothing"),
        "updates": ("update", "m", "new.txt", "-o", "out", "--method", "nothing"),
        "combinations": ("combine", "m", "n", "-o", "out", "--method", "nothing"),
    }[kind]
    told = run(*words)
    assert told.code == 2
    assert all(name in told.err for name in catalog.entries(kind))
