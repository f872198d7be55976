"""Asking a model for what a method needs of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from transferlm import catalog
from transferlm.errors import UnsupportedError
from transferlm.models._contract.model import Model

__all__ = ["able", "require"]

C = TypeVar("C")


_PLAIN = {
    "AutomatonScored": "scored by a back-off automaton",
    "Causal": "a causal language model",
    "Compilable": "an encoder of BERT's kind",
    "CountBased": "made from n-gram counts",
    "Encoder": "an encoder of texts",
    "Exportable": "made of n-grams that can be listed",
    "FromScratch": "known before any data",
    "GradientTrained": "trained by gradients",
    "GrowingTokens": "trained by gradients and able to take in tokens",
    "GrowingVectors": "made of word vectors that take in new words",
    "Pretrainable": "trained on text by gradients",
    "HiddenStates": "causal and able to tell the state behind each prediction",
    "LinearLayers": "made of layers with matrices of their own",
    "Masked": "filling in hidden tokens",
    "ReadsOn": "causal, trained by gradients, and able to read on from a state",
    "SelfSupervised": "learning from plain text by a loss of its own",
    "Trainable": "trainable on text",
    "WordVectors": "made of word vectors",
}


def require(model: Model, capabilities: Sequence[type], method: str) -> None:
    """Check that `model` has the capabilities that `method` needs.

    Raises:
        UnsupportedError: One is missing; the message names the families that have them all, and says why it is.
    """
    missing = [capability for capability in capabilities if not isinstance(model, capability)]
    if not missing:
        return
    able = [
        name
        for name in catalog.entries("models")
        if all(issubclass(catalog.find("models", name), c) for c in capabilities)
    ]
    wants = " and ".join(_PLAIN.get(c.__name__, c.__name__) for c in missing)
    why = "".join(f" ({model.without[c]})" for c in missing if c in model.without)
    raise UnsupportedError(
        f"{method} needs a model that is {wants}, which {model.family} is not{why}; it works with: {', '.join(able)}"
    )


def able(model: Model, capability: type[C], method: str) -> C:
    """The model as one that has the capability, checked (see `require`)."""
    require(model, (capability,), method)
    assert isinstance(model, capability)
    return model
