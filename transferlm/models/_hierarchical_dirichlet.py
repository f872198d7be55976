"""A hierarchical Dirichlet language model: the shorter context is the prior of the longer one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from transferlm.counts.trie import Trie
from transferlm.errors import SettingError
from transferlm.models._discounting import Estimate, Level, build, event_counts, over_contexts
from transferlm.models._discounting_kernels import interpolate_pseudo_counts, leave_one_out

__all__ = ["estimate"]

_LEAST, _MOST = 1e-3, 1e6
_TOLERANCE, _FLAT = 1e-3, 1e-12


def estimate(trie: Trie, concentrations: Sequence[float] | None = None) -> Estimate:
    """p(w | h) = (c(hw) + a p(w | h')) / (c(h) + a), with one concentration a for each order (MacKay & Peto 1995).

    Unigrams rest on the uniform distribution over the words that occur, END and UNKNOWN.

    Args:
        trie: The counted n-grams.
        concentrations: One an order, unigrams first, above 0. None fits each to the highest leave-one-out likelihood
            (Minka 2000, section 3), the orders below held still, between 0.001 and a million; 1 where any is as good.

    Raises:
        DataError: Nothing was counted.
        SettingError: Concentrations that are not one an order, or not above 0.
    """
    if concentrations is not None:
        _check(concentrations, trie.order)
    used: list[float] = []
    notes: list[str] = []

    def weigh(level: Level) -> tuple[np.ndarray, np.ndarray]:
        values = event_counts(trie, level.order)
        given = concentrations[level.order - 1] if concentrations is not None else None
        concentration = float(given) if given is not None else _fitted(values, level)
        if given is None and concentration in (_LEAST, _MOST):
            notes.append(
                f"Order {level.order}: the counts set no bound to the concentration; {concentration:g} is taken."
            )
        used.append(concentration)
        return over_contexts(interpolate_pseudo_counts, level, values, 0.0, concentration)

    how = "leave-one-out" if concentrations is None else "given"
    facts = {"smoothing": "hierarchical_dirichlet", "concentrations": used, "fitted_by": how}
    return build(trie, weigh, facts, notes)


def _fitted(values: np.ndarray, level: Level) -> float:
    """The concentration of one order at which Minka's fixed-point step stands still.

    His steps alone need hundreds where the longer context tells little; the root of their logarithm needs about ten.
    """
    from scipy.optimize import brentq  # a quarter of a second to load, for this alone

    base = level.lower[level.suffixes]

    def step(log_concentration: float) -> float:
        above, below = leave_one_out(values, level.first, base, math.exp(log_concentration))
        return math.log(above / below) if above > 0 else 0.0

    if abs(step(0.0)) < _FLAT:
        return 1.0
    low, high = math.log(_LEAST), math.log(_MOST)
    if step(low) <= 0:
        return _LEAST
    return _MOST if step(high) >= 0 else math.exp(brentq(step, low, high, xtol=_TOLERANCE))


def _check(concentrations: Sequence[float], order: int) -> None:
    if len(concentrations) != order:
        raise SettingError(f"{len(concentrations)} concentrations for {order} orders: give one an order")
    if not all(0 < value < np.inf for value in concentrations):
        raise SettingError(f"concentrations {list(concentrations)} must all be above 0 and finite")
