"""Beam search: the most probable texts that a few hypotheses side by side find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.models._sampling import Drawing, most_probable
from transferlm.models._side_by_side import SideBySide

__all__ = ["best_texts"]


@dataclass(frozen=True)
class _Hypothesis:
    """A text so far.

    Attributes:
        total: Its log-probability after the prompt, in nats.
        drawn: Its tokens, the end too if that was taken.
        text: What it reads, once it ended.
    """

    total: float
    drawn: tuple[int, ...]
    text: str = ""


def best_texts(group: SideBySide, drawing: Drawing, beams: int, count: int) -> list[str]:
    """The `count` best texts found with `beams` hypotheses, best first.

    Texts are ordered by their mean log-probability a token, the end among them: by the sum short ones would win (Wu et
    al. 2016, section 7, at a length penalty of 1). The search ends when no open hypothesis is better than the worst of
    `beams` ended ones, or at the longest length.

    Args:
        group: One text that begins with the prompt; afterwards the open hypotheses.
        drawing: Its length and repetition penalty.
        beams: Hypotheses that are followed; 4 to 10 are usual.
        count: Texts wanted; they are fewer if the model has no more.

    Raises:
        SettingError: Fewer beams than texts, or a setting that only drawing heeds.
        DataError: No token has a probability.
    """
    if beams < max(1, count):
        raise SettingError(f"beams {beams}: give {max(1, count)} or more, as many as there shall be texts")
    if (drawing.temperature, drawing.top_k, drawing.top_p) != (1.0, None, None):
        raise SettingError("beams search the most probable text: leave temperature, top_k and top_p out")
    alive, ended = [_Hypothesis(0.0, ())], list[_Hypothesis]()
    for _ in range(drawing.length):
        alive, ends = _grown(group, alive, drawing, beams)
        ended = sorted([*ended, *ends], key=_mean, reverse=True)[:beams]
        if not alive or (len(ended) == beams and _mean(ended[-1]) >= _mean(alive[0])):
            break
    else:
        open_ = [replace(hypothesis, text=group.text(row)) for row, hypothesis in enumerate(alive)]
        ended = sorted([*ended, *open_], key=_mean, reverse=True)
    if not ended:
        raise DataError("no token has a probability above 0 here, so that none can be taken")
    return [hypothesis.text for hypothesis in ended[:count]]


def _mean(hypothesis: _Hypothesis) -> float:
    return hypothesis.total / len(hypothesis.drawn)


def _grown(
    group: SideBySide, alive: Sequence[_Hypothesis], drawing: Drawing, beams: int
) -> tuple[list[_Hypothesis], list[_Hypothesis]]:
    """The best hypotheses one token longer, best first: those that are still open, and those that ended.

    An end counts where it is among the `beams` best; twice as many are looked at, so that as many open ones are left.
    """
    found: list[tuple[float, int, int]] = []
    for row, (hypothesis, log_probs) in enumerate(zip(alive, group.log_probs(), strict=True)):
        logs = drawing.weighed(log_probs, group.barred, hypothesis.drawn)
        best = most_probable(logs, 2 * beams)
        found += [
            (hypothesis.total + float(logs[token]), row, int(token)) for token in best if np.isfinite(logs[token])
        ]
    found = sorted(found, key=lambda candidate: -candidate[0])[: 2 * beams]
    ends = [candidate for candidate in found[:beams] if candidate[2] == group.end_id]
    ended = [_Hypothesis(total, (*alive[row].drawn, token), group.text(row)) for total, row, token in ends]
    going = [candidate for candidate in found if candidate[2] != group.end_id][:beams]
    if going:
        group.take([row for _, row, _ in going], [token for _, _, token in going])
    return [_Hypothesis(total, (*alive[row].drawn, token)) for total, row, token in going], ended
