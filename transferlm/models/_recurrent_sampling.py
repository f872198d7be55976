"""Texts drawn from a recurrent network, its state carried from token to token."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from transferlm.models._recurrent_network import Network
from transferlm.models._sampling import HiddenContinuation, put_together
from transferlm.neural.recurrence import State
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["StateContinuation"]


class StateContinuation(HiddenContinuation):
    """A text of the tokens of a tokenizer, after the end token that opens every text.

    Args:
        network: It is put into evaluation mode.
        tokenizer: Writes and reads its tokens.
        prompt: How the text begins.
    """

    def __init__(self, network: Network, tokenizer: Tokenizer, prompt: str) -> None:
        self._network, self._tokenizer, self._prompt = network.eval(), tokenizer, prompt
        self._device = next(network.parameters()).device
        self._state: State | None = None
        self._drawn: list[int] = []
        self.end_id = tokenizer.end_id
        self.barred = np.array(sorted(tokenizer.special_ids - {self.end_id}), np.int64)
        self._read([self.end_id, *tokenizer.prefix.tolist(), *tokenizer.encode_bare([prompt])[0].ids.tolist()])

    def log_probs(self) -> np.ndarray:
        """The distribution after the last token read."""
        row: np.ndarray = functional.log_softmax(self._logits.double(), dim=-1).cpu().numpy()
        return row

    def take(self, token: int) -> None:
        """Read one token more."""
        self._drawn.append(token)
        self._read([token])

    def text(self) -> str:
        """The prompt and what the tokenizer writes for the tokens."""
        return put_together(self._prompt, self._tokenizer.decode(self._drawn), self._tokenizer.separator)

    @torch.inference_mode()
    def _read(self, ids: list[int]) -> None:
        found, given = [], torch.tensor([ids], device=self._device)
        for states, state in self._network.in_pieces(given, self._state):
            self._state = state
            outputs = self._network.outputs(states[0])
            found.append(outputs.cpu().numpy())
        self.hidden = np.concatenate(found)
        self._logits: torch.Tensor = self._network.output(outputs[-1])
