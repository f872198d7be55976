"""What a stream has done so far, on disk: figures as they are found and the model as it last stood."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transferlm.atomic import replace_file
from transferlm.errors import SettingError
from transferlm.lifecycle import load
from transferlm.models.base import Model
from transferlm.task_model import body_of

__all__ = ["State"]


class State:
    """The state of one stream: killed at any moment, the next run goes on from the last figure and model kept.

    Args:
        folder: Where it lies; made if missing.
        key: Hash of everything that decides the figures. The state of another stream beside it is left alone.

    Raises:
        SettingError: The folder can't be made.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder / key[:16]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"{folder}: no state can be kept here ({error.strerror}); name another folder") from None

    def found(self, name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Figures that were kept under a name, or that are found and kept now."""
        path = self._folder / f"{name}.json"
        if not path.exists():
            replace_file(path, json.dumps(find(), allow_nan=False).encode())
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept

    def model(self, updates: int) -> Model:
        """The model after so many updates, as it was kept."""
        return body_of(load(self._model(updates)))

    def keep(self, model: Model, updates: int) -> None:
        """Keep the model after so many updates; those before it stay until `forget`."""
        model.save(self._model(updates))

    def forget(self, updates: int) -> None:
        """Remove a model that is not needed any more, and what its training left."""
        for left in (self._model(updates), self.training(updates)):
            shutil.rmtree(left, ignore_errors=True)

    def training(self, updates: int) -> Path:
        """Where the update that follows so many others keeps the state of its training."""
        return self._folder / f"training-{updates:04}"

    def _model(self, updates: int) -> Path:
        return self._folder / f"model-{updates:04}"
