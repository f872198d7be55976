"""The network of a recurrent language model: embedding, recurrent layers, output over the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from transferlm.neural.dropout import dropped
from transferlm.neural.recurrence import Cell, Dropouts, Recurrence, State

__all__ = ["Network"]


_PIECE = 4096
"""Tokens whose states are worked out together, so that memory does not grow with a text."""


class Network(nn.Module):
    """Embedding, recurrent layers, and the output over the vocabulary.

    Args:
        tokens: Size of the vocabulary.
        cell: Kind of recurrent cell.
        widths: Of the embedding, then of each layer; where the last differs from the first, states are projected.
        tied: Whether input and output share one table.
        dropouts: What is left out while training.
    """

    def __init__(self, tokens: int, cell: Cell, widths: Sequence[int], tied: bool, dropouts: Dropouts) -> None:
        super().__init__()
        embedding_width, top = widths[0], widths[-1]
        self.word_dropout = dropouts.words
        self.input_dropout, self.output_dropout = dropouts.layer(dropouts.inputs), dropouts.layer(dropouts.outputs)
        self.embedding = nn.Embedding(tokens, embedding_width)
        self.layers = Recurrence(cell, widths, dropouts)
        self.projection = nn.Identity() if top == embedding_width else nn.Linear(top, embedding_width)
        self.output = nn.Linear(embedding_width, tokens)
        bound = embedding_width**-0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        nn.init.zeros_(self.output.bias)
        if tied:
            self.output.weight = self.embedding.weight

    @torch.no_grad()
    def begin_at(self, log_frequencies: torch.Tensor) -> None:
        """Predict each token, before anything is learnt, as often as the text has it: shape (vocabulary,)."""
        self.output.bias.copy_(log_frequencies)

    def states(self, ids: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        """Top-layer states (texts, tokens, width) and the state to go on from."""
        vectors = self.input_dropout(self._without_words(self.embedding(ids), ids))
        found: tuple[torch.Tensor, State] = self.layers(vectors, state)
        return found

    def in_pieces(self, ids: torch.Tensor, state: State | None = None) -> Iterator[tuple[torch.Tensor, State]]:
        """As `states`, but a few thousand tokens at a time."""
        for piece in torch.split(ids, _PIECE, dim=1):
            states, state = self.states(piece, state)
            yield states, state

    def outputs(self, states: torch.Tensor) -> torch.Tensor:
        """States as the output layer reads them, shape (..., embedding width)."""
        outputs: torch.Tensor = self.output_dropout(self.projection(states))
        return outputs

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Scores of the next token, shape (..., vocabulary)."""
        scores: torch.Tensor = self.output(self.outputs(states))
        return scores

    def _without_words(self, vectors: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """The vectors (texts, tokens, width) with a share of the vocabulary left out, whichever tokens those are."""
        if not self.training or not self.word_dropout:
            return vectors
        kept = dropped(vectors.new_ones(self.embedding.num_embeddings), self.word_dropout)
        return vectors * kept[ids].unsqueeze(-1)
