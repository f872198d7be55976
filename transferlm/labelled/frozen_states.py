"""What frozen layers make of each row: computed once, kept while there is room, and where passes begin from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from transferlm.models.base import GradientTrained
from transferlm.neural.batching import Batch, by_length
from transferlm.neural.precision import Precision, autocast
from transferlm.progress import Progress

__all__ = ["FrozenStates"]


class FrozenStates:
    """The states that leave the lowest groups of layers, a text's or a token's vector where all groups are frozen.

    Frozen layers read as in prediction, nothing dropped, so that their states are the same in every epoch.

    Args:
        body: The model; its layers are counted as `layer_groups` counts them, the embeddings first.
        batch_of: Row numbers -> their batch.
        read: What the head reads of a batch: `text_states` or `token_states` of the body.
        lengths: Tokens of each row.
        precision: As in training.
    """

    def __init__(
        self,
        body: GradientTrained,
        batch_of: Callable[[np.ndarray], Batch],
        read: Callable[[Batch], torch.Tensor],
        lengths: np.ndarray,
        precision: Precision,
    ) -> None:
        self.body, self.batch_of, self.read = body, batch_of, read
        self.lengths, self.precision = lengths, precision
        self.layers = body.part_way()
        self.device = next(body.module.parameters()).device
        self._kept: dict[int, _Table] = {}

    def keep(self, frozen: Iterable[int], room: float) -> None:
        """Compute all rows' states above so many frozen groups, for each number that there is room for.

        Args:
            frozen: Numbers of frozen groups that training will ask for.
            room: Bytes that the states may take. What finds no room is computed anew for every batch, from the nearest
                kept states below, so that time depends on it and nothing else.
        """
        levels = sorted({count - 1 for count in frozen if count} - set(self._kept))
        batches = by_length(self.lengths)
        if not levels or not batches:
            return
        tables = self._fitting(levels, self._computed(levels, self.batch_of(batches[0][:1])), room)
        with Progress("reading through frozen layers", len(self.lengths), "rows") as progress:
            for rows in batches if tables else ():
                for level, states in self._computed(list(tables), self.batch_of(rows)).items():
                    tables[level].put(rows, states)
                progress.advance(len(rows))
        self._kept |= tables

    def states(self, frozen: int, batch: Batch) -> torch.Tensor:
        """What the head reads, with gradients of what is above so many frozen groups."""
        level = frozen - 1
        kept = self._kept.get(level)
        states = self._computed([level], batch)[level] if kept is None else kept.of(batch.rows, batch.ids.shape[1])
        if level == self.layers.depth:
            return states
        with self.layers.begun(level, states):
            return self.read(batch)

    def _computed(self, levels: Sequence[int], batch: Batch) -> dict[int, torch.Tensor]:
        """States of a batch, from the nearest kept ones below or from the tokens."""
        below = max((level for level in self._kept if level < min(levels)), default=None)
        training = self.body.module.training
        self.body.module.eval()
        try:
            with torch.no_grad(), autocast(self.device, self.precision):
                if below is None:
                    return self.layers.entering(levels, lambda: self.read(batch))
                with self.layers.begun(below, self._kept[below].of(batch.rows, batch.ids.shape[1])):
                    return self.layers.entering(levels, lambda: self.read(batch))
        finally:
            self.body.module.train(training)

    def _fitting(self, levels: Sequence[int], sample: dict[int, torch.Tensor], room: float) -> dict[int, _Table]:
        """Empty tables for the levels that fit: vectors of texts, then the lowest layers first.

        The lowest frozen prefix is the one that the longest stage of training uses, and others can begin from it.
        """
        tables = {}
        for level in sorted(levels, key=lambda level: (sample[level].dim() > 2, level)):
            table = _Table(sample[level], self.lengths)
            if table.nbytes <= room:
                room -= table.nbytes
                tables[level] = table.filled_with_nothing()
        return dict(sorted(tables.items()))


class _Table:
    """States of all rows, without padding: a vector a token, or one a row.

    Args:
        sample: States of a batch, for their width and kind.
        lengths: Tokens of each row.
    """

    def __init__(self, sample: torch.Tensor, lengths: np.ndarray) -> None:
        self.sample, self.of_tokens = sample, sample.dim() > 2
        self.lengths = lengths if self.of_tokens else np.ones(len(lengths), dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def nbytes(self) -> int:
        """Bytes of the whole."""
        return int(self.starts[-1]) * self.sample.shape[-1] * self.sample.element_size()

    def filled_with_nothing(self) -> _Table:
        """Take the memory."""
        self.values = self.sample.new_empty((int(self.starts[-1]), self.sample.shape[-1]))
        return self

    def put(self, rows: np.ndarray, states: torch.Tensor) -> None:
        """States of these rows, as a pass gave them."""
        for place, row in enumerate(rows):
            self.values[self.starts[row] : self.starts[row + 1]] = (
                states[place, : self.lengths[row]] if self.of_tokens else states[place]
            )

    def of(self, rows: np.ndarray, longest: int) -> torch.Tensor:
        """States of these rows as a batch, (rows, longest, width) or (rows, width); padding repeats the last token."""
        index = self.starts[rows]
        if self.of_tokens:
            index = index[:, None] + np.minimum(np.arange(longest), self.lengths[rows, None] - 1)
        return self.values[torch.from_numpy(index).to(self.values.device)]
