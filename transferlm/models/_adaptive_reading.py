"""A model that reads a sequence segment by segment and learns from each segment after it has been scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import torch

from transferlm.models.base import ReadsOn
from transferlm.neural.dynamic_weights import DynamicWeights, mean_squares
from transferlm.text.windows import windows

__all__ = ["AdaptiveReader", "gradient_squares", "token_stream"]

_SEGMENTS = 2000
"""Segments on which gradients are measured: their mean squares change little with more."""


class AdaptiveReader:
    """Reads on and on; where segments end depends on the tokens alone, not on how they are handed over.

    Args:
        model: Its weights move: give a copy of what shall stay.
        weights: Moves them.
        segment: Tokens between two steps.
    """

    def __init__(self, model: ReadsOn, weights: DynamicWeights, segment: int) -> None:
        self.model, self.weights, self.segment = model, weights, segment
        self._begin()

    def _begin(self) -> None:
        self._waiting = np.array([self.model.tokenizer.end_id], dtype=np.int64)
        self._state: tuple[torch.Tensor, ...] | None = None

    def read(self, ids: np.ndarray) -> np.ndarray:
        """Read tokens, and give the log-probabilities (float64) of those in segments that are now complete."""
        self._waiting = np.concatenate([self._waiting, ids])
        logs = [np.empty(0)]
        while len(self._waiting) > self.segment:
            part, self._waiting = self._waiting[: self.segment + 1], self._waiting[self.segment :]
            logs.append(self._learnt(part))
        return np.concatenate(logs)

    def rest(self) -> np.ndarray:
        """Log-probabilities of the tokens of the last, incomplete segment: nothing is learnt from it."""
        if len(self._waiting) == 1:
            return np.empty(0)
        with torch.inference_mode():
            logs, _ = self.model.read_on(self._waiting[:-1], self._state)
        return _chosen(logs, self._waiting[1:])

    def next_log_probs(self) -> np.ndarray:
        """The distribution after the last token read: float64 of shape (vocabulary,)."""
        with torch.inference_mode():
            logs, _ = self.model.read_on(self._waiting, self._state)
        row: np.ndarray = logs[-1].double().log_softmax(dim=-1).cpu().numpy()
        return row

    def carried(self) -> dict[str, torch.Tensor]:
        """Where it stands beside its weights, for a checkpoint."""
        state = {f"state.{place}": part for place, part in enumerate(self._state or ())}
        return {"waiting": torch.from_numpy(self._waiting), **state}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        device = next(self.model.module.parameters()).device
        self._waiting = state["waiting"].numpy()
        self._state = tuple(state[f"state.{place}"].to(device) for place in range(len(state) - 1)) or None

    def restart(self) -> None:
        """Forget what was read: the trained weights, and no state."""
        self.weights.restore()
        self._begin()

    def _learnt(self, part: np.ndarray) -> np.ndarray:
        """Log-probabilities of all tokens of `part` but the first, before the weights move towards them."""
        with torch.enable_grad():
            logs, self._state = self.model.read_on(part[:-1], self._state)
            wanted = torch.from_numpy(part[1:, None]).to(logs.device)
            (-logs.gather(1, wanted).mean()).backward()  # type: ignore[no-untyped-call]
        self.weights.step()
        return _chosen(logs.detach(), part[1:])


def token_stream(model: ReadsOn, texts: Iterable[str]) -> Iterator[np.ndarray]:
    """The token ids of each text, its end behind it."""
    end = np.int32(model.tokenizer.end_id)
    for window in windows(texts):
        for tokens in model.tokenizer.encode(window):
            yield np.append(tokens.ids, end)


def gradient_squares(model: ReadsOn, texts: Iterable[str], segment: int) -> list[torch.Tensor]:
    """Mean squared gradients of the model's loss over segments at the beginning of the texts; it stays as it is."""
    wanted, ids = _SEGMENTS * segment, [np.array([model.tokenizer.end_id], dtype=np.int64)]
    for own in token_stream(model, texts):
        ids.append(own)
        wanted -= len(own)
        if wanted <= 0:
            break
    stream = np.concatenate(ids)[: _SEGMENTS * segment + 1]
    state: list[tuple[torch.Tensor, ...] | None] = [None]
    losses = (partial(_loss, model, stream[at : at + segment + 1], state) for at in range(0, len(stream) - 1, segment))
    with torch.enable_grad():
        return mean_squares(list(model.module.parameters()), losses)


def _loss(model: ReadsOn, part: np.ndarray, state: list[tuple[torch.Tensor, ...] | None]) -> torch.Tensor:
    logs, state[0] = model.read_on(part[:-1], state[0])
    return -logs.gather(1, torch.from_numpy(part[1:, None].astype(np.int64)).to(logs.device)).mean()


def _chosen(logs: torch.Tensor, ids: np.ndarray) -> np.ndarray:
    found: np.ndarray = logs.gather(1, torch.from_numpy(ids[:, None]).to(logs.device))[:, 0].double().cpu().numpy()
    return found
