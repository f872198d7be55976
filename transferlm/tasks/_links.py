"""How scores are read: as one label of several, or as any number of labels."""

from __future__ import annotations

import numpy as np

from transferlm.outputs import Output

__all__ = ["gives_probabilities", "logarithms", "probabilities"]


def gives_probabilities(output: Output) -> bool:
    """Whether the scores of a text are one probability a label."""
    return output.per == "text" and output.link in ("softmax", "sigmoid")


def probabilities(output: Output, scores: np.ndarray) -> np.ndarray:
    """Scores (..., size) as probabilities of the same shape, in float64: softmax over the last axis, or sigmoid.

    >>> probabilities(Output("text", 2, "softmax"), np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    >>> probabilities(Output("text", 2, "sigmoid"), np.array([[0.0, 800.0]])).tolist()
    [[0.5, 1.0]]
    """
    if output.link == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * scores.astype(np.float64))))
    exponentials = np.exp(scores.astype(np.float64) - scores.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def logarithms(scores: np.ndarray) -> np.ndarray:
    """Log-softmax over the last axis, in float64."""
    shifted = scores.astype(np.float64) - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
