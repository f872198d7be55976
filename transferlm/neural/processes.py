"""Processes that train one model together: each has its share of every batch, all have the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from transferlm import launched
from transferlm.errors import SettingError, UnsupportedError

__all__ = ["Processes", "Share", "processes"]

T = TypeVar("T")
Rows = TypeVar("Rows", bound=Any)

_PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one may evaluate for hours. One that died is noticed at once."""


@dataclass(frozen=True)
class Processes:
    """Who trains together; a process alone is the only one, and nothing is exchanged.

    Attributes:
        process: Which one this is, from 0.
        count: How many there are.
        device: Where this one computes; None leaves it to `best_device`.
    """

    process: int = 0
    count: int = 1
    device: torch.device | None = None

    @property
    def main(self) -> bool:
        """Whether this is the one that evaluates, and writes files, logs and progress."""
        return self.process == 0

    def begin(self, tensors: Sequence[torch.Tensor]) -> None:
        """Give every process the main one's tensors."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def mean_gradients(self, parameters: Sequence[nn.Parameter], figures: torch.Tensor) -> torch.Tensor:
        """Put the mean over all processes into every gradient, in one exchange; give that of the figures.

        A parameter that no process has a gradient of is left without one: the optimizer passes it by, as it would where
        one process trains.

        Args:
            parameters: On one device, in the same order in every process.
            figures: Whatever else is averaged, shape (figures,).
        """
        if self.count == 1:
            return figures
        kinds = [[p.grad is not None, p.grad is not None and p.grad.is_sparse] for p in parameters]
        present = torch.tensor(kinds, device=figures.device, dtype=torch.float32).flatten()
        gradients = [(torch.zeros_like(p) if p.grad is None else p.grad.to_dense()).flatten() for p in parameters]
        whole = torch.cat([*gradients, *map(_touched, parameters), present, figures.float()])
        distributed.all_reduce(whole)
        whole /= self.count
        sizes = [p.numel() for p in parameters] + [p.shape[0] if p.ndim > 1 else 0 for p in parameters]
        *parts, present, figures = torch.split(whole, [*sizes, 2 * len(parameters), len(figures)])
        means, touched = parts[: len(parameters)], parts[len(parameters) :]
        kinds = present.view(-1, 2).tolist()
        for parameter, mean, rows, (there, sparse) in zip(parameters, means, touched, kinds, strict=True):
            # Sparse only where it is so everywhere: the rows that any process touched are moved.
            gradient = mean.view_as(parameter).to(parameter.dtype)
            parameter.grad = (_of_rows(gradient, rows) if sparse == there else gradient) if there else None
        return figures

    def told(self, thing: T) -> T:
        """The main process's thing, in every process."""
        if self.count == 1:
            return thing
        things: list[Any] = [thing]
        distributed.broadcast_object_list(things, 0)
        heard: T = things[0]
        return heard

    def gathered(self, thing: T) -> list[T]:
        """Every process's thing, in the main one; in the others nothing."""
        if self.count == 1:
            return [thing]
        things: list[Any] = [None] * self.count if self.main else []
        distributed.gather_object(thing, things if self.main else None, 0)
        return things


@dataclass(frozen=True)
class Share:
    """A process's share of the rows of every batch: every so manieth. A process alone has them all.

    >>> [list(Share(process, 2).of(range(5))) for process in range(2)]
    [[0, 2, 4], [1, 3]]

    Attributes:
        process: Which one, from 0.
        processes: How many there are.
    """

    process: int = 0
    processes: int = 1

    @classmethod
    def of_batches(cls, process: int, processes: int, rows: int) -> Share:
        """The share of batches of so many rows.

        Raises:
            SettingError: Some process would have none.
        """
        if rows < processes:
            raise SettingError(f"batch_size {rows}: give {processes} or more, a row to each of {processes} processes")
        return cls(process, processes)

    def of(self, rows: Rows) -> Rows:
        """This process's rows."""
        part: Rows = rows[self.process :: self.processes]
        return part

    def weight(self, own: float, whole: float) -> float:
        """The factor on a mean over one's own share that makes the mean over processes that of the whole batch."""
        return own * self.processes / whole


def _touched(parameter: nn.Parameter) -> torch.Tensor:
    """1 for each row of a table that a sparse gradient has, be it of zeros, else 0; nothing for a vector."""
    touched = torch.zeros(parameter.shape[0] if parameter.ndim > 1 else 0, device=parameter.device)
    if parameter.grad is not None and parameter.grad.is_sparse:
        touched[parameter.grad.coalesce().indices()[0]] = 1
    return touched


def _of_rows(gradient: torch.Tensor, touched: torch.Tensor) -> torch.Tensor:
    """The sparse gradient of the rows that were touched."""
    rows = touched.nonzero()[:, 0]
    return torch.sparse_coo_tensor(rows[None], gradient[rows], gradient.shape, check_invariants=False)


@cache
def processes() -> Processes:
    """Those that a launcher started; `accelerate` brings them together the first time that this is asked.

    Raises:
        UnsupportedError: A launcher started several and `accelerate` is not installed.
    """
    if launched.processes() == 1:
        return Processes()
    try:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env
    except ImportError:
        raise UnsupportedError(
            "training in several processes needs accelerate: pip install 'transferlm[distributed]'"
        ) from None
    # Without a GPU accelerate brings processes together only where it is told to use the processor.
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available()
    state = PartialState(cpu=cpu, timeout=_PATIENCE)
    assert state.num_processes == launched.processes()
    return Processes(state.process_index, state.num_processes, state.device)
