"""Running an ONNX file by ONNX Runtime, on the processor."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transferlm.errors import ModelFolderError, SettingError

__all__ = ["OnnxFile"]

_POINTS_OUTSIDE = b"location"
"""The key under which a tensor names another file that holds its numbers. Protobuf has several ways to write what is
around it; that numbers happen to be these eight bytes has a chance of one in 8 billion for the largest file."""


class OnnxFile:
    """A graph whose inputs are `ids` and `types`; it is never changed, so copies of a model share it.

    Args:
        content: The file's bytes.
        name: What an error calls it.
        width: Of its outputs `states` and `encoding`.
    """

    def __init__(self, content: bytes, name: str, width: int) -> None:
        self.content, self.name, self._width = content, name, width

    @classmethod
    def open(cls, path: Path, width: int) -> OnnxFile:
        """The graph in a file, whose outputs `states` and `encoding` have a width; it is looked at when it first runs.

        Raises:
            ModelFolderError: Its numbers lie in other files: those could be any of this machine.
        """
        content = path.read_bytes()
        if _POINTS_OUTSIDE in content:
            raise ModelFolderError(f"{path} takes numbers from other files, which is refused: save it as one file")
        return cls(content, str(path), width)

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxFile:
        memo[id(self)] = self
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the session, which another process makes anew."""
        return {name: value for name, value in vars(self).items() if name != "_session"}

    def run(self, output: str, ids: np.ndarray, types: np.ndarray) -> np.ndarray:
        """One output of the graph: float32.

        Args:
            output: Its name.
            ids: int64 of shape (texts, tokens).
            types: int64 of the same shape.

        Raises:
            ModelFolderError: ONNX Runtime can't run it, or it is another graph than that.
            SettingError: The extra `onnx` is missing.
        """
        session = self._session
        try:
            found: np.ndarray = session.run([output], {"ids": ids, "types": types})[0]
        except Exception as error:  # noqa: BLE001 - its errors have no class in common but this
            raise self._unfit(error) from None
        shape = (len(ids), self._width) if output == "encoding" else (*ids.shape, self._width)
        if found.dtype != np.float32 or found.shape != shape:
            told = f"gives {output} as {found.dtype} of shape {found.shape}, not float32 of shape {shape}"
            raise ModelFolderError(f"{self.name} {told}: make it anew")
        return found

    def _unfit(self, error: Exception) -> ModelFolderError:
        said = " ".join(str(error).split())
        return ModelFolderError(f"{self.name} can't be run by ONNX Runtime ({said}): make it anew")

    @cached_property
    def _session(self) -> Any:
        runtime = _library()
        settings = runtime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = _threads(), 1
        settings.log_severity_level = 4  # what is wrong is raised
        # Waiting threads sleep: spinning ones take the time of whatever else runs here.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = runtime.InferenceSession(self.content, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - its errors have no class in common but this
            raise self._unfit(error) from None
        inputs = sorted(one.name for one in session.get_inputs())
        widths = {one.name: one.shape[-1] for one in session.get_outputs()}
        if inputs != ["ids", "types"] or any(widths.get(name) != self._width for name in ("states", "encoding")):
            told = f"from ids and types to states and encoding of width {self._width}"
            raise ModelFolderError(f"{self.name} leads from {', '.join(inputs)} to {widths}, not {told}: make it anew")
        return session


def _threads() -> int:
    """As many as torch takes: what OMP_NUM_THREADS says, else one a core that this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _library() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise SettingError("a compiled model is run by onnxruntime: pip install 'transferlm[onnx]'") from None
    return onnxruntime
