"""What every gradient-trained encoder shares: encoding in batches of like length, and a digest of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from transferlm.models.base import Encoding, GradientTrained
from transferlm.neural.batching import Batch, by_length, collate
from transferlm.neural.precision import autocast
from transferlm.progress import Progress
from transferlm.text.framing import Window
from transferlm.text.tokenizers.base import share_read

__all__ = ["encode_in_batches", "encode_windows", "score_windows", "weights_digest"]


def encode_in_batches(model: GradientTrained, texts: Sequence[str], width: int) -> Encoding:
    """`text_states` of texts cut at the maximum length, without gradients."""
    tokens = model.tokenize(texts)
    return Encoding(_text_states(model, [t.ids for t in tokens], None, width), share_read(texts, tokens))


def encode_windows(model: GradientTrained, windows: Sequence[Window], width: int) -> np.ndarray:
    """`text_states` of rows that are laid out already, without gradients: float32 of shape (rows, width)."""
    return _text_states(model, [window.ids for window in windows], [window.types for window in windows], width)


def score_windows(
    model: GradientTrained,
    windows: Sequence[Window],
    weights: np.ndarray,
    bias: np.ndarray,
) -> list[np.ndarray]:
    """A linear function of every token's state, in fp32: float32 of shape (tokens, size) for each row."""
    device = next(model.module.parameters()).device
    matrix, shift = torch.from_numpy(weights).to(device), torch.from_numpy(bias).to(device)
    found: list[np.ndarray] = [np.empty((0, len(bias)), np.float32)] * len(windows)

    def keep(rows: np.ndarray, states: torch.Tensor) -> None:
        with torch.autocast(device.type, enabled=False):
            scores = (states.float() @ matrix + shift).cpu().numpy()
        for place, row in enumerate(rows):
            found[row] = scores[place, : len(windows[row].ids)].copy()

    _read(model, [window.ids for window in windows], [window.types for window in windows], model.token_states, keep)
    return found


def _text_states(
    model: GradientTrained, ids: Sequence[np.ndarray], types: Sequence[np.ndarray | None] | None, width: int
) -> np.ndarray:
    features = np.zeros((len(ids), width), dtype=np.float32)

    def keep(rows: np.ndarray, states: torch.Tensor) -> None:
        features[rows] = states.float().cpu().numpy()

    _read(model, ids, types, model.text_states, keep)
    return features


def _read(
    model: GradientTrained,
    ids: Sequence[np.ndarray],
    types: Sequence[np.ndarray | None] | None,
    states: Callable[[Batch], torch.Tensor],
    keep: Callable[[np.ndarray, torch.Tensor], None],
) -> None:
    """Run batches of like length without gradients and hand their row numbers and states on."""
    device = next(model.module.parameters()).device
    lengths = np.array([len(row) for row in ids], dtype=np.int64)
    model.module.eval()
    with Progress("encoding", len(ids), "texts") as progress, torch.inference_mode(), autocast(device):
        for rows in by_length(lengths):
            keep(rows, states(collate(ids, rows, model.pad_id, device, types)))
            progress.advance(len(rows))


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over the names, shapes and bytes of a module's parameters and buffers."""
    whole = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().float().cpu().contiguous().numpy()
        whole.update(f"{name}{array.shape}".encode())
        whole.update(memoryview(array).cast("B") if array.size else b"")
    return whole.hexdigest()
