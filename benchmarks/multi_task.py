"""Several tasks in one body beside one body a task: what each task gains or loses, at what cost.

    python benchmarks/multi_task.py --data DIR [--quick]

MiniLM-L6, 5 draws. Tasks alike in size: CR's and SST-2's reviews and TREC's questions, 64 labels a class each. A small
task beside a large one of its kind: CR with 16 labels a class, SST-2 with 500. `multi_task` learns all of them at once,
`fine_tuning` each by itself, from the pretrained weights and from scratch; all at their defaults. Accuracy, processor
time of all trainings, and gains over each task by itself, with 95% intervals, draws and test texts both random. DIR
holds `<set>-train.csv` and `<set>-test.csv`; needs `transferlm fetch minilm`. Exit code 1 when CR with 16 labels a
class is not shown to gain beside SST-2, or tasks alike in size lose more than a point on average.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from labelled_sets import cleaned, labelled_set
from record import Record

import transferlm as tl
from transferlm.measure.intervals import Interval, paired_gain
from transferlm.text.draws import draw

SEEDS = 5
TOGETHER, ALONE, SCRATCH = "multi_task", "fine_tuning, each alone", "from scratch, each alone"
ALIKE, BESIDE = "tasks alike in size", "a small task beside a large one"
MIXES = {ALIKE: {"cr": 64, "sst2": 64, "trec": 64}, BESIDE: {"cr": 16, "sst2": 500}}
LOSS = 0.01

Sets = dict[str, tl.Examples]


def learnt(arm: str, body: Any, train: Sets, test: Sets, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """What is got right of each test part, and processor seconds from tokenising to the task models."""
    started = time.process_time()
    if arm == TOGETHER:
        made: Any = tl.transfer(body, train, tl.strategies.MultiTask(**settings), seed)
    else:
        start = tl.untrained(body, seed) if arm == SCRATCH else body
        plain = tl.strategies.FineTuning(**settings)
        made = {name: tl.transfer(start, one, plain, seed) for name, one in train.items()}
    seconds = time.process_time() - started
    found = {}
    for name, one in test.items():
        scores: Any = made[name].score(one)
        found[name] = "".join(str(int(right)) for right in scores.predicted == one.targets)
    return {"seconds": round(seconds, 2), **found}


def tables(cells: list[dict[str, Any]], name: str) -> np.ndarray:
    """Right and wrong on one task: float64 of shape (seeds, texts)."""
    return np.array([list(cell[name]) for cell in cells], dtype=np.float64)


def show(mix: str, sizes: dict[str, int], found: dict[str, list[dict[str, Any]]]) -> dict[str, Interval]:
    """Print one mix's rows; by how much each task is better learnt together than alone."""
    print(f"\n{mix}: {', '.join(f'{name} {size} labels a class' for name, size in sizes.items())}")
    print(f"{'':28}" + "".join(f"{name:>34}" for name in sizes) + f"{'processor s':>13}")
    gains: dict[str, Interval] = {}
    for arm, cells in found.items():
        row = f"{arm:28}"
        for name in sizes:
            own, alone = tables(cells, name), tables(found[ALONE], name)
            gain = paired_gain(own, alone)
            told = "" if arm == ALONE else f" {gain.mean:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]"
            row += f"{f'{own.mean():.1%}{told}':>34}"
            gains |= {name: gain} if arm == TOGETHER else {}
        print(row + f"{np.mean([cell['seconds'] for cell in cells]):>13.1f}")
    return gains


def main() -> int:
    """Print a table a mix and whether the targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with <set>-train.csv and <set>-test.csv")
    parser.add_argument("--quick", action="store_true", help="8 labels a class, 2 steps, 2 draws, 50 test texts")
    arguments = parser.parse_args()
    quick, record = arguments.quick, Record("multi_task", arguments.quick)
    settings: dict[str, Any] = {"epochs": 1, "minimum_steps": 2} if quick else {}
    body = tl.load(tl.fetch("minilm"), max_length=128)
    data = {name: labelled_set(arguments.data, name) for name in MIXES[ALIKE]}
    data = {name: (cleaned(train, test), test) for name, (train, test) in data.items()}
    gains = {}
    for mix, sizes in MIXES.items():
        test = {name: data[name][1].subset(np.arange(50)) if quick else data[name][1] for name in sizes}
        found: dict[str, list[dict[str, Any]]] = {TOGETHER: [], ALONE: [], SCRATCH: []}
        for seed in range(2 if quick else SEEDS):
            few = {n: draw(data[n][0].targets, 8 if quick else size, seed).rows for n, size in sizes.items()}
            train = {name: data[name][0].subset(rows) for name, rows in few.items()}
            for arm, cells in found.items():
                hashes = " ".join(one.hash[:12] for part in (train, test) for one in part.values())
                key = f"{mix}, {arm}, seed {seed}, data {hashes}"
                cells.append(record.cell(key, partial(learnt, arm, body, train, test, settings, seed)))
        gains[mix] = show(mix, sizes, found)
    helped, mean = gains[BESIDE]["cr"], float(np.mean([gain.mean for gain in gains[ALIKE].values()]))
    met = helped.low > 0 and mean >= -LOSS
    print(
        f"\nCR with 16 labels a class gains {helped.mean:+.1%} [{helped.low:+.1%}, {helped.high:+.1%}] beside SST-2"
        f" (target: above 0); tasks alike in size {mean:+.1%} on average (target {-LOSS:.0%} or more):"
        f" {'met' if met else 'missed'}"
    )
    return 0 if met or quick else 1


if __name__ == "__main__":
    sys.exit(main())
