"""Prediction by a forward pass made for it: nothing padded, no offsets, a core a batch; for encoders of BERT's kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from transferlm.errors import SettingError
from transferlm.models._inputs import means
from transferlm.models._packed_body import packed_weights
from transferlm.neural.int8_transformer import Int8Transformer, has_int8
from transferlm.neural.packed_transformer import PackedRows, PackedTransformer, TransformerWeights, packed
from transferlm.neural.precision import has_bfloat16
from transferlm.progress import Progress
from transferlm.text.framing import Text, Window
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["pooled", "precisions_of", "row_vectors", "token_scores"]

_TOKENS = 512
"""Tokens of a batch: enough for the products to run at full speed, few enough for a core's cache."""


class Passes(Protocol):
    """A forward pass over packed rows."""

    def states(self, rows: PackedRows) -> torch.Tensor:
        """Top-layer states of every token: fp32 of shape (tokens, width)."""


class Pooled(Protocol):
    """What is asked of the model."""

    module: nn.Module
    max_length: int

    @property
    def pooling(self) -> str:
        """`mean` or `cls`."""

    @property
    def encoding_width(self) -> int:
        """Width of a state."""

    def windows(self, texts: Sequence[Text], whole: bool = False) -> list[Window]:
        """Texts as rows."""


_MAKERS: dict[str, Callable[[TransformerWeights], Passes]] = {
    "int8": Int8Transformer,
    "bf16": lambda weights: PackedTransformer(weights, torch.bfloat16),
    "fp32": PackedTransformer,
}
_KEPT: WeakKeyDictionary[nn.Module, tuple[Any, TransformerWeights | None, dict[str, Passes]]] = WeakKeyDictionary()
"""Body -> the state of its weights when the passes were made, the weights, and the passes by precision."""


def precisions_of(module: nn.Module) -> tuple[str, ...]:
    """What the body can be computed in here, the quickest first; nothing where it is of another kind."""
    known = _KEPT.get(module)
    if (known[1] if known else _kept(module)[0]) is None:
        return ()
    native = {"int8": has_int8(), "bf16": has_bfloat16("cpu"), "fp32": True}
    return tuple(name for name in _MAKERS if native[name])


def pooled(
    model: Pooled, tokenizer: Tokenizer, texts: Sequence[Text], precision: str, whole: bool = False
) -> np.ndarray:
    """One vector a text: float32 of shape (texts, width).

    Raises:
        SettingError: The precision is none that this machine and body can do.
    """
    if not whole and all(isinstance(text, str) for text in texts):
        ids = tokenizer.encode_ids([text for text in texts if isinstance(text, str)], model.max_length)
        return _vectors(model, ids, None, precision)
    rows = model.windows(texts, whole)
    return means(row_vectors(model, rows, precision), [row.text for row in rows], len(texts))


def row_vectors(model: Pooled, rows: Sequence[Window], precision: str) -> np.ndarray:
    """One vector a row: float32 of shape (rows, width).

    Raises:
        SettingError: As `pooled` does.
    """
    return _vectors(model, [row.ids for row in rows], [row.types for row in rows], precision)


def token_scores(
    model: Pooled, rows: Sequence[Window], weights: np.ndarray, bias: np.ndarray, precision: str
) -> list[np.ndarray]:
    """A linear function of every token's state, in fp32: float32 of shape (tokens, size) for each row.

    Raises:
        SettingError: As `pooled` does.
    """
    matrix, shift = torch.from_numpy(weights), torch.from_numpy(bias)
    found: list[np.ndarray] = [np.empty((0, len(bias)), np.float32)] * len(rows)

    def keep(places: np.ndarray, states: torch.Tensor, _: PackedRows) -> None:
        scores = torch.addmm(shift, states, matrix).numpy()
        ends = np.cumsum([len(rows[place].ids) for place in places])
        for place, own in zip(places, np.split(scores, ends[:-1]), strict=True):
            found[place] = own

    _read(_passes(model.module, precision), [row.ids for row in rows], [row.types for row in rows], keep)
    return found


def _vectors(
    model: Pooled, ids: Sequence[np.ndarray], types: Sequence[np.ndarray | None] | None, precision: str
) -> np.ndarray:
    features = np.empty((len(ids), model.encoding_width), dtype=np.float32)

    def keep(places: np.ndarray, states: torch.Tensor, laid: PackedRows) -> None:
        features[places] = _pool(states, laid, model.pooling)

    _read(_passes(model.module, precision), ids, types, keep)
    return features


def _read(
    passes: Passes,
    ids: Sequence[np.ndarray],
    types: Sequence[np.ndarray | None] | None,
    keep: Callable[[np.ndarray, torch.Tensor, PackedRows], None],
) -> None:
    """Read rows in batches and hand on their numbers and the states of their tokens, end to end."""

    def read(rows: np.ndarray) -> None:
        with torch.inference_mode():
            laid = packed([ids[row] for row in rows], None if types is None else [types[row] for row in rows])
            keep(rows, passes.states(laid), laid)

    batches = _batches(np.array([len(row) for row in ids], dtype=np.int64))
    with Progress("encoding", len(ids), "texts") as progress:
        for rows, _ in zip(batches, _side_by_side(read, batches), strict=True):
            progress.advance(len(rows))


def _batches(lengths: np.ndarray) -> list[np.ndarray]:
    """Row numbers, the longest first, so that the last batches are short ones and no core waits long for another."""
    if len(lengths) == 1:
        return [np.zeros(1, np.int64)]
    order = np.argsort(-lengths, kind="stable")
    batch = np.cumsum(lengths[order]) // _TOKENS
    return np.split(order, np.flatnonzero(np.diff(batch)) + 1) if len(order) else []


def _side_by_side(read: Callable[[np.ndarray], None], batches: Sequence[np.ndarray]) -> Iterator[None]:
    """Each batch on a core of its own: threads that meet after every product would wait for one another."""
    threads = torch.get_num_threads()
    workers = min(threads, len(batches))
    if workers < 2:
        yield from map(read, batches)
        return
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(read, batches)
    torch.set_num_threads(threads)  # what later threads begin with


def _pool(states: torch.Tensor, rows: PackedRows, pooling: str) -> np.ndarray:
    apart = [states[part].view(texts, length, -1) for part, texts, length in rows.slices()]
    found = torch.cat([group[:, 0] if pooling == "cls" else group.mean(dim=1) for group in apart])
    vectors: np.ndarray = found.numpy()
    return vectors


def _kept(module: nn.Module) -> tuple[TransformerWeights | None, dict[str, Passes]]:
    """The body's weights and the passes made of them, made anew once the weights have changed."""
    state = _state(module)
    known = _KEPT.get(module)
    if known is None or known[0] != state:
        known = _KEPT[module] = (state, packed_weights(module), {})
    return known[1:]


def _state(module: nn.Module) -> list[tuple[int, int]]:
    """Where each weight lies and how often it was changed; `parameters()` takes longer, for every text."""
    found: list[tuple[int, int]] = []
    left: list[nn.Module | None] = [module]
    while left:
        part = left.pop()
        if part is not None:
            found += [(one.data_ptr(), one._version) for one in part._parameters.values() if one is not None]
            left += part._modules.values()
    return found


def _passes(module: nn.Module, precision: str) -> Passes:
    weights, made = _kept(module)
    if weights is None or precision not in precisions_of(module):
        able = ", ".join(precisions_of(module)) or "none"
        raise SettingError(f"precision {precision!r}: this model on this machine can do {able}")
    if precision not in made:
        with torch.inference_mode():
            made[precision] = _MAKERS[precision](weights)
    return made[precision]
