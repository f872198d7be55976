"""Which precision to predict in: the quickest one that says the same as fp32."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferlm.outputs import Output
from transferlm.tasks.base import probabilities

__all__ = ["CHANGE", "QUICKER", "SAME", "Trial", "agrees", "quickest"]

SAME = 0.995
"""Least share of inputs whose labels are those of fp32."""
CHANGE = 0.05
"""A probability may change by less than this; a number by less than this share of the predictions' deviation. bfloat16
reaches 0.026 on a weakly trained MiniLM, 8-bit integers 0.15 to 0.27."""
QUICKER = 1.1
"""A rougher precision has to be so many times as fast as the one that is taken otherwise."""


@dataclass(frozen=True)
class Trial:
    """What a precision did on a sample.

    Attributes:
        precision: Its name.
        same: Share of inputs (of tokens, where each has scores) whose labels are those of fp32.
        change: Largest change of a probability (of a number: in standard deviations of fp32's).
        seconds: Processor time for the sample, after a pass to warm up.
        accepted: Whether it agrees and is quick enough.
    """

    precision: str
    same: float
    change: float
    seconds: float
    accepted: bool = False

    def __str__(self) -> str:
        said = "taken" if self.accepted else "not taken"
        return f"{self.precision}: {self.same:.1%} same labels, largest change {self.change:.4f}, {said}"


def quickest(precisions: Sequence[str], score: Callable[[str], Any], output: Output) -> tuple[str, tuple[Trial, ...]]:
    """The first precision that agrees with fp32 and is measured to be quicker than it and all that agree too.

    Args:
        precisions: fp32 among them, in any order.
        score: Scores of a sample in a precision, as the task decodes them.
        output: What the scores mean.

    Returns:
        Its name, and what each other one did.
    """
    reference, seconds = _timed(score, "fp32")
    chosen, best = "fp32", seconds
    trials: list[Trial] = []
    for precision in reversed([name for name in precisions if name != "fp32"]):
        scores, taken = _timed(score, precision)
        same, change = agreement(reference, scores, output)
        accepted = agrees(same, change) and taken * QUICKER < best
        if accepted:
            chosen, best = precision, taken
        trials.append(Trial(precision, same, change, taken, accepted))
    return chosen, tuple(trials)


def agrees(same: float, change: float) -> bool:
    """Whether a precision passes the gate."""
    return same >= SAME and change < CHANGE


def agreement(reference: Any, scores: Any, output: Output) -> tuple[float, float]:
    """The share of inputs (or tokens) with the same labels, and the largest change of a probability.

    For spans it is told of each stretch which token begins an answer and which one ends it.

    >>> two = Output("text", 2, "softmax")
    >>> agreement(np.array([[2.0, 0.0], [0.0, 0.5]]), np.array([[2.0, 0.0], [0.5, 0.0]]), two)  # doctest: +ELLIPSIS
    (0.5, 0.2449...)
    """
    if output.link == "squared":
        deviation = max(float(reference.std()), 1e-12)
        return 1.0, float(np.abs(scores - reference).max() / deviation)
    same, change = [], 0.0
    for exact, rough in zip(_choices(reference, output), _choices(scores, output), strict=True):
        one, other = probabilities(output, exact), probabilities(output, rough)
        change = max(change, float(np.abs(one - other).max(initial=0.0)))
        if output.link == "sigmoid":
            same.append(((one > 0.5) == (other > 0.5)).all(axis=1))
        else:
            same.append(one.argmax(axis=1) == other.argmax(axis=1))
    agreed = np.concatenate(same)
    return float(agreed.mean()) if len(agreed) else 1.0, change


def _choices(scores: Any, output: Output) -> list[np.ndarray]:
    """What is chosen among, a choice a row: labels of a text or token, or a stretch's tokens and that of no answer."""
    if output.per == "text":
        return [scores]
    stretches = [stretch for text in scores for stretch in text]
    if output.link == "span":
        return [np.vstack([stretch.scores, stretch.whole]).T for stretch in stretches]
    return [stretch.scores for stretch in stretches]


def _timed(score: Callable[[str], Any], precision: str) -> tuple[Any, float]:
    score(precision)
    started = time.process_time()
    found = score(precision)
    return found, time.process_time() - started
