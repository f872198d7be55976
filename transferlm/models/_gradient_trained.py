"""What every gradient-trained encoder shares: encoding in batches of like length, and a digest of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import nn

from transferlm.models.base import Encoding
from transferlm.neural.batching import Batch, by_length, collate
from transferlm.neural.precision import Precision, autocast
from transferlm.progress import Progress
from transferlm.text.tokenizers.base import Tokens, share_read

__all__ = ["encode_in_batches", "weights_digest"]


class _Encodes(Protocol):
    @property
    def module(self) -> nn.Module: ...
    @property
    def pad_id(self) -> int: ...
    def tokenize(self, texts: Sequence[str]) -> list[Tokens]: ...
    def text_states(self, batch: Batch) -> torch.Tensor: ...


def encode_in_batches(model: _Encodes, texts: Sequence[str], width: int, precision: Precision = "auto") -> Encoding:
    """Run `text_states` without gradients over batches of like length and put the rows back in order."""
    tokens = model.tokenize(texts)
    device = next(model.module.parameters()).device
    ids = [t.ids for t in tokens]
    features = np.zeros((len(texts), width), dtype=np.float32)
    lengths = np.array([len(row) for row in ids], dtype=np.int64)
    model.module.eval()
    with (
        Progress("encoding", len(texts), "texts") as progress,
        torch.inference_mode(),
        autocast(device, precision),
    ):
        for rows in by_length(lengths):
            features[rows] = model.text_states(collate(ids, rows, model.pad_id, device)).float().cpu().numpy()
            progress.advance(len(rows))
    return Encoding(features, share_read(texts, tokens))


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over the names, shapes and bytes of a module's parameters and buffers."""
    whole = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().float().cpu().contiguous().numpy()
        whole.update(f"{name}{array.shape}".encode())
        whole.update(memoryview(array).cast("B") if array.size else b"")
    return whole.hexdigest()
