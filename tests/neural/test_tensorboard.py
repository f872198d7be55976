"""Curves for TensorBoard: what they show, each step once, and one clear error where the package is missing."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorboard")

import transferlm as tl
from transferlm.errors import UnsupportedError
from transferlm.models.recurrent import Recurrent
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.tensorboard import tensorboard

TITLES = ["learning rate", "loss/held out (bits)", "loss/training (bits)", "speed/tokens a second"]


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def model(**changes: Any) -> Recurrent:
    sizes: Any = {"width": 8, "embedding_width": 8, "epochs": 3, "batch_size": 2, "sequence_length": 64}
    return Recurrent(**{**sizes, "evaluate_every": 2, **changes})


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Title -> steps and values, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {title: [(event.step, event.value) for event in read.Scalars(title)] for title in read.Tags()["scalars"]}


def test_the_curves_are_those_of_the_log(review_texts: list[str], tmp_path: Path) -> None:
    with tensorboard(tmp_path / "board"):
        tl.pretrain(model(), review_texts, 1, tmp_path / "state")
    lines = [json.loads(line) for line in (tmp_path / "state" / "log.jsonl").read_text().splitlines()]
    shown = curves(tmp_path / "board" / "pretraining")
    assert sorted(shown) == TITLES
    for title, name, unit in (
        ("loss/training (bits)", "loss", math.log(2)),
        ("loss/held out (bits)", "held_out", math.log(2)),
        ("learning rate", "learning_rate", 1),
        ("speed/tokens a second", "tokens_a_second", 1),
    ):
        assert shown[title] == [(line["step"], pytest.approx(line[name] / unit, rel=1e-5)) for line in lines], title


def test_a_run_that_goes_on_shows_each_step_once(
    review_texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tensorboard(tmp_path / "whole"):
        tl.pretrain(model(), review_texts, 1)
    real, saves = Checkpoint.save, 0

    def second_only(self: Checkpoint, tensors: Any, facts: Any) -> None:
        nonlocal saves
        saves += 1
        if saves == 3:
            real(self, tensors, facts)
        if saves == 7:
            raise Killed

    with monkeypatch.context() as patch, tensorboard(tmp_path / "killed"):
        patch.setattr(Checkpoint, "due", True)
        patch.setattr(Checkpoint, "save", second_only)
        with pytest.raises(Killed):
            tl.pretrain(model(), review_texts, 1, tmp_path / "state")
    with tensorboard(tmp_path / "killed"):
        tl.pretrain(model(), review_texts, 1, tmp_path / "state")
    whole, killed = (curves(tmp_path / name / "pretraining") for name in ("whole", "killed"))
    for title in TITLES[:3]:
        assert killed[title] == whole[title], title
    assert [step for step, _ in killed[TITLES[3]]] == [step for step, _ in whole[TITLES[3]]]


def test_outside_the_block_nothing_is_written(review_texts: list[str], tmp_path: Path) -> None:
    with tensorboard(tmp_path / "board"):
        pass
    tl.pretrain(model(epochs=1), review_texts, 1)
    with tensorboard(None):
        tl.pretrain(model(epochs=1), review_texts, 1)
    assert not (tmp_path / "board").exists()


def test_trainings_of_one_kind_are_told_apart(review_texts: list[str], tmp_path: Path) -> None:
    with tensorboard(tmp_path / "board"):
        for seed in (1, 2):
            tl.pretrain(model(epochs=1), review_texts, seed)
    assert sorted(place.name for place in (tmp_path / "board").iterdir()) == ["pretraining", "pretraining-2"]


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.delattr("torch.utils.tensorboard", raising=False)
    with pytest.raises(UnsupportedError, match=r"pip install 'transferlm\[tensorboard\]'"), tensorboard(tmp_path):
        pass
