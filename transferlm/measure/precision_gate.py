"""Which precision to predict in: the quickest one that says the same as fp32."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transferlm.outputs import Output
from transferlm.tasks.base import gives_probabilities, probabilities

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
        same: Share of inputs whose labels are those of fp32.
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


def quickest(
    precisions: Sequence[str], score: Callable[[str], np.ndarray], output: Output
) -> tuple[str, tuple[Trial, ...]]:
    """The first precision that agrees with fp32 and is measured to be quicker than it and all that agree too.

    Args:
        precisions: fp32 among them, in any order.
        score: Scores of a sample in a precision: shape (texts, size).
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


def agreement(reference: np.ndarray, scores: np.ndarray, output: Output) -> tuple[float, float]:
    """The share of inputs with the same labels, and the largest change.

    >>> two = Output("text", 2, "softmax")
    >>> agreement(np.array([[2.0, 0.0], [0.0, 0.5]]), np.array([[2.0, 0.0], [0.5, 0.0]]), two)  # doctest: +ELLIPSIS
    (0.5, 0.2449...)
    """
    if not gives_probabilities(output):
        deviation = max(float(reference.std()), 1e-12)
        return 1.0, float(np.abs(scores - reference).max() / deviation)
    one, other = probabilities(output, reference), probabilities(output, scores)
    if output.link == "softmax":
        same = one.argmax(axis=1) == other.argmax(axis=1)
    else:
        same = ((one > 0.5) == (other > 0.5)).all(axis=1)
    return float(same.mean()), float(np.abs(one - other).max())


def _timed(score: Callable[[str], np.ndarray], precision: str) -> tuple[np.ndarray, float]:
    score(precision)
    started = time.process_time()
    found = score(precision)
    return found, time.process_time() - started
