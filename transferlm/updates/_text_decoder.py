"""A small Transformer that rebuilds a text from one vector (the decoder of TSDAE, Wang et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from transferlm.neural.batching import Batch

__all__ = ["TextDecoder"]


class TextDecoder(nn.Module):
    """Reads the text so far and, by cross attention, the one vector; its input and output table is the encoder's.

    Args:
        width: Of the vector.
        table: The encoder's embedding; only its shape is read here, its weights are given to `loss`.
        layers: Decoder layers.
    """

    def __init__(self, width: int, table: nn.Embedding, layers: int) -> None:
        super().__init__()
        inner = table.embedding_dim
        self.memory = nn.Linear(width, inner)
        self.input_norm, self.output_norm = nn.LayerNorm(inner), nn.LayerNorm(inner)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                inner, _heads(inner), 4 * inner, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.dense = nn.Linear(inner, inner)
        self.bias = nn.Parameter(torch.zeros(table.num_embeddings))

    def loss(self, vectors: torch.Tensor, batch: Batch, table: torch.Tensor) -> torch.Tensor:
        """Mean nats a token of rebuilding the texts, each token from those before it and the vector.

        Args:
            vectors: Shape (texts, width).
            batch: The texts; their first token is given, the others are predicted.
            table: The embedding weights, shape (tokens, embedding width).
        """
        inputs, targets = batch.ids[:, :-1], batch.ids[:, 1:]
        states = self.input_norm(functional.embedding(inputs, table)) + _positions(inputs.shape[1], table)
        memory = self.memory(vectors).unsqueeze(1)
        mask = nn.Transformer.generate_square_subsequent_mask(inputs.shape[1], device=inputs.device)
        for layer in self.layers:
            states = layer(states, memory, tgt_mask=mask, tgt_is_causal=True)
        there = batch.mask[:, 1:] if batch.mask is not None else torch.ones_like(targets, dtype=torch.bool)
        # Between two uses of one table a layer is needed: without it each token would predict itself at first.
        found = self.output_norm(functional.gelu(self.dense(states[there])))
        scores = functional.linear(found, table, self.bias)
        return functional.cross_entropy(scores.float(), targets[there], reduction="sum") / max(1, int(there.sum()))


def _heads(width: int) -> int:
    """As many attention heads as leave each 32 dimensions or more."""
    return next(heads for heads in (12, 8, 6, 4, 2, 1) if width % heads == 0 and (width >= 32 * heads or heads == 1))


def _positions(length: int, like: torch.Tensor) -> torch.Tensor:
    """Sinusoids (Vaswani et al. 2017, section 3.5): shape (length, width)."""
    width = like.shape[1]
    places = torch.arange(length, device=like.device, dtype=torch.float32)[:, None]
    speeds = torch.exp(torch.arange(0, width, 2, device=like.device) * (-math.log(10_000) / width))
    angles = places * speeds
    found = torch.zeros(length, width, device=like.device)
    found[:, 0::2], found[:, 1::2] = angles.sin(), angles.cos()[:, : width // 2]
    return found
