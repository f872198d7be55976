"""Which tokens are hidden, and what stands in their places: singly, or all pieces of a word together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["HIDDEN", "Hideable", "hide"]

HIDDEN = 0.15
"""Share of a text's tokens that are predicted (Devlin et al. 2019, section 3.1)."""


@dataclass(frozen=True)
class Hideable:
    """What hiding needs to know of a tokenizer.

    Attributes:
        mask_id: The token that hides another.
        ordinary: Booleans of shape (tokens,): True for those that stand for text, which can be hidden and drawn.
    """

    mask_id: int
    ordinary: np.ndarray


def hide(
    row: np.ndarray, starts: np.ndarray, vocabulary: Hideable, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hide 15% of a row's ordinary tokens: 80% become the mask, 10% a random token, 10% stay (Devlin et al. 2019).

    Words are taken whole in random order until they hold that many tokens; the word that goes beyond is taken with the
    probability that makes the expected number exact. Each of its tokens has a fate of its own, as in the whole-word
    models of Devlin et al. At least one token is expected to be hidden, so in texts of less than seven it is more.

    Args:
        row: Token ids, shape (tokens,).
        starts: Booleans of that shape: where a word begins; all True hides tokens singly.
        vocabulary: Which tokens can be hidden.
        draw: The source of the choice.

    Returns:
        The row with tokens hidden, and the places that are to be predicted, rising.
    """
    possible = np.flatnonzero(vocabulary.ordinary[row])
    chosen = possible[_taken(np.cumsum(starts)[possible], draw)]
    fate = draw.random(len(chosen))
    hidden = row.copy()
    hidden[chosen[fate < 0.8]] = vocabulary.mask_id
    replaced = chosen[(fate >= 0.8) & (fate < 0.9)]
    hidden[replaced] = draw.choice(np.flatnonzero(vocabulary.ordinary), len(replaced))
    return hidden, chosen


def _taken(words: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Booleans of shape (tokens,): True for those of the words that are drawn, given each token's word."""
    _, word, lengths = np.unique(words, return_inverse=True, return_counts=True)
    order = draw.permutation(len(lengths))
    filled = np.cumsum(lengths[order])
    wanted = max(1.0, HIDDEN * len(words))
    whole = int(np.searchsorted(filled, wanted, side="right"))
    if whole < len(order):
        missing = wanted - (filled[whole - 1] if whole else 0)
        whole += int(draw.random() * lengths[order[whole]] < missing)
    drawn = np.zeros(len(lengths), dtype=bool)
    drawn[order[:whole]] = True
    taken: np.ndarray = drawn[word]
    return taken
