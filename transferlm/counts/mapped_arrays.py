"""Arrays in one safetensors file, written as a stream and opened by mapping it: pages are read as they are used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from transferlm.errors import ModelFolderError

__all__ = ["map_arrays", "part", "prefixed", "save_arrays"]

_KINDS = {"U8": np.uint8, "U32": np.uint32, "I64": np.int64, "F32": np.float32, "F64": np.float64}
_NAMES = {np.dtype(kind): name for name, kind in _KINDS.items()}
_LENGTH, _ALIGNMENT, _LONGEST_HEADER = 8, 64, 1 << 20
_BLOCK = 1 << 22


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays, a few megabytes at a time, so that mapped ones are not brought into memory as a whole."""
    ordered = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header, at = {}, 0
    for name in ordered:
        array = arrays[name]
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    told = json.dumps(header).encode()
    told += b" " * (-(_LENGTH + len(told)) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(told).to_bytes(_LENGTH, "little") + told)
        for name in ordered:
            flat = arrays[name].reshape(-1)
            for start in range(0, len(flat), _BLOCK):
                np.ascontiguousarray(flat[start : start + _BLOCK]).tofile(file)


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of such a file, read-only.

    Raises:
        ModelFolderError: The file is damaged, or holds other kinds of numbers than those written here.
    """
    size = path.stat().st_size
    try:
        header, begin = _header(path, size)
        whole = np.memmap(path, np.uint8, "r")  # one map, however many arrays: each would hold the file open
        return {name: _mapped(whole, told, begin) for name, told in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelFolderError(f"{path} can't be read ({error}): copy it again") from None


def prefixed(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays under longer names, so that several things' may lie in one file."""
    return {prefix + name: array for name, array in arrays.items()}


def part(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays that `prefixed` named so, under their own names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _header(path: Path, size: int) -> tuple[dict[str, dict[str, object]], int]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if not 0 < length <= min(size - _LENGTH, _LONGEST_HEADER):
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    return header, _LENGTH + length


def _mapped(whole: np.ndarray, told: Mapping[str, object], begin: int) -> np.ndarray:
    kind = np.dtype(_KINDS[str(told["dtype"])])
    shape = tuple(int(length) for length in told["shape"])  # type: ignore[attr-defined]
    start, end = (begin + int(place) for place in told["data_offsets"])  # type: ignore[attr-defined]
    count = 1
    for length in shape:
        count *= length
    fits = begin <= start <= end <= len(whole) and end - start == count * kind.itemsize
    if min(shape, default=0) < 0 or not fits or start % kind.itemsize:
        raise ValueError("an array does not fit its place")
    if not count:
        return np.empty(shape, kind)
    return whole[start:end].view(kind).reshape(shape)
