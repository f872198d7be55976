"""Log-probabilities by a causal Transformer: long texts in strided windows, short ones side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from transferlm.models._causal import Window, strided_windows
from transferlm.models._next_token_loss import output_layer
from transferlm.models._scored_texts import Scored
from transferlm.neural.batching import by_length

__all__ = ["WindowScorer"]

_TOKENS = 4096
"""Tokens that pass through the body together: more take more memory and save no time on two cores."""
_ENOUGH = 512
"""Tokens that keep a processor's products busy: beyond them padding costs what it takes."""
_LOGITS = 1 << 26
"""Most logits at once, 256 MB, of a body whose scores are more than one layer's: they bound the tokens above."""
_ROWS = 256
"""Positions whose softmax is computed together, so that its intermediate results stay near what caches hold."""


class _Job(NamedTuple):
    """A window of one of several sequences."""

    sequence: int
    window: Window


class WindowScorer:
    """Scores each token of a sequence given those before it, as many of them as the model reads at once.

    A window further on than the first begins half its length before the first token that it scores, so that every token
    has at least that much context (Press, Smith & Lewis 2021). In fp32, so that probabilities sum to 1. Windows are
    padded on the right: no position looks at what stands after it, so padding needs no mask and moves no score.

    Args:
        module: Gives `logits` for `input_ids`; it is put into evaluation mode.
        window: Most tokens that it reads at once.
        opening: Token ids, one or more, that stand before a text.
        prefix: The same, save that none stand before a text that follows another one's end token.
        states: Whether the top layer's states are kept.
    """

    def __init__(self, module: Any, window: int, opening: np.ndarray, prefix: np.ndarray, states: bool = False) -> None:
        self.module, self.window, self.opening, self.prefix = module.eval(), window, opening, prefix
        self.device = next(module.parameters()).device
        sizes = module.config.get_text_config()
        self._layer = output_layer(module)
        self.tokens = max(window, min(_TOKENS, _LOGITS // (sizes.vocab_size if self._layer is None else 1)))
        self._enough = _ENOUGH if self.device.type == "cpu" else None
        self._kept = sizes.hidden_size if states else 0
        self.context: np.ndarray | None = None

    def alone(self, targets: Sequence[np.ndarray]) -> list[Scored]:
        """Each text on its own.

        Args:
            targets: Token ids of each text, its end last.

        Returns:
            Each text's tokens.
        """
        found = self._scored([np.concatenate([self.opening, ids]) for ids in targets], done=0)
        return [scored.split([len(self.opening) - 1])[1] for scored in found]

    def streamed(self, targets: Sequence[np.ndarray]) -> list[Scored]:
        """As `alone`, but after all texts before, those of earlier calls too, as far back as the window reaches."""
        parts = [part for ids in targets for part in (self.prefix, ids)]
        if self.context is None:
            self.context, parts[0] = self.opening[:1], self.prefix[1:]
        known = len(self.context) - 1
        whole = np.concatenate([self.context, *parts])
        self.context = whole[-self.window :]
        found = self._scored([whole], done=known)[0].split([known])[1]
        return found.split(np.cumsum([len(part) for part in parts])[:-1])[1::2]

    @torch.inference_mode()
    def _scored(self, sequences: Sequence[np.ndarray], done: int) -> list[Scored]:
        scored = [Scored(np.zeros(len(ids) - 1), np.zeros((len(ids) - 1, self._kept), np.float32)) for ids in sequences]
        jobs = [
            _Job(number, window)
            for number, ids in enumerate(sequences)
            for window in strided_windows(len(ids) - 1, self.window, done=done)
        ]
        lengths = np.array([job.window.stop - job.window.start for job in jobs], dtype=np.int64)
        for rows in by_length(lengths, tokens=self.tokens, enough=self._enough):
            batch = [jobs[row] for row in rows]
            block = np.zeros((len(batch), lengths[rows].max()), dtype=np.int64)
            wanted = np.full(block.shape, -1, dtype=np.int64)
            for row, (number, (start, first, stop)) in enumerate(batch):
                block[row, : stop - start] = sequences[number][start:stop]
                wanted[row, first - start : stop - start] = sequences[number][first + 1 : stop + 1]
            places = np.cumsum([job.window.stop - job.window.scored for job in batch])[:-1]
            for (number, (_, first, stop)), part in zip(batch, self._read(block, wanted).split(places), strict=True):
                scored[number].log_probs[first:stop], scored[number].states[first:stop] = part
        return scored

    def _read(self, block: np.ndarray, wanted: np.ndarray) -> Scored:
        """The places where `wanted` names a token after the one in `block`, row by row."""
        given = torch.from_numpy(block).to(self.device)
        reader = self.module if self._layer is None else self.module.base_model
        # A body gives its last states anyway; a whole module tells them among those of all layers.
        told = self._kept > 0 and self._layer is None
        read = reader(input_ids=given, use_cache=False, output_hidden_states=told)
        inside = torch.from_numpy(np.flatnonzero(wanted >= 0)).to(self.device)
        ids = torch.from_numpy(wanted[wanted >= 0]).to(self.device)
        states = np.zeros((len(ids), 0), np.float32)
        if self._kept:
            last = read.hidden_states[-1] if told else read.last_hidden_state
            states = last.flatten(0, 1)[inside].float().cpu().numpy()
        scoring = read.logits if self._layer is None else read.last_hidden_state
        return Scored(self._log_probs(scoring.flatten(0, 1), inside, ids), states)

    def _log_probs(self, flat: torch.Tensor, inside: torch.Tensor, ids: torch.Tensor) -> np.ndarray:
        """Log-softmax of the scores in these rows, or of the layer's scores of them, at the tokens wanted: float64."""
        parts = []
        for places, own in zip(torch.split(inside, _ROWS), torch.split(ids, _ROWS), strict=True):
            rows = flat[places] if self._layer is None else self._layer(flat[places])
            parts.append(torch.log_softmax(rows.float(), dim=1).gather(1, own[:, None])[:, 0])
        found: np.ndarray = torch.cat(parts).double().cpu().numpy()
        return found
