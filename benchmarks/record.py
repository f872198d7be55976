"""What every benchmark keeps: finished cells as JSON beside the machine and the versions, so that a rerun goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from transferlm.experiments.machine import machine

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("transferlm", "torch", "transformers", "scikit-learn", "numpy", "tokenizers", "accelerate")


class Record:
    """Cells of one benchmark in `results/<name>.json` (`<name>-quick.json`, not committed, for a quick run).

    Cells measured on another machine or with other versions are set aside: figures of one table come from one place.
    """

    def __init__(self, name: str, quick: bool = False) -> None:
        self.path = RESULTS / f"{name}{'-quick' if quick else ''}.json"
        self.facts = {"machine": machine(), "versions": _versions()}
        self.cells: dict[str, Any] = {}
        if self.path.exists():
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            if {key: kept.get(key) for key in self.facts} == self.facts:
                self.cells = kept["cells"]

    def cell(self, key: str, measure: Callable[[], Any]) -> Any:
        """The finished cell called `key`, measured now if it was not yet."""
        if key not in self.cells:
            self.keep({**self.cells, key: measure()})
        return self.cells[key]

    def keep(self, cells: dict[str, Any]) -> None:
        """Replace all cells by these."""
        self.cells = cells
        partial = self.path.with_suffix(".partial")
        document = {**self.facts, "cells": cells}
        partial.write_text(_told(document), encoding="utf-8")
        partial.replace(self.path)


def _told(document: dict[str, Any]) -> str:
    """As JSON that is read and compared line by line: a value a line, but a list of numbers on one."""
    told = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([-+.\deE,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", told) + "\n"


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
