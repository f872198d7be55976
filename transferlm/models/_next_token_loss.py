"""Cross entropy of each next token by a causal Transformer, without a table of scores where its output is one layer."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn import functional

from transferlm.errors import SettingError
from transferlm.neural.readout import Readout
from transferlm.neural.row_gradients import looked_up_sparsely
from transferlm.neural.sampled_softmax import SampledLoss
from transferlm.neural.vocabulary_loss import VocabularyLoss

__all__ = ["NextTokenLoss", "output_layer"]

_KNOWN: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Whether a module's scores are those of its output layer: two passes tell, and they are taken once."""


class NextTokenLoss:
    """Mean nats a token; the scores of a step over the vocabulary, larger than all else, are never there at once.

    Most bodies score tokens by one linear layer over their last states. Some scale or cap its scores (Cohere's, Gemma
    2's): what a module does is seen from what it gives for two tokens, and where it does more its own scores are taken.

    Args:
        module: Gives `logits` for `input_ids`.
        refuse: Whether to refuse a module that does more, as a sampled loss can't follow it.

    Raises:
        SettingError: It does more, and is refused.
    """

    def __init__(self, module: Any, refuse: bool = False) -> None:
        self._module, self._layer = module, output_layer(module)
        self._cross_entropy = VocabularyLoss()
        if refuse and self._layer is None:
            kind = type(module).__name__
            raise SettingError(f"{kind} does more to its scores than its output layer does: choose the full softmax")

    def __call__(self, ids: torch.Tensor, targets: torch.Tensor, sampled: SampledLoss | None = None) -> torch.Tensor:
        """Mean nats of the tokens that follow.

        Args:
            ids: int64 of shape (texts, tokens).
            targets: The token after each: the same shape.
            sampled: What estimates them from a sample, or None for the exact ones.
        """
        with nullcontext() if sampled is None else looked_up_sparsely(self._module.get_input_embeddings()):
            found = self.readout(ids, targets)
        if self._layer is None:
            return functional.cross_entropy(found.states.float(), found.targets)
        return (sampled or self._cross_entropy)(found.states, self._layer.weight, self._layer.bias, found.targets)

    def readout(self, ids: torch.Tensor, targets: torch.Tensor) -> Readout:
        """What predicts the tokens that follow; where no layer alone scores them, their scores stand for states."""
        if self._layer is None:
            logits = self._module(input_ids=ids, use_cache=False).logits.flatten(0, 1)
            return Readout(logits, _as_they_are, targets.flatten(), logits.shape[1])
        states = self._module.base_model(input_ids=ids, use_cache=False).last_hidden_state
        return Readout(states.flatten(0, 1), self._layer, targets.flatten(), self._layer.out_features)


def _as_they_are(logits: torch.Tensor) -> torch.Tensor:
    return logits


def output_layer(module: Any) -> nn.Linear | None:
    """The layer whose scores of the body's last states are the module's own, if there is one."""
    body = getattr(module, "base_model", module)
    layer = None if body is module else module.get_output_embeddings()
    if type(layer) is not nn.Linear:
        return None
    if module not in _KNOWN:
        _KNOWN[module] = _scores_by(module, layer)
    return layer if _KNOWN[module] else None


@torch.inference_mode()
def _scores_by(module: Any, layer: nn.Linear) -> bool:
    training = module.training
    module.eval()
    ids = torch.arange(2, device=layer.weight.device)[None]
    wanted = module(input_ids=ids, use_cache=False).logits
    found = layer(module.base_model(input_ids=ids, use_cache=False).last_hidden_state)
    module.train(training)
    return torch.allclose(wanted, found, rtol=1e-5, atol=1e-5)
