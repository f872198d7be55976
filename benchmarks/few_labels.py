"""What a few labels are worth: contrastive transfer beside SetFit and other peers, on six data sets.

    python benchmarks/few_labels.py --data DIR [--cells DIR] [--sets trec,cr] [--quick]

8 and 64 labels a class, 5 draws each, on TREC-6, CR, MR, SST-2, SST-5 (MiniLM-L6) and ChnSentiCorp without the test
rows that stand in its training part (m3e-small). Training rows that repeat one another or stand in the test part are
left out first. All arms see the same draws, the whole test part, and 128 tokens of a text. Finished cells are kept in a
folder, one file each, so that a run that was killed goes on, and so that several runs can share the work; once there
are all of a size, `results/few_labels_8.json` or `few_labels_64.json` is written anew.

Training's wall time and processor time are kept with each cell beside the machine's load at its start. Wall times are
compared only between cells that began on a quiet machine (load below half of its cores); processor times always.

Needs `pip install transferlm[benchmarks]`, `setfit` and `fasttext-wheel`, and `transferlm fetch minilm m3e-small`; what
isn't there is shown as not run. Exit code 1 when a mean over the five English data sets is below SetFit's, at 8 or at
64 labels a class, when contrastive training with 64 takes more than a fifth of SetFit's time, when a cell of those is
missing, or when fine-tuned MiniLM with 64 labels a class is not above 87% on TREC or not more than 15 points above the
same architecture untrained.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from few_label_arms import ARMS, OURS, Trial
from few_label_tables import Table
from labelled_sets import cleaned, labelled_set
from record import Record

from transferlm import sources
from transferlm.experiments.cell_store import CellStore, key_of
from transferlm.experiments.cells import Cell
from transferlm.experiments.machine import machine
from transferlm.progress import Progress, say
from transferlm.storage import versions
from transferlm.tasks.base import Examples
from transferlm.text.draws import draw

ENGLISH = ("trec", "cr", "mr", "sst2", "sst5")
CHINESE = "chnsenticorp"
SIZES, SEEDS = (8, 64), 5


class Data(NamedTuple):
    """One data set: where labels are drawn from, what is tested, and the body's folder."""

    name: str
    pool: Examples
    test: Examples
    body: Path


def opened(name: str, folder: Path, quick: bool) -> Data | None:
    """A data set, cleaned; None where its body isn't fetched."""
    source = "m3e-small" if name == CHINESE else "minilm"
    if not sources.is_fetched(source):
        say(f"{name}: not run, {source} is not fetched: transferlm fetch {source}")
        return None
    train, test = labelled_set(folder, name, "test-clean" if name == CHINESE else "test")
    if quick:
        train, test = train.subset(np.arange(1000)), test.subset(np.arange(100))
    return Data(name, cleaned(train, test), test, sources.locate(source))


def measured(data: Data, arm: str, labels: int, seed: int, store: CellStore, kept: bool) -> Cell | None:
    """The finished cell, or one measured now; None where only kept ones are asked for or a peer isn't installed."""
    train = data.pool.subset(draw(data.pool.targets, labels, seed).rows)
    key = key_of(
        arm=arm,
        settings=ARMS[arm].settings,
        body=data.body.name,
        train=train.hash,
        test=data.test.hash,
        seed=seed,
        versions=versions(),
    )
    cell = store.get(key)
    if cell is None and not kept:
        load = os.getloadavg()[0]
        trial = Trial(train, data.test, data.body, labels, seed, data.name == CHINESE)
        try:
            predicted = ARMS[arm].run(trial)
        except ModuleNotFoundError as error:
            say(f"{arm}: not run, {error.name} is not installed")
            return None
        cell = cell_of(data, arm, trial, predicted, load)
        store.put(key, cell)
    return cell


def cell_of(data: Data, arm: str, trial: Trial, predicted: np.ndarray, load: float) -> Cell:
    """Predictions as a cell, with what its training took and how busy the machine was."""
    from sklearn.metrics import f1_score

    right, every = predicted == data.test.targets, range(len(data.test.labels))
    macro = f1_score(data.test.targets, predicted, labels=every, average="macro", zero_division=0.0)
    return Cell(
        source=data.name,
        strategy=arm,
        labels=trial.labels,
        seed=trial.seed,
        scores={"accuracy": float(right.mean()), "macro_f1": float(macro)},
        seconds=trial.spent["train_seconds"],
        peak_bytes=0,
        targets=data.test.hash,
        contributions={"accuracy": right.astype(np.float64)},
        extras={**trial.spent, "training_rows": len(trial.train), "load": load, "machine": machine()},
    )


def told(cell: Cell) -> dict[str, Any]:
    """What the committed results keep of a cell: all but the predictions."""
    kept = {name: getattr(cell, name) for name in ("source", "strategy", "labels", "seed", "scores", "extras")}
    return {**kept, "seconds": cell.seconds}


def main() -> int:
    """Measure what is missing, print the tables and the headline; the exit code says whether all targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with trec-train.csv, trec-test.csv and so on")
    parser.add_argument("--cells", type=Path, help="folder of finished cells (default: one in the user's cache)")
    parser.add_argument("--sets", default=",".join((*ENGLISH, CHINESE)), help="data sets, to share the work")
    parser.add_argument("--arms", default=",".join(ARMS), help="arms, to share the work")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="labels a class, to share the work")
    parser.add_argument("--kept", action="store_true", help="measure nothing, show the cells that are there")
    parser.add_argument("--quick", action="store_true", help="TREC, 8 labels a class, 1 draw, 100 questions")
    asked = parser.parse_args()
    names, arms, sizes = asked.sets.split(","), asked.arms.split(","), [int(size) for size in asked.sizes.split(",")]
    for name, known in [*((n, (*ENGLISH, CHINESE)) for n in names), *((a, ARMS) for a in arms)]:
        if name not in known:
            parser.error(f"{name!r} is none of: {', '.join(known)}")
    seeds = SEEDS
    if asked.quick:
        names, sizes, seeds = ["trec"], [8], 1
    store = CellStore(asked.cells or sources.cache_folder() / "cells" / "few_labels")
    sets = [data for data in (opened(name, asked.data, asked.quick) for name in names) if data is not None]
    # Cheap cells first, and all arms of a draw before the next draw: whatever time there was, arms can be compared.
    places = [(size, seed, data, arm) for size in sizes for seed in range(seeds) for data in sets for arm in arms]
    cells: list[Cell] = []
    with Progress("few labels", len(places), "cells") as progress:
        for size, seed, data, arm in places:
            cell = measured(data, arm, size, seed, store, asked.kept)
            cells += [cell] if cell is not None else []
            progress.advance(note=f"{data.name}, {arm}, {size} labels a class")
    table = Table(cells, OURS, ENGLISH)
    print(table)
    verdict, met = table.headline()
    print(verdict)
    for size in sizes:
        ready = [told(cell) for cell in cells if cell.labels == size]
        if asked.quick or len(ready) == len(ARMS) * SEEDS * (len(ENGLISH) + 1):
            Record(f"few_labels_{size}", asked.quick).keep({"cells": ready})
    return 0 if met or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main())
