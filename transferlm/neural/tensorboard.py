"""Curves for TensorBoard, of every training within a block: no training has to be told of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from transferlm import launched
from transferlm.errors import UnsupportedError

__all__ = ["Board", "opened", "tensorboard"]

_SCALARS = {
    "loss": ("loss/training (bits)", 1 / math.log(2)),
    "held_out": ("loss/held out (bits)", 1 / math.log(2)),
    "learning_rate": ("learning rate", 1.0),
    "tokens_a_second": ("speed/tokens a second", 1.0),
    "batches_a_second": ("speed/batches a second", 1.0),
}
"""What of a line of the training log is shown, under which name, times what: nats become bits."""

_folder: Path | None = None
_runs: Counter[str] = Counter()


@contextmanager
def tensorboard(folder: str | Path | None) -> Iterator[None]:
    """Within the block each training writes curves for TensorBoard, into a folder of its own in this one.

    Training and held-out loss in bits, the learning rate, and tokens a second (batches, where a training counts those),
    at the steps of the training log (`neural/training_log.py`). Run again, an interrupted training goes on with its
    curves: steps that it takes a second time replace those that it wrote the first time, as any training does that
    begins anew in the same place. Several trainings of one kind are numbered in their order.

    Args:
        folder: Where TensorBoard shall look (`tensorboard --logdir FOLDER`); None writes nothing.

    Raises:
        UnsupportedError: The package `tensorboard` is not installed.
    """
    global _folder
    if folder is not None:
        _writers()
    before, _folder = _folder, None if folder is None else Path(folder)
    _runs.clear()
    try:
        yield
    finally:
        _folder = before


class Board:
    """The curves of one training.

    Args:
        folder: Where they lie; made when the first value is written.
        after: The step that is reached: values of later ones, which an interrupted run left there, are hidden.
    """

    def __init__(self, folder: Path, after: int) -> None:
        self._writer = _writers().SummaryWriter(str(folder), purge_step=after + 1)

    def add(self, line: Mapping[str, float]) -> None:
        """Show what a line of the training log tells."""
        for name, (title, factor) in _SCALARS.items():
            if name in line:
                self._writer.add_scalar(title, line[name] * factor, int(line["step"]))
        self._writer.flush()

    def close(self) -> None:
        """Write the end."""
        self._writer.close()


@contextmanager
def opened(description: str, after: int) -> Iterator[Board | None]:
    """The board of a training that begins after a step; None where none is asked for, or another process has it."""
    if _folder is None or not launched.main_process():
        yield None
        return
    name = re.sub(r"\W+", "-", description)
    _runs[name] += 1
    board = Board(_folder / (name if _runs[name] == 1 else f"{name}-{_runs[name]}"), after)
    try:
        yield board
    finally:
        board.close()


def _writers() -> ModuleType:
    try:
        from torch.utils import tensorboard as writers
    except ImportError:
        raise UnsupportedError(
            "curves for TensorBoard need the package tensorboard: pip install 'transferlm[tensorboard]'"
        ) from None
    return writers
