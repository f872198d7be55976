"""What the probabilities after the contexts of a back-off model sum up to, without listing a vocabulary."""

from __future__ import annotations

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, END, UNKNOWN

__all__ = ["MOST_STEPS", "STEP", "joint_probabilities", "normalisers"]

STEP = 2.0**-18
"""Natural logs a step of a normaliser: under 4e-6, what float32 rounds a text's log-probability by."""

MOST_STEPS = 1 << 30
"""Of a normaliser, either way: 4,096 nats, more than codes can be wrong by where anything is left of a probability."""


def normalisers(model: BackOff, original: BackOff) -> list[np.ndarray]:
    """What to take from all log-probabilities after a context so that they have the sum that they had.

    Rounded up to whole steps, so that a sum falls short of what it was by less than one and never exceeds it. What is
    taken after a context is taken before the longer ones that back off to it are summed.

    Args:
        model: Other values for the n-grams of two symbols and more of
        original: a model whose probabilities have the sums that are wanted.

    Returns:
        int64 (nodes,) for each level but the highest: steps of `STEP`; 0 where there is no sum.
    """
    steps = []
    wanted = sums = np.array([_of_unigrams(original)])
    shorter = model.log_probs[0].astype(np.float64)
    for level in range(1, model.order):
        wanted = _sums(original, level, original.log_probs[level - 1], wanted)
        raw = _sums(model, level, shorter, sums)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.log(raw) - np.log(wanted)
        excess[~np.isfinite(excess)] = 0
        own = np.clip(np.ceil(excess / STEP), -MOST_STEPS, MOST_STEPS)
        sums = raw * np.exp(-own * STEP)
        shorter = model.log_probs[level] - own[model.parents[level]] * STEP
        steps.append(own.astype(np.int64))
    return steps


def joint_probabilities(model: BackOff) -> list[np.ndarray]:
    """How probable each n-gram is in running text: float64 (nodes,) an order, above 0; BEGIN is as frequent as END."""
    joint = [np.exp(model.log_probs[0].astype(np.float64))]
    joint[0][model.symbols[0] == BEGIN] = joint[0][model.symbols[0] == END].sum()
    for parents, log_probs in zip(model.parents[1:], model.log_probs[1:], strict=True):
        joint.append(joint[-1][parents] * np.exp(log_probs.astype(np.float64)))
    return [np.maximum(probabilities, np.finfo(np.float64).tiny) for probabilities in joint]


def _of_unigrams(model: BackOff) -> float:
    unlisted = 0.0 if UNKNOWN in model.symbols[0] else np.exp(model.unknown)
    return float(np.exp(model.log_probs[0].astype(np.float64)).sum() + unlisted)


def _sums(model: BackOff, level: int, shorter: np.ndarray, shorter_sums: np.ndarray) -> np.ndarray:
    """Sums after the n-grams of `level` symbols, float64 (nodes,): of their children, and of what backing off gives.

    Args:
        model: Its values from the children on are read.
        level: 1 or more.
        shorter: Log-probabilities of the n-grams of `level` symbols themselves, as they are backed off to.
        shorter_sums: Sums after the n-grams of one symbol less.
    """
    parents, nodes = model.parents[level], model.nodes(level)
    longer = np.bincount(parents, np.exp(model.log_probs[level].astype(np.float64)), nodes)
    listed = np.bincount(parents, np.exp(shorter.astype(np.float64))[model.suffixes[level]], nodes)
    rest = np.maximum(shorter_sums[model.suffixes[level - 1]] - listed, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        backed_off = np.exp(model.back_offs[level - 1].astype(np.float64)) * rest
    summed: np.ndarray = longer + np.where(rest > 0, backed_off, 0)
    return summed
