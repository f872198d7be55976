"""A model that reads a sequence segment by segment and learns from each segment after it has been scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from transferlm.models._scored_texts import Scored, opening_of, with_end
from transferlm.models.base import ReadOn, ReadsOn
from transferlm.neural.dynamic_weights import DynamicWeights, mean_squares
from transferlm.text.tokenizers.base import Tokens
from transferlm.text.windows import windows

__all__ = ["AdaptiveReader", "gradient_squares", "token_stream"]

_SEGMENTS = 2000
"""Segments on which gradients are measured: their mean squares change little with more."""


class _Run(NamedTuple):
    """Tokens in the order in which they are read.

    Attributes:
        ids: int64 of shape (tokens,).
        predicted: bool of shape (tokens,): those of a text and its end, not what opens it.
    """

    ids: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, given: np.ndarray, ids: np.ndarray) -> _Run:
        """Tokens that are given, then tokens that are predicted."""
        whole = np.concatenate([given, ids]).astype(np.int64)
        return cls(whole, np.arange(len(whole)) >= len(given))

    def then(self, other: _Run) -> _Run:
        """This one and another behind it."""
        return _Run(np.concatenate([self.ids, other.ids]), np.concatenate([self.predicted, other.predicted]))

    def part(self, start: int, stop: int | None = None) -> _Run:
        """Its tokens from `start` up to, not including, `stop`."""
        return _Run(self.ids[start:stop], self.predicted[start:stop])


class AdaptiveReader:
    """Reads on and on; where segments end depends on the tokens alone, not on how they are handed over.

    Args:
        model: Its weights move: give a copy of what shall stay.
        weights: Moves them.
        segment: Tokens between two steps.
        states: Whether hidden states are kept.
    """

    def __init__(self, model: ReadsOn, weights: DynamicWeights, segment: int, states: bool = False) -> None:
        self.model, self.weights, self.segment, self._states = model, weights, segment, states
        self._begin()

    def _begin(self) -> None:
        self._waiting = _opened(self.model)
        self._state: tuple[torch.Tensor, ...] | None = None
        self._fresh = True

    def read(self, ids: np.ndarray) -> Scored:
        """Read a text's tokens, and give those in segments that are now complete."""
        prefix = self.model.tokenizer.prefix
        self._waiting = self._waiting.then(_Run.of(prefix[:0] if self._fresh else prefix, ids))
        self._fresh, found = False, []
        while len(self._waiting.ids) > self.segment:
            part, self._waiting = self._waiting.part(0, self.segment + 1), self._waiting.part(self.segment)
            found.append(self._learnt(part))
        return Scored.joined(found)

    def rest(self) -> Scored:
        """The tokens of the last, incomplete segment: nothing is learnt from it."""
        if len(self._waiting.ids) == 1:
            return Scored.joined([])
        with torch.inference_mode():
            return self._scored(self.model.read_on(self._waiting.ids[:-1], self._state), self._waiting.part(1))

    def next_log_probs(self) -> np.ndarray:
        """The distribution after the last token read: float64 of shape (vocabulary,)."""
        with torch.inference_mode():
            read = self.model.read_on(self._waiting.ids, self._state)
        row: np.ndarray = read.log_probs[-1].double().log_softmax(dim=-1).cpu().numpy()
        return row

    def carried(self) -> dict[str, torch.Tensor]:
        """Where it stands beside its weights, for a checkpoint."""
        waiting = {name: torch.from_numpy(array) for name, array in self._waiting._asdict().items()}
        state = {f"state.{place}": part for place, part in enumerate(self._state or ())}
        return {**waiting, "fresh": torch.tensor(self._fresh), **state}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        device = next(self.model.module.parameters()).device
        self._waiting = _Run(state["ids"].numpy(), state["predicted"].numpy())
        self._fresh = bool(state["fresh"])
        places = sorted(int(name.removeprefix("state.")) for name in state if name.startswith("state."))
        self._state = tuple(state[f"state.{place}"].to(device) for place in places) or None

    def restart(self) -> None:
        """Forget what was read: the trained weights, and no state."""
        self.weights.restore()
        self._begin()

    def _learnt(self, part: _Run) -> Scored:
        """All tokens of `part` but the first, before the weights move towards them."""
        with torch.enable_grad():
            read = self.model.read_on(part.ids[:-1], self._state)
            self._state = read.state
            if part.part(1).predicted.any():
                (-_chosen(read, part.part(1)).mean()).backward()  # type: ignore[no-untyped-call]
                self.weights.step()
        return self._scored(read, part.part(1))

    def _scored(self, read: ReadOn, wanted: _Run) -> Scored:
        hidden = read.hidden if self._states else read.hidden[:, :0]
        logs = _chosen(read, wanted).detach().double().cpu().numpy()
        return Scored(logs, hidden.float().cpu().numpy()[wanted.predicted])


def token_stream(model: ReadsOn, texts: Iterable[str]) -> Iterator[Tokens]:
    """The tokens of each text, its end behind them."""
    end = model.tokenizer.end_id
    for window in windows(texts):
        for text, tokens in zip(window, model.tokenizer.encode_bare(window), strict=True):
            yield with_end(tokens, text, end)


def gradient_squares(model: ReadsOn, texts: Iterable[str], segment: int) -> list[torch.Tensor]:
    """Mean squared gradients of the model's loss over segments at the beginning of the texts; it stays as it is."""
    run, longest = _opened(model), _SEGMENTS * segment + 1
    prefix = model.tokenizer.prefix[:0]
    for tokens in token_stream(model, texts):
        run, prefix = run.then(_Run.of(prefix, tokens.ids)), model.tokenizer.prefix
        if len(run.ids) >= longest:
            break
    run = run.part(0, longest)
    state: list[tuple[torch.Tensor, ...] | None] = [None]
    parts = (run.part(at, at + segment + 1) for at in range(0, len(run.ids) - 1, segment))
    losses = (partial(_loss, model, part, state) for part in parts if part.part(1).predicted.any())
    with torch.enable_grad():
        return mean_squares(list(model.module.parameters()), losses)


def _opened(model: ReadsOn) -> _Run:
    """What stands before the first text."""
    return _Run.of(opening_of(model.tokenizer.prefix, model.tokenizer.end_id), np.empty(0))


def _loss(model: ReadsOn, part: _Run, state: list[tuple[torch.Tensor, ...] | None]) -> torch.Tensor:
    read = model.read_on(part.ids[:-1], state[0])
    state[0] = read.state
    return -_chosen(read, part.part(1)).mean()


def _chosen(read: ReadOn, wanted: _Run) -> torch.Tensor:
    """Log-probabilities of the tokens that were predicted: shape (tokens,)."""
    rows = torch.from_numpy(np.flatnonzero(wanted.predicted)).to(read.log_probs.device)
    ids = torch.from_numpy(wanted.ids[wanted.predicted]).to(read.log_probs.device)
    return read.log_probs[rows].gather(1, ids[:, None])[:, 0]
