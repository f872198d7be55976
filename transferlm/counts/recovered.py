"""The back-off model that an automaton was made from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from transferlm.counts._automaton_kernels import BACK_OFF
from transferlm.counts._trie_kernels import find_suffixes
from transferlm.counts.automaton import Automaton
from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import UNKNOWN
from transferlm.errors import ModelFolderError

__all__ = ["recovered"]


def recovered(automaton: Automaton) -> BackOff:
    """A model whose automaton gives the same probabilities to the bit; linear in its n-grams.

    BEGIN and UNKNOWN are n-grams of one symbol in it, whether or not they were.

    Raises:
        ModelFolderError: The automaton's arrays don't fit together: its folder is damaged.
    """
    unigrams = automaton.unigrams
    listed = np.flatnonzero(unigrams[:, 0] == np.arange(len(unigrams)))
    states = unigrams[listed, 1].astype(np.int64)
    _check(automaton, states)
    log_probs = unigrams.view(np.float32)[:, 2]
    first, back_offs = _contexts(automaton, states)
    ends = np.cumsum([0] + [bounds[-1] for bounds in first])
    _demand(ends[-1] == len(automaton.symbols))
    _demand([len(bounds) - 1 for bounds in first[1:]] == np.diff(ends)[:-1].tolist())
    parts = [slice(begin, end) for begin, end in pairwise(ends.tolist())]
    symbols = [listed.astype(np.uint32), *(automaton.symbols[part] for part in parts)]
    nothing = np.zeros(len(listed), np.uint32)
    parents = [nothing, *(np.repeat(np.arange(len(b) - 1, dtype=np.uint32), np.diff(b)) for b in first)]
    model = BackOff(
        symbols=symbols,
        parents=parents,
        first=first,
        suffixes=_suffixes(symbols, [np.array([0, len(listed)], np.uint32), *first]),
        log_probs=[log_probs[listed], *(automaton.log_probs[part] for part in parts)],
        back_offs=back_offs,
        unknown=float(log_probs[UNKNOWN]),
    )
    model.check()
    return model


def _check(automaton: Automaton, states: np.ndarray) -> None:
    """What has to hold before the arrays can be cut into orders; `BackOff.check` sees to the rest."""
    levels, first = automaton.levels, automaton.first
    _demand(levels[0] == 1 and np.all(np.diff(levels) >= 0))
    _demand(np.all(states < levels[min(1, len(levels) - 1)]))
    _demand(first[0] == 0 and first[-1] == len(automaton.symbols) and np.all(first[1:] >= first[:-1]))


def _contexts(automaton: Automaton, states: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Bounds of the children, and back-off weights, of every order but the highest.

    `states` are those after one symbol alone; 0 says that the symbol has neither children nor a weight.
    """
    children, weights = np.diff(automaton.first), automaton.states.view(np.float32)[:, BACK_OFF]
    own = [states, *(np.arange(begin, end) for begin, end in pairwise(automaton.levels[1:].tolist()))]
    orders = own[: automaton.order - 1]
    counts = [np.where(rows > 0, children[rows], 0) for rows in orders]
    first = [np.concatenate([[0], np.cumsum(found)]).astype(np.uint32) for found in counts]
    return first, [np.where(rows > 0, weights[rows], np.float32(0)) for rows in orders]


def _suffixes(symbols: list[np.ndarray], bounds: list[np.ndarray]) -> list[np.ndarray]:
    suffixes = [np.zeros(len(symbols[0]), np.uint32)]
    for level in range(1, len(symbols)):
        found = np.empty(len(symbols[level]), np.uint32)
        arrays = symbols[level], bounds[level], suffixes[-1], bounds[level - 1], symbols[level - 1], found
        _demand(find_suffixes(*arrays, 0, len(bounds[level]) - 1) < 0)
        suffixes.append(found)
    return suffixes


def _demand(fits: bool | np.bool_) -> None:
    if not fits:
        raise ModelFolderError("the automaton's arrays don't fit together: the folder is damaged, make the model again")
