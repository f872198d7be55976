"""Reading on with a causal Transformer: keys and values of what was read are the state that is handed over."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch

from transferlm.models.base import ReadOn

__all__ = ["cache_name", "read_on"]

State = tuple[torch.Tensor, ...]
"""The ids (tokens,) whose keys and values are held, then each layer's keys and values."""


def read_on(module: Any, window: int, ids: np.ndarray, state: State | None) -> ReadOn:
    """Read tokens after those that the state holds, with gradients where they are asked for; none go back into it.

    Keys and values are those that the weights of their time gave (as in Krause et al. 2019, over a Transformer-XL). A
    full window's second half is read anew and goes on, as positions can't be taken off its front: each token has the
    context that it has in a stream of strided windows (where the last one, cut short, reaches back further).

    Args:
        module: Gives `logits` for `input_ids` and a cache; it is put into evaluation mode.
        window: Most tokens that the module reads at once.
        ids: Token ids, shape (tokens,).
        state: What the tokens before left.
    """
    module.eval()
    given = torch.from_numpy(ids.astype(np.int64)).to(next(module.parameters()).device)
    parts: list[ReadOn] = []
    while len(given):
        held = 0 if state is None else len(state[0])
        if held == window:
            state = _second_half(module, window, state)
            held = 0 if state is None else len(state[0])
        part = _read(module, given[: window - held], state)
        given, state = given[window - held :], part.state
        parts.append(part)
    logs, hidden = (torch.cat(pieces) for pieces in list(zip(*parts, strict=True))[:2])
    return ReadOn(logs, hidden, parts[-1].state)


def cache_name(module: Any) -> str:
    """What the module calls its keys and values: `transformers` has called them the one and the other."""
    return "cache" if "cache" in inspect.signature(module.forward).parameters else "past_key_values"


@torch.no_grad()
def _second_half(module: Any, window: int, state: State | None) -> State | None:
    assert state is not None
    kept = window - max(1, window // 2)
    return _read(module, state[0][window - kept :], None).state if kept else None


def _read(module: Any, ids: torch.Tensor, state: State | None) -> ReadOn:
    from transformers import DynamicCache

    # Of whole layers: what is cut to a sliding window could not be taken apart and put together again.
    cache: Any = DynamicCache()
    held, *layers = state or (ids[:0],)
    for number, pair in enumerate(zip(layers[::2], layers[1::2], strict=True)):
        cache.update(*pair, number)
    asked = {cache_name(module): cache, "use_cache": True, "output_hidden_states": True}
    read = module(input_ids=ids[None], **asked)
    left = [tensor.detach() for layer in cache.layers for tensor in (layer.keys, layer.values)]
    logs = torch.log_softmax(read.logits[0].float(), dim=-1)
    return ReadOn(logs, read.hidden_states[-1][0].detach().float(), (torch.cat([held, ids]), *left))
