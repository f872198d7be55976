"""Peak memory is that of the block, whatever came before, on any system."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from transferlm.measure import peak_memory
from transferlm.measure.peak_memory import PeakMemory

MEGABYTE = 1_000_000


def held_for_a_moment(megabytes):
    """Memory that is really touched, and freed on return."""
    import time

    block = bytearray(megabytes * MEGABYTE)
    time.sleep(0.1)
    return len(block)


@pytest.fixture(params=["kernel", "samples"])
def way(request, monkeypatch, tmp_path):
    if request.param == "samples":
        monkeypatch.setattr(peak_memory, "_CLEAR_REFS", tmp_path / "missing" / "clear_refs")
    elif not peak_memory._reset_high_water():
        pytest.skip("this kernel's high-water mark can't be reset")
    return request.param


def test_memory_freed_within_the_block_counts_and_memory_freed_before_does_not(way):
    held_for_a_moment(400)
    with PeakMemory() as small:
        held_for_a_moment(1)
    with PeakMemory() as large:
        held_for_a_moment(150)
    assert 100 * MEGABYTE < large.bytes - small.bytes < 220 * MEGABYTE


def test_an_outer_block_keeps_the_peak_that_came_before_an_inner_one(way):
    with PeakMemory() as outer:
        held_for_a_moment(200)
        with PeakMemory() as inner:
            held_for_a_moment(1)
    assert outer.bytes - inner.bytes > 150 * MEGABYTE


def test_an_error_in_the_block_passes_and_ends_the_measuring(way):
    with pytest.raises(ZeroDivisionError), PeakMemory() as memory:
        _ = 1 / 0
    assert memory.bytes > 0
    assert not peak_memory._open


def test_cuda_memory_is_read_from_a_torch_that_uses_it(monkeypatch):
    resets = []
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 2,
        reset_peak_memory_stats=resets.append,
        max_memory_allocated=lambda device: 1000 + device,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with PeakMemory() as memory:
        pass
    assert memory.device_bytes == 2001
    assert resets == [0, 1]


def test_without_torch_no_device_is_read(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with PeakMemory() as memory:
        pass
    assert memory.device_bytes == 0
    assert "torch" not in sys.modules
