"""What a step costs: time, memory, and what it adds to a model's size."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from transferlm.measure.peak_memory import PeakMemory
from transferlm.models.base import GradientTrained, Model

__all__ = ["Cost", "Meter", "folder_bytes", "model_bytes"]


@dataclass(frozen=True)
class Cost:
    """What an update cost.

    Attributes:
        seconds: Wall time of learning alone: neither scoring nor saving. Work that an interrupted run had done before
            is not in it.
        peak_bytes: Peak resident memory of the process meanwhile, the model and all else that was there included.
        device_bytes: Peak bytes allocated on CUDA devices; 0 where none is used.
        added_bytes: By how much the model became larger, what the method keeps with it included.
    """

    seconds: float
    peak_bytes: int
    device_bytes: int
    added_bytes: int

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """What `as_json` told."""
        return cls(**told)

    def __str__(self) -> str:
        device = f" and {self.device_bytes / 1e6:,.0f} MB on the device" if self.device_bytes else ""
        return (
            f"{self.seconds:.1f} s, {self.peak_bytes / 1e6:,.0f} MB of memory at the peak{device}, "
            f"{self.added_bytes / 1e6:+,.2f} MB of model"
        )


class Meter:
    """Adds up time and peak memory over the parts of a step: `with meter: ...`, as often as there are parts."""

    def __init__(self) -> None:
        self.seconds, self.peak_bytes, self.device_bytes = 0.0, 0, 0

    def __enter__(self) -> Self:
        self._memory, self._started = PeakMemory(), time.perf_counter()
        self._memory.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._memory.__exit__(*exception)
        self.seconds += time.perf_counter() - self._started
        self.peak_bytes = max(self.peak_bytes, self._memory.bytes)
        self.device_bytes = max(self.device_bytes, self._memory.device_bytes)

    def cost(self, before: Model, after: Model) -> Cost:
        """What was measured, and how much larger the model became."""
        return Cost(self.seconds, self.peak_bytes, self.device_bytes, model_bytes(after) - model_bytes(before))

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        """`action`, left out of the measurement: called within the block, it stops the clock meanwhile."""

        def paused(*arguments: Any) -> Any:
            self.__exit__(None, None, None)
            try:
                return action(*arguments)
            finally:
                self.__enter__()

        return paused


def model_bytes(model: Model) -> int:
    """Bytes of a model's weights and of what is kept with it; of one without a module, those of its folder."""
    if isinstance(model, GradientTrained):
        tensors = {tensor.data_ptr(): int(tensor.nbytes) for tensor in model.module.state_dict().values()}
        return sum(tensors.values()) + sum(thing.nbytes for thing in model.kept.values())
    with tempfile.TemporaryDirectory(prefix="transferlm-") as folder:
        model.write_whole(Path(folder))
        return folder_bytes(Path(folder))


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
