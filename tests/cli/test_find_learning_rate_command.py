"""`transferlm find-learning-rate`, from its words to its table and its drawing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

Run = Callable[..., Any]
SMALL = ("--width", "8", "--embedding-width", "8", "--batch-size", "4", "--sequence-length", "8", "--tried", "40")


@pytest.fixture
def text(tmp_path: Path, review_texts: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "text.txt").write_text("\n".join(review_texts) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "text.txt"


def test_it_prints_a_table_and_a_suggestion(run: Run, text: str) -> None:
    told = run("find-learning-rate", "recurrent", text, *SMALL)
    assert told.code == 0, told
    assert "learning rate" in told.out
    assert told.out.splitlines()[-1].startswith("suggestion: --learning-rate ")
    asked = json.loads(run("find-learning-rate", "recurrent", text, *SMALL, "--json").out)
    assert len(asked["rates"]) == len(asked["bits"])
    assert f"{asked['suggestion']:.2g}" in told.out.splitlines()[-1]


@pytest.mark.parametrize("name", ["curve.svg", "new/curve.html"])
def test_it_draws_the_curve(name: str, run: Run, text: str) -> None:
    assert run("find-learning-rate", "recurrent", text, *SMALL, "--plot", name).code == 0
    drawing = Path(name).read_text(encoding="utf-8")
    svg = ElementTree.fromstring(drawing[drawing.index("<svg") :])
    lines = svg.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    assert len(lines[0].attrib["points"].split()) == len(lines[1].attrib["points"].split()) > 10
    assert ("<!doctype html>" in drawing) == name.endswith("html")


def test_a_drawing_of_another_kind_is_refused_before_any_work(run: Run, text: str) -> None:
    told = run("find-learning-rate", "recurrent", text, *SMALL, "--plot", "curve.png")
    assert told.code == 1
    assert "curve.png: a curve is drawn into a file whose name ends in .svg or .html" in told.err
    told = run("find-learning-rate", "recurrent", text, "--tried", "3")
    assert (told.code, "steps 3: give 10 or more" in told.err) == (1, True)
    told = run("find-learning-rate", "kneser_ney", text)
    assert (told.code, "which kneser_ney is not" in told.err) == (1, True)
