"""How near to 1 the probabilities of a back-off model sum up, context by context, without listing a vocabulary."""

from __future__ import annotations

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, END, UNKNOWN

__all__ = ["joint_probabilities", "probability_sums", "spread_of_sums", "sums_of_children"]


def probability_sums(model: BackOff) -> tuple[np.ndarray, np.ndarray]:
    """The sum of all next symbols' probabilities after each context.

    Returns:
        float64 (contexts,): the sums after the n-grams of every order but the highest; float64 (contexts,): how often
        each is the longest known context in text that the model itself would write, as shares of 1.
    """
    joint = joint_probabilities(model)
    unlisted = 0.0 if UNKNOWN in model.symbols[0] else np.exp(model.unknown)
    shorter_sums = np.array([np.exp(model.log_probs[0].astype(np.float64)).sum() + unlisted])
    sums, shares = [np.zeros(0)], [np.zeros(0)]
    for level in range(1, model.order):
        longer, shorter = sums_of_children(model, level)
        weights = np.exp(model.back_offs[level - 1].astype(np.float64))
        suffixes = model.suffixes[level - 1]
        shorter_sums = longer + weights * (shorter_sums[suffixes] - shorter)
        sums.append(shorter_sums)
        share = joint[level - 1].copy()
        if level + 1 < model.order:
            share -= np.bincount(model.suffixes[level], joint[level], len(share))
        shares.append(np.maximum(share, 0))
    told = np.concatenate(shares)
    return np.concatenate(sums), told / max(told.sum(), np.finfo(np.float64).tiny)


def spread_of_sums(model: BackOff, share: float = 0.98) -> tuple[float, float]:
    """The sums between which those after a share of all contexts lie, each counted as often as it comes; 1 for none."""
    sums, shares = probability_sums(model)
    if not len(sums):
        return 1.0, 1.0
    order = np.argsort(sums)
    up_to = np.cumsum(shares[order])
    low, high = np.searchsorted(up_to, [(1 - share) / 2 * up_to[-1], (1 + share) / 2 * up_to[-1]])
    return float(sums[order[low]]), float(sums[order[high]])


def joint_probabilities(model: BackOff) -> list[np.ndarray]:
    """How probable each n-gram is in running text: float64 (nodes,) an order, above 0; BEGIN is as frequent as END."""
    joint = [np.exp(model.log_probs[0].astype(np.float64))]
    joint[0][model.symbols[0] == BEGIN] = joint[0][model.symbols[0] == END].sum()
    for parents, log_probs in zip(model.parents[1:], model.log_probs[1:], strict=True):
        joint.append(joint[-1][parents] * np.exp(log_probs.astype(np.float64)))
    return [np.maximum(probabilities, np.finfo(np.float64).tiny) for probabilities in joint]


def sums_of_children(model: BackOff, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities summed over the symbols that are listed after each n-gram of `level` symbols.

    Returns:
        float64 (nodes,): of the longer n-grams; float64 (nodes,): of the same symbols after the n-gram's suffix.
    """
    parents, nodes = model.parents[level], model.nodes(level)
    longer = np.exp(model.log_probs[level].astype(np.float64))
    shorter = np.exp(model.log_probs[level - 1].astype(np.float64))[model.suffixes[level]]
    return np.bincount(parents, longer, nodes), np.bincount(parents, shorter, nodes)
