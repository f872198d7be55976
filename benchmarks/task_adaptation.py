"""Does an update on unlabelled text of the task's own domain help a sentence encoder?

    python benchmarks/task_adaptation.py --data DIR [--quick]

Film reviews (IMDb) and question types (TREC) with MiniLM, Chinese shop reviews with M3E-small. Each encoder is updated
on the training part's texts without their labels by `continued_pretraining`, `contrastive_pretraining` and `denoising`;
then parent and children are transferred with the same 16 labels a class, frozen and fine-tuned, 5 seeds, and every
child is set against its parent: gain in accuracy with its 95% interval, seeds and test examples both random. DIR holds
`trec-train.csv` and `trec-test.csv`; needs `transferlm fetch` of minilm, m3e-small (research only), imdb and
chinese-reviews. There is no target: whichever way it falls is the result, and the exit code is 0 when every cell ran.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from labelled_sets import labelled_set
from record import Record

import transferlm as tl
from transferlm.experiments.cells import Cell
from transferlm.measure.intervals import paired_gain
from transferlm.text.splits import split

PARENT = "no update"
LABELS, SEEDS = 16, 5
Parts = tuple[tl.Examples, tl.Examples]


def updates(quick: bool) -> dict[str, tl.updates.Update]:
    """The methods, all with the same number of steps over the body."""
    steps = 3 if quick else 120
    return {
        "continued_pretraining": tl.updates.ContinuedPretraining(steps=steps, head_steps=steps // 2 + 1, batch_size=16),
        "contrastive_pretraining": tl.updates.ContrastivePretraining(steps=steps, batch_size=16),
        "denoising": tl.updates.Denoising(steps=steps, batch_size=16),
    }


def reviews(source: str, train: int, test: int) -> Parts:
    """Two parts of a fetched set of reviews, duplicates removed across both."""
    whole = tl.read(tl.fetch(source) / f"{source}.csv", tl.tasks.Classification())
    made = split(whole.strings, whole.targets.tolist(), (train, test), seed=0)
    first, second = (whole.subset(rows, f"{source} ({len(rows):,} rows)") for rows in made.parts)
    return first, second


def questions(data: Path) -> Parts:
    """TREC-6 as it is distributed."""
    return labelled_set(data, "trec")


def measure(encoder: str, parts: Callable[[], Parts], quick: bool) -> dict[str, Any]:
    """Update, transfer, compare with the parent."""
    train, test = parts()
    if quick:
        train, test = train.subset(np.arange(300)), test.subset(np.arange(100))
    parent = tl.load(tl.fetch(encoder), max_length=96)
    sources, told = {PARENT: parent}, {}
    for name, method in updates(quick).items():
        started = time.perf_counter()
        found = tl.update(parent, train.strings, method)
        sources[name] = found.model
        told[name] = {"seconds": time.perf_counter() - started, "scores": found.model.lineage.scores}
    strategies = [tl.strategies.FeatureExtraction(), tl.strategies.FineTuning()][: 1 if quick else 2]
    plan = tl.Plan(sizes=(LABELS,), seeds=2 if quick else SEEDS, baselines=False)
    cells = tl.compare(train, test, sources, strategies, plan).cells
    return {"updates": told, "texts": len(train), "test": len(test), "rows": _rows(cells)}


def _rows(cells: list[Cell]) -> list[dict[str, Any]]:
    arms: dict[tuple[str, str], list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.seed):
        arms.setdefault((cell.strategy, cell.source), []).append(cell)
    rows = []
    for (strategy, source), ours in arms.items():
        right, before = (np.stack([c.contributions["accuracy"] for c in arm]) for arm in (ours, arms[strategy, PARENT]))
        row = {"strategy": strategy, "source": source, "accuracy": float(right.mean())}
        if source != PARENT:
            gain = paired_gain(right, before)
            row |= {"gain": gain.mean, "low": gain.low, "high": gain.high}
        rows.append(row)
    return rows


def main() -> int:
    """Print a table a data set, and which updates are shown to help or to hurt."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with trec-train.csv and trec-test.csv")
    parser.add_argument("--quick", action="store_true", help="TREC alone, 3 steps, 300 questions, frozen, 2 seeds")
    arguments = parser.parse_args()
    record = Record("task_adaptation", arguments.quick)
    sets: dict[str, tuple[str, Callable[[], Parts]]] = {
        "TREC": ("minilm", lambda: questions(arguments.data)),
        "IMDb": ("minilm", lambda: reviews("imdb", 4000, 500)),
        "Chinese reviews": ("m3e-small", lambda: reviews("chinese-reviews", 4000, 500)),
    }
    shown: dict[str, list[str]] = {"helps": [], "hurts": [], "no difference shown": []}
    for name, (encoder, parts) in list(sets.items())[: 1 if arguments.quick else 3]:
        found = record.cell(name, partial(measure, encoder, parts, arguments.quick))
        print(f"{name}: {encoder}, updated on {found['texts']:,} texts without labels, {LABELS} labels a class")
        for row in found["rows"]:
            gain = "" if "gain" not in row else "{gain:+8.1%} [{low:+.1%}, {high:+.1%}]".format(**row)
            print(f"  {row['strategy']:20}{row['source']:26}{row['accuracy']:8.1%}{gain}")
            if gain:
                verdict = "helps" if row["low"] > 0 else "hurts" if row["high"] < 0 else "no difference shown"
                shown[verdict].append(f"{row['source']} on {name} ({row['strategy']})")
    counts = ", ".join(f"{verdict}: {len(arms)}" for verdict, arms in shown.items())
    print(f"Updates on the task's own unlabelled text, of {sum(map(len, shown.values()))} arms {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
