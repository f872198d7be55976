"""How near to 1 the probabilities of a back-off model sum up, context by context, without listing a vocabulary."""

from __future__ import annotations

import numpy as np

from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, END

__all__ = ["joint_probabilities", "probability_sums", "sums_of_children"]


def probability_sums(model: BackOff) -> tuple[np.ndarray, np.ndarray]:
    """The sum of all next symbols' probabilities after each context, that of unigrams alone being 1.

    Returns:
        float64 (contexts,): the sums after the n-grams of every order but the highest; float64 (contexts,): how often
        each is the longest known context in text that the model itself would write, as shares of 1.
    """
    joint, shorter_sums = joint_probabilities(model), np.ones(1)
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
