"""The arms of `few_labels.py`: our strategies, and by name all that run beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from few_label_peers import PEERS, TOKENS, Trial

import transferlm as tl
from transferlm.measure.task_scores import ClassScores
from transferlm.models.base import Model
from transferlm.strategies.base import Strategy
from transferlm.task_model import body_of

__all__ = ["ARMS", "OURS", "Arm", "Trial"]

OURS = "contrastive"
"""The arm that the headline is about."""
LIBRARIES = {
    "SetFit": ("setfit", "sentence-transformers"),
    "Trainer (defaults)": ("accelerate",),
    "Trainer (best)": ("accelerate",),
    "NB-SVM": (),
    "fastText": ("fasttext-wheel",),
}
"""Peer -> what it runs on beside what every arm does."""


@dataclass(frozen=True)
class Arm:
    """One way to learn from a few labels.

    Attributes:
        run: From a trial to the predicted class of each test text; it measures the training's time.
        settings: What a cell's result depends on beside the data, the seed and the shared libraries.
    """

    run: Callable[[Trial], np.ndarray]
    settings: dict[str, Any] = field(default_factory=dict)


def learnt(trial: Trial, strategy: Strategy, start: Callable[[Trial], Model]) -> np.ndarray:
    """One of our strategies, everything from tokenising to the task model within its time."""
    model = start(trial)
    with trial.training():
        made = tl.transfer(model, trial.train, strategy, trial.seed)
    scores = made.score(trial.test)
    assert isinstance(scores, ClassScores)
    return scores.predicted


def pretrained(trial: Trial) -> Model:
    """The pretrained body."""
    return body_of(tl.load(trial.body, max_length=TOKENS))


def untrained(trial: Trial) -> Model:
    """The same architecture and tokenizer, its weights drawn."""
    return tl.untrained(pretrained(trial), trial.seed)


def term_weights(_: Trial) -> Model:
    """TF-IDF of words and pairs of words, in Chinese of characters."""
    model: Model = tl.models.TfIdf()
    return model


def _own(strategy: Strategy, start: Callable[[Trial], Model] = pretrained) -> Arm:
    return Arm(partial(learnt, strategy=strategy, start=start), strategy.hyper_parameters())


def _peer(name: str) -> Arm:
    found = {}
    for package in LIBRARIES[name]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # its arm says so when it is run
    return Arm(PEERS[name], found)


ARMS = {
    OURS: _own(tl.strategies.Contrastive()),
    "fine_tuning": _own(tl.strategies.FineTuning()),
    "feature_extraction": _own(tl.strategies.FeatureExtraction()),
    "fine_tuning (untrained)": _own(tl.strategies.FineTuning(), untrained),
    "feature_extraction (untrained)": _own(tl.strategies.FeatureExtraction(), untrained),
    "TF-IDF + logistic": _own(tl.strategies.FeatureExtraction(), term_weights),
    **{name: _peer(name) for name in PEERS},
}
"""Name -> arm, in the order of the table."""
