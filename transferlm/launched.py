"""Whether several processes were started to train one model together, as `accelerate launch` and `torchrun` say it."""

from __future__ import annotations

import os

from transferlm.errors import UnsupportedError

__all__ = ["alone", "main_process", "process", "processes"]


def processes() -> int:
    """How many there are: 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1) if "RANK" in os.environ else 1


def process() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK") or 0) if processes() > 1 else 0


def main_process() -> bool:
    """Whether this is the one that writes files, logs and progress."""
    return process() == 0


def alone(what: str) -> None:
    """Refuse, under a launcher, work that can't be shared: every process would do all of it.

    Raises:
        UnsupportedError: Several processes were started.
    """
    if processes() > 1:
        raise UnsupportedError(f"{what} can't be shared by {processes()} processes: start it without the launcher")
