"""Hyper-parameters that are several numbers: written as one word, so that files and commands can hold them."""

from __future__ import annotations

from transferlm.errors import SettingError

__all__ = ["numbers"]


def numbers(said: str, name: str) -> list[float]:
    """The numbers of "100,500,0.5", each above 0 and finite.

    Args:
        said: What was given.
        name: The hyper-parameter, for the error.

    Raises:
        SettingError: It holds something else.

    >>> numbers("100,0.5", "concentrations")
    [100.0, 0.5]
    """
    try:
        found = [float(part) for part in said.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < value < float("inf") for value in found):
        raise SettingError(f"{name} {said!r}: give numbers above 0, parted by commas")
    return found
