"""Texts drawn from a causal Transformer, the keys and values of what was read kept from token to token."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import torch
from torch.nn import functional

from transferlm.models._key_value_reading import cache_name
from transferlm.models._sampling import HiddenContinuation, put_together
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["KeyValueContinuation"]


class KeyValueContinuation(HiddenContinuation):
    """A text of the tokens of a tokenizer, each read once.

    Where the text outgrows the window, its last half is read anew and goes on from there: positions can't be taken off
    the front of a cache, as each key knows its own.

    Args:
        module: Gives `logits` for `input_ids` and a cache; it is put into evaluation mode.
        tokenizer: Writes and reads its tokens.
        opening: Token ids that stand before every text.
        window: Most tokens that the module reads at once.
        prompt: How the text begins.
    """

    def __init__(self, module: Any, tokenizer: Tokenizer, opening: np.ndarray, window: int, prompt: str) -> None:
        self._module, self._tokenizer, self._prompt, self._window = module.eval(), tokenizer, prompt, window
        self._device = next(module.parameters()).device
        self._name = cache_name(module)
        self._ids = [*opening.tolist(), *tokenizer.encode_bare([prompt])[0].ids.tolist()]
        self._given = len(self._ids)
        self._start(self._ids[-window:])
        self.end_id = tokenizer.end_id
        beyond = np.arange(len(tokenizer), len(self._logits))
        silent = sorted(tokenizer.special_ids - {self.end_id})
        self.barred = np.concatenate([np.array(silent, np.int64), beyond])

    def log_probs(self) -> np.ndarray:
        """The distribution after the last token read."""
        row: np.ndarray = functional.log_softmax(self._logits.double(), dim=-1).cpu().numpy()
        return row

    def take(self, token: int) -> None:
        """Read one token more."""
        self._ids.append(token)
        if self._length == self._window:
            self._start(self._ids[-max(1, self._window // 2) :])
        else:
            self._read([token])

    def text(self) -> str:
        """The prompt and what the tokenizer writes for the tokens."""
        if self._tokenizer.separator:
            drawn = self._tokenizer.decode(self._ids[self._given :])
            return put_together(self._prompt, drawn, self._tokenizer.separator)
        # Decoded alone, what was drawn would lose the space that a SentencePiece token begins with.
        given, whole = (self._tokenizer.decode(ids) for ids in (self._ids[: self._given], self._ids))
        return self._prompt + whole[len(given) :]

    def fork(self) -> Self:
        """A twin with keys and values of its own."""
        twin = super().fork()
        twin._cache = copy.deepcopy(self._cache)
        return twin

    def _start(self, ids: list[int]) -> None:
        from transformers import DynamicCache

        self._cache: Any = DynamicCache(config=self._module.config)
        self._length = 0
        self._read(ids)

    @torch.inference_mode()
    def _read(self, ids: list[int]) -> None:
        given = torch.tensor([ids], device=self._device)
        asked = {self._name: self._cache, "use_cache": True, "output_hidden_states": True, "logits_to_keep": 1}
        found = self._module(input_ids=given, **asked)
        self._logits: torch.Tensor = found.logits[0, -1]
        self.hidden = found.hidden_states[-1][0].float().cpu().numpy()
        self._length += len(ids)
