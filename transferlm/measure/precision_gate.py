"""Which precision to predict in: the quickest one that says the same as fp32."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferlm.outputs import Output
from transferlm.tasks.base import probabilities

__all__ = ["CHANGE", "QUICKER", "SAME", "Trial", "agrees", "doubtful", "quickest"]

SAME = 0.995
"""Least share of inputs whose labels are those of fp32."""
CHANGE = 0.05
"""A probability may change by less than this; a number by less than this share of the predictions' deviation. bfloat16
reaches 0.007 to 0.026 on a MiniLM, 8-bit integers 0.03 on a fine-tuned one and 0.15 to 0.27 on frozen features."""
QUICKER = 1.1
"""A rougher precision has to be so many times as fast as the one that is taken otherwise."""


@dataclass(frozen=True)
class Trial:
    """What a precision did on a sample.

    Attributes:
        precision: Its name.
        same: Share of inputs (of tokens, where each has scores) whose labels are those of fp32.
        change: Largest change of a probability (of a number: in standard deviations of fp32's).
        again: Share of inputs so close between two labels that they are read again in the next finer precision.
        seconds: Processor time for the sample, after a pass to warm up; what is read again is in it.
        accepted: Whether it agrees and is quick enough.
    """

    precision: str
    same: float
    change: float
    again: float
    seconds: float
    accepted: bool = False

    def __str__(self) -> str:
        said = "taken" if self.accepted else "not taken"
        return (
            f"{self.precision}: {self.same:.1%} same labels, largest change {self.change:.4f}, {self.again:.1%} read"
            f" again, {said}"
        )


def quickest(precisions: Sequence[str], score: Callable[[str], Any], output: Output) -> tuple[str, tuple[Trial, ...]]:
    """The first precision that agrees with fp32 and is measured to be quicker than it and all that agree too.

    Inputs whose label could be another one, if their probabilities moved by the largest change that was seen, are read
    again in the precision that is taken otherwise: so labels stay those of fp32 where the rounding is small.

    Args:
        precisions: fp32 among them, in any order.
        score: Scores of a sample in a precision, as the task decodes them.
        output: What the scores mean.

    Returns:
        Its name, and what each other one did.
    """
    reference, best = _timed(score, "fp32")
    chosen, finer = "fp32", reference
    trials: list[Trial] = []
    for precision in reversed([name for name in precisions if name != "fp32"]):
        scores, taken = _timed(score, precision)
        _, change = agreement(reference, scores, output)
        rows = doubtful(scores, output, change)
        if len(rows):
            scores[rows] = finer[rows]
        again = len(rows) / len(scores)
        same, _ = agreement(reference, scores, output)
        taken += again * best
        accepted = agrees(same, change) and taken * QUICKER < best
        if accepted:
            chosen, best, finer = precision, taken, scores
        trials.append(Trial(precision, same, change, again, taken, accepted))
    return chosen, tuple(trials)


def doubtful(scores: Any, output: Output, change: float) -> np.ndarray:
    """Numbers of the texts whose label could be another one if each probability moved by `change`: int64.

    Of tokens and of numbers there are none.

    >>> doubtful(np.array([[3.0, 0.0], [0.1, 0.0]]), Output("text", 2, "softmax"), change=0.05)
    array([1])
    """
    if output.per != "text" or output.link == "squared":
        return np.empty(0, dtype=np.int64)
    chances = probabilities(output, scores)
    if output.link == "sigmoid":
        apart = 2 * np.abs(chances - 0.5).min(axis=1)
    else:
        second, first = np.sort(chances, axis=1)[:, -2:].T
        apart = first - second
    return np.flatnonzero(apart <= 2 * change)


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
        return 1.0, _largest(np.abs(scores - reference) / deviation)
    same, change = [], 0.0
    for exact, rough in zip(_choices(reference, output), _choices(scores, output), strict=True):
        one, other = probabilities(output, exact), probabilities(output, rough)
        change = max(change, _largest(np.abs(one - other)))
        if output.link == "sigmoid":
            same.append(((one > 0.5) == (other > 0.5)).all(axis=1))
        else:
            same.append(one.argmax(axis=1) == other.argmax(axis=1))
    agreed = np.concatenate(same)
    return float(agreed.mean()) if len(agreed) else 1.0, change


def _largest(changes: np.ndarray) -> float:
    """What is no number where fp32 has one is changed wholly: no gate lets it pass, and JSON can say it."""
    return float(np.nan_to_num(changes, nan=1.0, posinf=1.0).max(initial=0.0))


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
