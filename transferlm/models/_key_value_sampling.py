"""Texts drawn from a causal Transformer, the keys and values of what was read kept from token to token."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from transferlm.models._key_value_reading import cache_name
from transferlm.models._sampling import HiddenContinuation, put_together
from transferlm.models._side_by_side import SideBySide
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["KeyValueContinuation", "KeyValueTexts"]


class KeyValueTexts(SideBySide):
    """Texts of the tokens of a tokenizer after one prompt, each token read once and those of all texts together.

    All are equally long, so that nothing is padded. Where they outgrow the window, their last halves are read anew and
    go on from there: positions can't be taken off the front of a cache, as each key knows its own. What was taken is
    read when it is asked what comes next, and so never after a last token.

    Args:
        module: Gives `logits` for `input_ids` and a cache; it is put into evaluation mode.
        tokenizer: Writes and reads its tokens.
        opening: Token ids that stand before every text.
        window: Most tokens that the module reads at once.
        prompt: How the texts begin.
        count: Texts.
        states: Whether the top layer's states are told.
    """

    def __init__(
        self,
        module: Any,
        tokenizer: Tokenizer,
        opening: np.ndarray,
        window: int,
        prompt: str,
        count: int = 1,
        states: bool = False,
    ) -> None:
        self._module, self._tokenizer, self._prompt, self._window = module.eval(), tokenizer, prompt, window
        self._device = next(module.parameters()).device
        self._name = cache_name(module)
        given = [*opening.tolist(), *tokenizer.encode_bare([prompt])[0].ids.tolist()]
        self._given, self.ids = len(given), [given] * count
        self._cache: Any = None
        self._logits = self._states = torch.empty(0)
        self.read, self._pending = 0, False
        self._tells, self.end_id = states, tokenizer.end_id
        rows = module.get_output_embeddings().weight.shape[0]
        silent = sorted(tokenizer.special_ids - {self.end_id})
        self.barred = np.concatenate([np.array(silent, np.int64), np.arange(len(tokenizer), rows)])

    def log_probs(self) -> np.ndarray:
        """The distribution after each text, rounded as fp32 is."""
        logs: np.ndarray = self.logits().log_softmax(dim=-1).cpu().double().numpy()
        return logs

    def logits(self) -> torch.Tensor:
        """Scores after each text: float32 of shape (texts, vocabulary)."""
        self._advance()
        return self._logits.float()

    def take(self, rows: Sequence[int], tokens: Sequence[int]) -> None:
        """Each goes on; keys and values are moved where the texts change places."""
        self._advance()
        if list(rows) != list(range(len(self.ids))):
            self._cache.batch_select_indices(torch.tensor(rows, device=self._device))
        self.ids = [[*self.ids[row], token] for row, token in zip(rows, tokens, strict=True)]
        self._pending = True

    def text(self, row: int) -> str:
        """The prompt and what the tokenizer writes for the tokens."""
        ids = self.ids[row]
        if self._tokenizer.separator:
            return put_together(self._prompt, self._tokenizer.decode(ids[self._given :]), self._tokenizer.separator)
        # Decoded alone, what was drawn would lose the space that a SentencePiece token begins with.
        given, whole = (self._tokenizer.decode(part) for part in (ids[: self._given], ids))
        return self._prompt + whole[len(given) :]

    def copy(self) -> Self:
        """The same texts with keys and values of their own."""
        twin = copy.copy(self)
        twin._cache = copy.deepcopy(self._cache)
        return twin

    def read_states(self) -> np.ndarray:
        """The top layer's states after the tokens of the first text that were read last: float32 (tokens, width)."""
        self._advance()
        found: np.ndarray = self._states[0].float().cpu().numpy()
        return found

    def _advance(self) -> None:
        """Read what was taken, or the prompt once for all texts."""
        if not self.read:
            self._start([self.ids[0][-self._window :]])
            self._cache.batch_repeat_interleave(len(self.ids))
            self._logits = self._logits.expand(len(self.ids), -1)
        elif self._pending:
            if self.read == self._window:
                self._start([ids[-max(1, self._window // 2) :] for ids in self.ids])
            else:
                self._read([ids[-1:] for ids in self.ids])

    def _start(self, rows: Sequence[Sequence[int]]) -> None:
        from transformers import DynamicCache

        self._cache = DynamicCache(config=self._module.config)
        self.read = 0
        self._read(rows)

    @torch.inference_mode()
    def _read(self, rows: Sequence[Sequence[int]]) -> None:
        given = torch.tensor(rows, device=self._device)
        asked = {self._name: self._cache, "use_cache": True, "logits_to_keep": 1, "output_hidden_states": self._tells}
        found = self._module(input_ids=given, **asked)
        self._logits = found.logits[:, -1]
        self._states = found.hidden_states[-1] if self._tells else self._states
        self.read += given.shape[1]
        self._pending = False


class KeyValueContinuation(HiddenContinuation):
    """The only one of such texts, and its states."""

    def __init__(self, texts: KeyValueTexts) -> None:
        self.texts, self.end_id, self.barred = texts, texts.end_id, texts.barred
        self.hidden = texts.read_states()

    def log_probs(self) -> np.ndarray:
        """The distribution after the last token read."""
        row: np.ndarray = self.texts.log_probs()[0]
        return row

    def take(self, token: int) -> None:
        """Read one token more."""
        self.texts.take([0], [token])
        self.hidden = self.texts.read_states()

    def text(self) -> str:
        """The prompt and what was taken."""
        return self.texts.text(0)

    def fork(self) -> Self:
        """A twin with keys and values of its own."""
        twin = super().fork()
        twin.texts = self.texts.copy()
        return twin
