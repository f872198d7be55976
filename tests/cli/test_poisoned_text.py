"""Poisoned text is refused, and the model that is served stays as it is, byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl

Run = Callable[..., Any]
METHODS = {
    "lstm": ("continued_pretraining", "--steps", "60", "--learning-rate", "0.02"),
    "ngram": ("count_merging",),
}


def random_bytes(lines: int) -> bytes:
    draw = np.random.default_rng(0)
    return b"\n".join(bytes(draw.integers(33, 256, 60).astype(np.uint8).tolist()) for _ in range(lines)) + b"\n"


POISON = {
    "random bytes": random_bytes(400),
    "one line repeated": b"buy now buy now the room buy now\n" * 4000,
    "another language": "".join(
        f"idag är vädret fint och vi går till parken {n} gånger\n" for n in range(400)
    ).encode(),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, make_reviews: Callable[..., Any]) -> dict[str, Path]:
    """An LSTM that spells everything and an n-gram model, both of reviews."""
    folder, texts = tmp_path_factory.mktemp("served"), make_reviews(300)[0]
    (folder / "old.txt").write_text("\n".join(make_reviews(300, seed=9)[0]) + "\n")  # of the kind, and not learnt
    small = {"width": 32, "embedding_width": 32, "epochs": 4, "batch_size": 8, "sequence_length": 16}
    tokenizer = tl.tokenizers.BytePair(vocabulary_size=320)
    tl.models.Recurrent(tokenizer=tokenizer, **small).fit(texts).save(folder / "lstm")
    tl.models.KneserNey(order=3).fit(texts).save(folder / "ngram")
    return {name: folder / name for name in ("lstm", "ngram", "old.txt")}


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below, hidden ones too."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("model", METHODS)
@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "elsewhere"])
def test_it_is_refused_and_nothing_changes(
    run: Run, tmp_path: Path, served: dict[str, Path], poison: str, model: str, in_place: bool
) -> None:
    desk = tmp_path / "desk"
    shutil.copytree(served[model], desk / "model")
    shutil.copytree(served["ngram"], desk / "other")
    (tmp_path / "new.txt").write_bytes(POISON[poison])
    before = everything(desk)
    told = run(
        "update", desk / "model", tmp_path / "new.txt", "--method", *METHODS[model], "--encoding", "latin-1",
        "--old", served["old.txt"], "--max-forgetting", "0.02", "-o", desk / ("model" if in_place else "other"), "-q",
    )  # fmt: skip
    assert told.code == 1, told.out
    assert "refused: the loss on held-out old text rose by" in told.err
    assert told.err.count("\n") == 1
    assert everything(desk) == before


@pytest.mark.parametrize("model", METHODS)
def test_good_text_passes(run: Run, tmp_path: Path, served: dict[str, Path], model: str, make_reviews: Any) -> None:
    """What is refused above is the text and not the limit."""
    (tmp_path / "new.txt").write_text("\n".join(make_reviews(400, seed=5)[0]) + "\n")
    mild = (METHODS[model][0],) if model == "ngram" else ("continued_pretraining", "--steps", "60")
    words = ("--method", *mild, "--old", served["old.txt"], "--max-forgetting", "0.02", "-o", tmp_path / "out", "-q")
    told = run("update", served[model], tmp_path / "new.txt", *words)
    assert told.code == 0, told.err


def test_bytes_that_are_no_text_are_refused_before_any_training(
    run: Run, tmp_path: Path, served: dict[str, Path]
) -> None:
    (tmp_path / "new.txt").write_bytes(POISON["random bytes"])
    before = everything(served["lstm"])
    told = run("update", served["lstm"], tmp_path / "new.txt", "--method", "denoising", "-o", served["lstm"])
    assert told.code == 1
    assert "new.txt, line 1" in told.err
    assert everything(served["lstm"]) == before
