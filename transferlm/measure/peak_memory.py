"""The peak memory of this process during a block of work."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["PeakMemory"]

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_EVERY = 0.02
"""Seconds between samples where the kernel's own high-water mark can't be reset."""

_open: list[PeakMemory] = []
"""Blocks now measured, outermost first: resetting the mark for one must not lose what the others have
seen."""


class PeakMemory:
    """Measures the peak resident memory of this process within its block, what was resident before included.

    On Linux the kernel's high-water mark is reset at entry (`5` to `/proc/self/clear_refs`, proc(5)) and
    read at the end: exact and free of cost. Where that isn't allowed, a thread samples every 20 ms, and a
    shorter peak can be missed. Blocks may be nested. Not measured: child processes.

    Attributes:
        bytes: Peak resident bytes of the block; 0 before it ended.
        device_bytes: Peak bytes that torch allocated on CUDA devices, summed over devices; 0 where torch or
            CUDA is not in use.

    >>> with PeakMemory() as memory:
    ...     held = bytearray(50_000_000)
    >>> memory.bytes > 50_000_000
    True
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.device_bytes = 0
        self._seen = 0
        self._sampler: _Sampler | None = None

    def __enter__(self) -> PeakMemory:
        for outer in _open:
            outer._seen = max(outer._seen, _high_water())
        if not _reset_high_water():
            self._sampler = _Sampler()
            self._sampler.start()
        for torch_device in _devices():
            _cuda().reset_peak_memory_stats(torch_device)
        _open.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _open.remove(self)
        peak = self._sampler.stop() if self._sampler is not None else _high_water()
        self.bytes = max(self._seen, peak)
        self.device_bytes = sum(int(_cuda().max_memory_allocated(device)) for device in _devices())


class _Sampler(threading.Thread):
    """Reads the resident size now and then."""

    def __init__(self) -> None:
        import psutil

        super().__init__(name="peak-memory", daemon=True)
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._peak = int(self._process.memory_info().rss)

    def run(self) -> None:
        while not self._ended.wait(_EVERY):
            self._sample()

    def stop(self) -> int:
        """End the sampling and give the peak in bytes."""
        self._ended.set()
        self.join()
        self._sample()
        return self._peak

    def _sample(self) -> None:
        self._peak = max(self._peak, int(self._process.memory_info().rss))


def _reset_high_water() -> bool:
    """Whether the kernel's mark could be reset."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return _high_water() > 0


def _high_water() -> int:
    """VmHWM in bytes, or 0 where the kernel tells none."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def _cuda() -> Any:
    """torch.cuda of a torch that is loaded: it may be absent, and is never imported here."""
    return sys.modules["torch"].cuda


def _devices() -> list[int]:
    """CUDA devices in use by a torch that is already loaded."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return []
    return list(range(torch.cuda.device_count()))
