"""Log-probabilities by a recurrent network: texts side by side or as one stream, in memory that no length moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from transferlm.models._recurrent_network import Network
from transferlm.models._scored_texts import Scored
from transferlm.neural.batching import by_length
from transferlm.neural.recurrence import State

__all__ = ["Scorer"]

_TOKENS = 4096
"""Tokens of one call of the recurrent layer: a call's cost is spread thin from 512 on, and memory stays small."""
_ROWS = 128
"""States whose softmax is computed together, so that logits stay near what caches hold."""


class Scorer:
    """Scores targets with a network, each text preceded by the end token; in fp32, so that probabilities sum to 1.

    Args:
        network: It is put into evaluation mode, and its weights are taken as they are now.
        end_id: The token that opens a text.
        prefix: What the tokenizer puts before a text: read, not predicted.
        states: Whether hidden states are kept, as the output layer reads them.
    """

    def __init__(self, network: Network, end_id: int, prefix: np.ndarray, states: bool = False) -> None:
        self.network, self.end_id, self.prefix = network.eval(), end_id, prefix
        self.device = next(network.parameters()).device
        self.state: State | None = None
        output = network.output
        self._table, self._bias = output.weight.detach().t().contiguous(), output.bias.detach()
        self._kept = len(self._table) if states else 0
        self._logits = torch.empty(_ROWS, self._table.shape[1], device=self.device)

    @torch.inference_mode()
    def alone(self, targets: Sequence[np.ndarray]) -> list[Scored]:
        """Each text on its own, texts of like length side by side.

        Args:
            targets: Token ids of each text, its end last.

        Returns:
            Each text's tokens.
        """
        first = len(self.prefix)
        lengths = np.array([first + len(ids) for ids in targets], dtype=np.int64)
        scored: dict[int, Scored] = {}
        for rows in by_length(lengths, tokens=_TOKENS):
            block = np.full((len(rows), 1 + lengths[rows].max()), self.end_id, dtype=np.int32)
            for place, row in enumerate(rows):
                block[place, 1 : 1 + lengths[row]] = np.concatenate([self.prefix, targets[row]])
            places = np.arange(block.shape[1] - 1)
            (logs, states), _ = self._scored(block, (places >= first) & (places < lengths[rows, None]), None)
            for place, row in enumerate(rows):
                own = slice(first, lengths[row])
                scored[int(row)] = Scored(logs[place, own].copy(), states[place, own].copy())
        return [scored[row] for row in range(len(targets))]

    @torch.inference_mode()
    def streamed(self, targets: Sequence[np.ndarray]) -> list[Scored]:
        """As `alone`, but the state goes on from text to text, and from one call to the next."""
        parts = [part for ids in targets for part in (self.prefix, ids)]
        stream = np.concatenate([[self.end_id], *parts])[None]
        predicted = np.concatenate([np.full(len(part), place % 2 == 1) for place, part in enumerate(parts)])
        (logs, states), self.state = self._scored(stream, predicted[None], self.state)
        own = Scored(logs[0, predicted], states[0, predicted])
        return own.split(np.cumsum([len(ids) for ids in targets])[:-1])

    def _scored(self, block: np.ndarray, predicted: np.ndarray, state: State | None) -> tuple[Scored, State | None]:
        """`block[:, 1:]` (texts, tokens) given what stands before, where it is predicted, and the last state."""
        width = block.shape[1] - 1
        logs = np.zeros((len(block), width))
        kept = np.zeros((len(block), width, self._kept), np.float32)
        step = max(1, _TOKENS // len(block))
        for start in range(0, width, step):
            stop = min(start + step, width)
            states, state = self.network.states(self._tensor(block[:, start:stop]), state)
            inside = predicted[:, start:stop]
            wanted = self._tensor(block[:, start + 1 : stop + 1][inside])
            outputs = self.network.outputs(states[torch.from_numpy(inside).to(self.device)])
            logs[:, start:stop][inside] = self._log_probs(outputs, wanted)
            kept[:, start:stop][inside] = outputs[:, : self._kept].cpu().numpy()
        return Scored(logs, kept), state

    def _log_probs(self, projected: torch.Tensor, wanted: torch.Tensor) -> np.ndarray:
        """Log-softmax at the wanted tokens, in one piece of memory: fresh pages for every chunk take twice the time."""
        parts = []
        for some, ids in zip(torch.split(projected, _ROWS), torch.split(wanted, _ROWS), strict=True):
            logits = torch.addmm(self._bias, some, self._table, out=self._logits[: len(some)])
            torch.log_softmax(logits, dim=1, out=logits)
            parts.append(logits.gather(1, ids[:, None])[:, 0])
        found: np.ndarray = torch.cat(parts).double().cpu().numpy()
        return found

    def _tensor(self, ids: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(ids.astype(np.int64)).to(self.device)
