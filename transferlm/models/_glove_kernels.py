"""The loop of GloVe: AdaGrad over weighted least squares, one pair of words after the other."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["descend"]

_LARGEST = np.float32(100)
"""Gradients are cut off there, as in the authors' program."""


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _step(
    word: int,
    other: int,
    count: float,
    weights: np.ndarray,
    squares: np.ndarray,
    move: np.ndarray,
    rate: np.float32,
    x_max: float,
    power: float,
) -> float:
    """Move a word's vector and another's context vector towards the log of their count; the pair's term of eq. 8.

    Both gradients are those of before the step. Squares start at 1 and take gradients times the learning rate.
    """
    width = weights.shape[2] - 1
    main, context = weights[0, word], weights[1, other]
    main_squares, context_squares = squares[0, word], squares[1, other]
    product = np.float32(0)
    for at in range(width):
        product += main[at] * context[at]
    off = np.float32(product + main[width] + context[width] - np.float32(math.log(count)))
    weight = np.float32(1.0 if count >= x_max else (count / x_max) ** power)
    slope, far, wide = weight * off, move[word, 0], move[other, 0]
    for at in range(width):
        one = rate * min(max(slope * context[at], -_LARGEST), _LARGEST)
        two = rate * min(max(slope * main[at], -_LARGEST), _LARGEST)
        main[at] -= far * one / np.sqrt(main_squares[at])
        context[at] -= wide * two / np.sqrt(context_squares[at])
        main_squares[at] += one * one
        context_squares[at] += two * two
    bias = rate * min(max(slope, -_LARGEST), _LARGEST)
    main[width] -= move[word, 1] * bias / np.sqrt(main_squares[width])
    context[width] -= move[other, 1] * bias / np.sqrt(context_squares[width])
    main_squares[width] += bias * bias
    context_squares[width] += bias * bias
    return float(weight) * float(off) * float(off)


@njit(cache=True, nogil=True)
def descend(
    order: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    counts: np.ndarray,
    weights: np.ndarray,
    squares: np.ndarray,
    move: np.ndarray,
    rate: np.float32,
    x_max: float,
    power: float,
) -> float:
    """Take a step for each pair, in both orders where they differ, in place.

    Args:
        order: int64, which pairs, in which order.
        first: uint32 (pairs,), a word's row.
        second: uint32 (pairs,), the other's.
        counts: float32 (pairs,), how often they stand together: above 0.
        weights: float32 (2, words, width + 1): vectors and context vectors, the bias last.
        squares: float32 of the same shape: 1 plus the sums of squared steps (AdaGrad).
        move: float32 (words, 2): how far each word's vectors and its biases may move, 1 freely, 0 not at all.
        rate: The learning rate.
        x_max: Counts from which on a pair weighs 1.
        power: Below it a pair weighs (count / x_max) ** power (eq. 9).

    Returns:
        The sum of the pairs' terms of eq. 8, each as it was before its own step.
    """
    loss = 0.0
    for at in range(len(order)):
        pair = order[at]
        one, two, count = int(first[pair]), int(second[pair]), float(counts[pair])
        loss += _step(one, two, count, weights, squares, move, rate, x_max, power)
        if one != two:
            loss += _step(two, one, count, weights, squares, move, rate, x_max, power)
    return loss
