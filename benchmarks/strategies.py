"""Every strategy that moves weights beside fine-tuning: accuracy and processor time at its defaults, in one run.

    python benchmarks/strategies.py --data DIR [--quick]

MiniLM-L6 on TREC's six classes (`trec-train.csv`, `trec-test.csv` in DIR): 64 labels a class, and all 5,452 questions,
each strategy with the same draws and seeds, the strategies taking turns. Processor time is that of the whole process,
from tokenising to the task model. Exit code 1 when gradual unfreezing is not cheaper than fine-tuning at 64 labels a
class, or loses more than two points to it.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from labelled_sets import labelled_set
from record import Record

import transferlm as tl
from transferlm import catalog, sources
from transferlm.models.base import Model
from transferlm.seeding import derive
from transferlm.strategies._training import Tuned
from transferlm.task_model import TaskModel, body_of
from transferlm.tasks.base import Examples

Cell = dict[str, float]
PLAIN, THAWED = "fine_tuning", "gradual_unfreezing"


def drawn(whole: Examples, labels: int | None, seed: int) -> Examples:
    """So many examples of each class, or as many as it has; None is all."""
    if labels is None:
        return whole
    draw = np.random.default_rng(derive(seed, "draw", labels))
    of_class = [draw.permutation(np.flatnonzero(whole.targets == label)) for label in range(len(whole.labels))]
    return whole.subset(np.sort(np.concatenate([rows[:labels] for rows in of_class])))


def measured(model: Model | TaskModel, train: Examples, test: Examples, strategy: Any, seed: int) -> Cell:
    """Accuracy and processor seconds of one training."""
    started = time.process_time()
    made = tl.transfer(model, train, strategy, seed)
    seconds = time.process_time() - started
    return {"accuracy": made.score(test).metrics["accuracy"], "seconds": seconds}


def compared(quick: bool) -> dict[str, Any]:
    """The frozen encoder, and each strategy that trains by gradients, at its defaults."""
    found: dict[str, Any] = {"feature_extraction": tl.strategies.FeatureExtraction()}
    less: dict[str, Any] = {"epochs": 2, "minimum_steps": 2} if quick else {}
    for name in catalog.entries("strategies"):
        kind = catalog.find("strategies", name)
        if issubclass(kind, Tuned):
            found[name] = kind(**less)
    return found


def told(size: str, cells: dict[str, list[Cell]]) -> None:
    """Print the table of one size."""
    print(f"\n{size}\n{'':26}{'accuracy':>16}{'processor seconds':>19}{'of fine-tuning':>16}")
    plain = mean(cell["seconds"] for cell in cells[PLAIN])
    for name, found in cells.items():
        right = [cell["accuracy"] for cell in found]
        spread = f" +- {stdev(right):.3f}" if len(right) > 1 else ""
        seconds = mean(cell["seconds"] for cell in found)
        print(f"{name:26}{f'{mean(right):.3f}{spread}':>16}{seconds:>19.1f}{seconds / plain:>16.2f}")


def main() -> int:
    """Print the tables and the headline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with trec-train.csv and trec-test.csv")
    parser.add_argument("--quick", action="store_true", help="4 labels a class, two epochs, one seed")
    arguments = parser.parse_args()
    whole, test = labelled_set(arguments.data, "trec")
    model = body_of(tl.load(sources.fetch("minilm"), max_length=128))
    sizes: dict[int | None, int] = {4: 1} if arguments.quick else {64: 3, None: 1}
    record = Record("strategies", arguments.quick)
    found: dict[int | None, dict[str, list[Cell]]] = {size: {} for size in sizes}
    for size, seeds in sizes.items():
        for seed in range(seeds):
            train = drawn(whole, size, seed)
            for name, strategy in compared(arguments.quick).items():
                key = (
                    f"{name} {strategy.hyper_parameters()}, {size or 'all'} labels, seed {seed}, data {train.hash[:12]}"
                )
                cell = record.cell(key, partial(measured, model, train, test, strategy, seed))
                found[size].setdefault(name, []).append(cell)
    print(f"MiniLM-L6 on TREC; {record.facts['machine']}")
    for size, cells in found.items():
        told(f"{size} labels a class" if size else "all labels", cells)
    first = found[next(iter(sizes))]
    right, seconds = ({n: mean(c[what] for c in first[n]) for n in (PLAIN, THAWED)} for what in ("accuracy", "seconds"))
    gain, share = right[THAWED] - right[PLAIN], seconds[THAWED] / seconds[PLAIN]
    met = gain >= -0.02 and share < 1
    print(f"\nGradual unfreezing: {100 * gain:+.1f} points in {share:.2f} of the time: {'met' if met else 'missed'}")
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
