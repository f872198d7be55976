"""What a recurrent model's settings mean: their ranges, the network they make, and the values of well-known papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

from transferlm.errors import SettingError
from transferlm.models._recurrent_network import Network
from transferlm.models._sampled import check_softmax
from transferlm.neural.recurrence import Cell, Dropouts

__all__ = ["PRESETS", "RecurrentSettings", "check", "network", "widths"]

_ZAREMBA = {
    "layers": 2,
    "tied": False,
    "batch_size": 20,
    "sequence_length": 35,
    "optimizer": "sgd",
    "learning_rate": 35.0,
    "schedule": "geometric",
    "warmup": 0.0,
    "weight_decay": 0.0,
    "patience": None,
}
"""Zaremba, Sutskever & Vinyals (2015, section 4.1); they sum the loss over 35 tokens where ours is their mean, so that
their rate of 1 is 35 here and their largest norms of 5 and 10 are 1/7 and 2/7.
"""
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "zaremba_medium": {
        **_ZAREMBA,
        "width": 650,
        "embedding_width": 650,
        "dropout": 0.5,
        "epochs": 39,
        "clip": 1 / 7,
    },
    "awd_lstm": {
        "layers": 3,
        "width": 1150,
        "embedding_width": 400,
        "tapered": True,
        "dropout": 0.4,
        "layer_dropout": 0.3,
        "locked_dropout": True,
        "embedding_dropout": 0.1,
        "weight_drop": 0.5,
        "activation_penalty": 2.0,
        "slowness_penalty": 1.0,
        "epochs": 500,
        "batch_size": 20,
        "sequence_length": 70,
        "random_lengths": True,
        "optimizer": "nt_averaged_sgd",
        "learning_rate": 30.0,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 1.2e-6,
        "clip": 0.25,
        "patience": None,
    },
}
"""For the Penn Treebank: `awd_lstm` as in Merity, Keskar & Socher (2018, section 5) and their published code."""


class RecurrentSettings(Protocol):
    """The settings that decide a recurrent network's shape and how it is trained (`models/recurrent.py`)."""

    cell: Cell
    layers: int
    width: int
    embedding_width: int
    tapered: bool
    dropout: float
    input_dropout: float | None
    layer_dropout: float | None
    locked_dropout: bool
    embedding_dropout: float
    weight_drop: float
    activation_penalty: float
    slowness_penalty: float
    tied: bool
    softmax: Literal["full", "sampled"]
    samples: int
    batch_size: int
    sequence_length: int
    random_lengths: bool
    held_out: float


_COUNTS = ("layers", "width", "embedding_width", "max_length", "epochs", "batch_size", "sequence_length")
_SHARES = ("dropout", "input_dropout", "layer_dropout", "embedding_dropout", "weight_drop", "held_out")
_WEIGHTS = ("activation_penalty", "slowness_penalty")


def check(model: RecurrentSettings) -> None:
    """Refuse settings that make no sense.

    Raises:
        SettingError: One is out of its range.
    """
    if model.cell not in get_args(Cell):
        raise SettingError(f"cell {model.cell!r}: choose {', '.join(get_args(Cell))}")
    check_softmax(model)
    for name in _COUNTS:
        if getattr(model, name) < 1:
            raise SettingError(f"{name} {getattr(model, name)}: give 1 or more")
    for name in _SHARES:
        value = getattr(model, name)
        if value is not None and not 0 <= value < 1:
            raise SettingError(f"{name} {value}: give a share from 0 up to, not including, 1")
    for name in _WEIGHTS:
        if not 0 <= getattr(model, name) < float("inf"):
            raise SettingError(f"{name} {getattr(model, name)}: give 0 or more")


def widths(model: RecurrentSettings) -> list[int]:
    """Width of the embedding, then of each layer."""
    top = model.embedding_width if model.tapered else model.width
    return [model.embedding_width, *[model.width] * (model.layers - 1), top]


def network(model: RecurrentSettings, tokens: int) -> Network:
    """The network of these settings over a vocabulary of `tokens`, its weights drawn anew."""
    dropouts = Dropouts(
        words=model.embedding_dropout,
        inputs=model.dropout if model.input_dropout is None else model.input_dropout,
        between=model.dropout if model.layer_dropout is None else model.layer_dropout,
        outputs=model.dropout,
        recurrent=model.weight_drop,
        locked=model.locked_dropout,
    )
    return Network(tokens, model.cell, widths(model), model.tied, dropouts)
