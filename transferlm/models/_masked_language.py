"""Masked language modelling: the head that fills in hidden tokens, and a corpus with tokens hidden in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn import functional

from transferlm.errors import DataError, ModelFolderError
from transferlm.neural.batching import EpochBatch, by_length, collate, epoch_batches
from transferlm.neural.processes import Share
from transferlm.neural.readout import Readout
from transferlm.seeding import derive
from transferlm.text.token_rows import TokenRows

__all__ = ["MaskedHead", "MaskedReader", "hide", "published_head"]

HIDDEN = 0.15
"""Share of a text's tokens that are predicted (Devlin et al. 2019, section 3.1)."""


class MaskedHead(nn.Module):
    """BERT's masked-LM head: dense, GELU, layer norm, then the embedding table as output, with a bias a token.

    Shapes: states (..., width) and a table (tokens, embedding width) give scores (..., tokens).
    """

    def __init__(self, width: int, embedding_width: int, tokens: int, epsilon: float = 1e-12, seed: int = 0) -> None:
        super().__init__()
        self.dense = nn.Linear(width, embedding_width)
        self.norm = nn.LayerNorm(embedding_width, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(tokens))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.dense.weight.normal_(0.0, 0.02, generator=generator)
            self.dense.bias.zero_()

    def forward(self, states: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Scores of every token at each of the states."""
        return functional.linear(self.norm(functional.gelu(self.dense(states))), table, self.bias)


_PUBLISHED = (
    ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions", "decoder"),
    ("lm_head.dense", "lm_head.layer_norm", "lm_head", "decoder"),
    ("vocab_transform", "vocab_layer_norm", "vocab_projector", ""),
)
"""Names of dense, layer norm, and what holds the bias and perhaps an output table: BERT, RoBERTa's kin, DistilBERT."""


def published_head(weights: Path, head: MaskedHead, table: torch.Tensor) -> bool:
    """Fill `head` from the masked-LM head in a Hugging Face weight file, if there is one that is tied to the table.

    Raises:
        ModelFolderError: The file can't be read.
    """
    try:
        with safe_open(weights, framework="pt", device="cpu") as opened:
            names = set(opened.keys())
            for dense, norm, output, inner in _PUBLISHED:
                sources = {
                    "dense.weight": [f"{dense}.weight"],
                    "dense.bias": [f"{dense}.bias"],
                    "norm.weight": [f"{norm}.weight", f"{norm}.gamma"],
                    "norm.bias": [f"{norm}.bias", f"{norm}.beta"],
                    "bias": [f"{output}.bias", f"{output}.{inner}.bias"],
                }
                found = {own: next((n for n in theirs if n in names), None) for own, theirs in sources.items()}
                if None in found.values():
                    continue
                tensors = {own: opened.get_tensor(name).float() for own, name in found.items()}
                own_table = f"{output}.{inner}.weight" if inner else f"{output}.weight"
                tied = own_table not in names or torch.equal(opened.get_tensor(own_table).float(), table.cpu())
                fits = all(tensors[name].shape == tensor.shape for name, tensor in head.state_dict().items())
                if tied and fits:
                    head.load_state_dict(tensors)
                    return True
    except (SafetensorError, OSError) as error:
        raise ModelFolderError(f"{weights} can't be read ({error}): copy the folder again") from None
    return False


@dataclass(frozen=True)
class Hideable:
    """What hiding needs to know of a tokenizer.

    Attributes:
        mask_id: The token that hides another.
        pad_id: Fills short rows.
        ordinary: Booleans of shape (tokens,): True for those that stand for text, which can be hidden and drawn.
    """

    mask_id: int
    pad_id: int
    ordinary: np.ndarray


def hide(
    rows: Sequence[np.ndarray], vocabulary: Hideable, draw: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Hide 15% of each row's ordinary tokens: 80% become the mask, 10% a random token, 10% stay (Devlin et al. 2019).

    Args:
        rows: Token ids of each text.
        vocabulary: Which tokens can be hidden.
        draw: The source of the choice.

    Returns:
        The rows with tokens hidden, and for each the places that are to be predicted (none in a row without any
        ordinary token).
    """
    choices = np.flatnonzero(vocabulary.ordinary)
    hidden, places = [], []
    for row in rows:
        ids = row.copy()
        possible = np.flatnonzero(vocabulary.ordinary[row])
        count = min(len(possible), max(1, round(HIDDEN * len(possible))))
        chosen = np.sort(draw.choice(possible, count, replace=False))
        fate = draw.random(count)
        ids[chosen[fate < 0.8]] = vocabulary.mask_id
        replaced = chosen[(fate >= 0.8) & (fate < 0.9)]
        ids[replaced] = draw.choice(choices, len(replaced))
        hidden.append(ids)
        places.append(chosen)
    return hidden, places


class _Body(Protocol):
    module: Any

    @property
    def embedding(self) -> nn.Embedding: ...


class MaskedReader:
    """A corpus with tokens hidden anew in every epoch (Liu et al. 2019, section 4.1), and the loss of filling them in.

    Order and masks depend on the seed and the epoch alone, so an interrupted run goes on to the same bits.

    Args:
        body: Gives token states.
        head: Turns them into scores.
        rows: Token ids of every text.
        vocabulary: Which tokens can be hidden.
        batch_size: Texts a step.
        seed: Decides order and masks.
    """

    learning_rate = 5e-5

    def __init__(
        self,
        body: _Body,
        head: MaskedHead,
        rows: TokenRows,
        vocabulary: Hideable,
        batch_size: int,
        seed: int,
    ) -> None:
        self.body, self.head, self.rows, self.vocabulary = body, head, rows, vocabulary
        self.batch_size, self.seed = batch_size, seed
        self.module: nn.Module = nn.ModuleList([body.module, head])
        self.device = head.bias.device
        self._share = Share()

    def batches(self, epoch: int) -> Sequence[EpochBatch]:
        """Texts of like length together, in a new order each epoch."""
        return epoch_batches(self.rows.lengths, self.batch_size, epoch, self.seed)

    def tokens(self, batch: EpochBatch) -> int:
        """Tokens that the batch reads."""
        return int(self.rows.lengths[batch.rows].sum())

    def loss(self, batch: EpochBatch) -> torch.Tensor:
        """Mean nats a hidden token."""
        total, count = self._total(batch.rows, derive(self.seed, "masks", batch.epoch, batch.place))
        return total * (self._share.processes / max(1, count))

    def share(self, process: int, processes: int) -> None:
        """From here on `loss` is that of a share of each batch's texts."""
        self._share = Share.of_batches(process, processes, self.batch_size)

    def mean_loss(self) -> float:
        """Mean nats a hidden token over the corpus, under masks that the seed fixes: no perplexity, but comparable.

        Raises:
            DataError: No text holds a token that can be hidden.
        """
        whole, tokens = 0.0, 0
        for place, rows in enumerate(by_length(self.rows.lengths)):
            total, count = self._total(rows, derive(self.seed, "masks", "held out", place))
            whole, tokens = whole + float(total), tokens + count
        if not tokens:
            raise DataError("the corpus holds no token that could be hidden: every one is unknown to the tokenizer")
        return whole / tokens

    def carried(self) -> dict[str, torch.Tensor]:
        """Nothing: each batch stands alone."""
        return {}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Nothing to go on from."""

    def readout(self, batch: EpochBatch) -> Readout:
        """What a batch predicts: its hidden tokens."""
        return self._hidden(batch.rows, derive(self.seed, "masks", batch.epoch, batch.place))[0]

    def _total(self, rows: np.ndarray, seed: int) -> tuple[torch.Tensor, int]:
        """Nats of the hidden tokens of one's share of these rows, and how many are hidden in all of them."""
        found, count = self._hidden(rows, seed)
        if not len(found.targets):
            return torch.zeros((), device=self.device), count
        return functional.cross_entropy(found.score(found.states).float(), found.targets, reduction="sum"), count

    def _hidden(self, rows: np.ndarray, seed: int) -> tuple[Readout, int]:
        """The hidden tokens of one's share of these rows, and how many are hidden in all of them."""
        texts = [np.asarray(self.rows[row]) for row in rows]
        hidden, places = hide(texts, self.vocabulary, np.random.default_rng(seed))
        count, table = sum(map(len, places)), self.body.embedding.weight
        texts, hidden, places = (self._share.of(part) for part in (texts, hidden, places))
        if not hidden:
            nothing = torch.zeros(0, dtype=torch.int64, device=self.device)
            return Readout(table[:0], self._score, nothing, len(table)), count
        batch = collate(hidden, np.arange(len(hidden)), self.vocabulary.pad_id, self.device)
        states = self.body.module(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
        which = np.repeat(np.arange(len(places)), [len(chosen) for chosen in places])
        where = np.concatenate(places)
        wanted = np.concatenate([text[chosen] for text, chosen in zip(texts, places, strict=True)]).astype(np.int64)
        # Scores are computed where a token is hidden and nowhere else: a seventh of the widest product there is.
        chosen_states = states[torch.from_numpy(which).to(self.device), torch.from_numpy(where).to(self.device)]
        return Readout(chosen_states, self._score, torch.from_numpy(wanted).to(self.device), len(table)), count

    def _score(self, states: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(states, self.body.embedding.weight)
        return scores
