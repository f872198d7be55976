"""The state of a training run on disk, so that an interrupted one goes on to the same last bit."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from transferlm import launched
from transferlm.progress import say
from transferlm.storage import versions

__all__ = ["Carried", "Checkpoint"]

FORMAT = 2
SECONDS_BETWEEN = 30.0


class Carried(Protocol):
    """State beside weights and optimizer that a loss carries from step to step (a recurrent model's)."""

    def carried(self) -> dict[str, torch.Tensor]:
        """The state now, by name."""

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from this state."""


class _Nothing:
    """Most losses carry nothing."""

    def carried(self) -> dict[str, torch.Tensor]:
        return {}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        pass


@dataclass
class Checkpoint:
    """One run's place on disk: one file, replaced whole, so a kill at any moment leaves the last or the next state.

    Attributes:
        folder: Where it lies; made when the first state is saved.
        key: Hash of everything that decides the run. A state with another key belongs to another run and is not used.
        every: Seconds between two states; a kill costs at most that much work.
        carried: What the loss carries from step to step beside weights and optimizer.
    """

    folder: Path
    key: str
    every: float = field(default_factory=lambda: SECONDS_BETWEEN)
    carried: Carried = field(default_factory=_Nothing)
    _saved: float = field(default_factory=time.monotonic, init=False)

    @property
    def file(self) -> Path:
        """The state's file."""
        return self.folder / "state.safetensors"

    @property
    def due(self) -> bool:
        """Whether it is time for another state."""
        return time.monotonic() - self._saved >= self.every

    def save(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Write a state; when this returns it is on disk.

        Args:
            tensors: By name, on any device.
            facts: JSON values.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        told = json.dumps({**self._run(), "facts": facts}, allow_nan=False)
        save_file(stored, partial, metadata={"run": told})
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        partial.replace(self.file)
        self._saved = time.monotonic()

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The saved tensors (on the processor, wherever they came from) and facts, or None to start anew."""
        if not self.file.exists():
            return None
        try:
            with safe_open(self.file, framework="pt", device="cpu") as opened:
                told = json.loads((opened.metadata() or {}).get("run", "{}"))
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no iterator
        except (SafetensorError, OSError, ValueError) as error:
            say(f"{self.file} can't be read ({error}): training starts anew")
            return None
        if any(told.get(name) != value for name, value in self._run().items()):
            say(
                f"{self.file} belongs to a run with other settings, data, processes or library versions: training"
                " starts anew"
            )
            return None
        return tensors, told["facts"]

    def clear(self) -> None:
        """Remove the folder: the run is over and its result is saved."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> dict[str, Any]:
        """Which run this is: a state of another one is no use."""
        return {"format": FORMAT, "key": self.key, "versions": versions(), "processes": launched.processes()}
