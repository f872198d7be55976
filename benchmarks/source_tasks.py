"""What labels of another task are worth: a source task first, then the target with few labels of its own.

    python benchmarks/source_tasks.py --data DIR [--quick]

First the strategy `linear_map` beside `feature_extraction` on one task alone (TREC, CR, MR, SST-2; GloVe and MiniLM; 8
and 64 labels a class), where for two classes nothing is to be expected of a map. Then chains: the body learns 2,000
examples of the source task, by `linear_map` or by `fine_tuning`, and `feature_extraction` on that body learns the
target from 8 or 32 labels a class, beside the same on the untouched encoder and beside TF-IDF, which is from scratch. 5
seeds draw the target's labels; gains with 95% intervals, seeds and test examples both random. MR and SST-2 share
sentences and are never a pair. DIR holds `<set>-train.csv` and `<set>-test.csv`; needs `transferlm fetch` of glove and
minilm. Exit code 1 when a map learnt from CR does not help MiniLM on MR with 8 labels a class (the interval's lower end
above 0).
"""

from __future__ import annotations

import argparse
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from labelled_sets import labelled_set
from record import Record

import transferlm as tl
from transferlm.experiments.remembered import Remembered
from transferlm.measure.intervals import paired_gain
from transferlm.text.draws import draw

POOL, SEEDS = 2000, 5
ALONE, SIZES, CHAIN_SIZES = ("trec", "cr", "mr", "sst2"), (8, 64), (8, 32)
CHAINS = (("cr", "mr"), ("mr", "cr"), ("cr", "sst2"), ("sst2", "cr"), ("trec", "mr"))
TARGET = "chain cr to mr, minilm, 8 labels, linear_map"
Parts = tuple[tl.Examples, tl.Examples]


@cache
def parts(data: Path, name: str) -> Parts:
    """A pool of training examples and the test part."""
    train, test = labelled_set(data, name)
    rows = np.random.default_rng(0).permutation(len(train))[:POOL]
    return train.subset(np.sort(rows), f"{POOL:,} of {train.name}"), test


@cache
def encoder(data: Path, name: str) -> Remembered:
    """The encoder, with all texts of all sets encoded once."""
    settings = {} if name == "glove" else {"max_length": 96}
    texts = [text for each in ALONE for part in parts(data, each) for text in part.strings]
    return Remembered(tl.load(tl.fetch(name), **settings), texts)  # type: ignore[arg-type]


def right(source: Any, few: tl.Examples, test: tl.Examples, strategy: Any, seed: int) -> np.ndarray:
    """Which test examples a transfer gets right: float64 of shape (examples,)."""
    scores: Any = tl.transfer(source, few, strategy, seed).score(test)
    return np.asarray(scores.probabilities.argmax(axis=1) == test.targets, np.float64)


def arms(sources: dict[str, tuple[Any, Any]], target: Parts, size: int, seeds: int) -> dict[str, np.ndarray]:
    """Name -> right or wrong, shape (seeds, examples), on the same draws."""
    train, test = target
    found: dict[str, list[np.ndarray]] = {name: [] for name in sources}
    for seed in range(seeds):
        few = train.subset(draw(train.targets, size, seed).rows)
        for name, (source, strategy) in sources.items():
            found[name].append(right(source, few, test, strategy, seed))
    return {name: np.stack(rows) for name, rows in found.items()}


def rows_of(found: dict[str, np.ndarray], against: str) -> list[dict[str, Any]]:
    """Accuracy of every arm, and its gain over one of them."""
    rows = []
    for name, table in found.items():
        gain = paired_gain(table, found[against])
        row = {"arm": name, "accuracy": float(table.mean())}
        rows.append(row if name == against else row | {"gain": gain.mean, "low": gain.low, "high": gain.high})
    return rows


def alone(data: Path, name: str, target: str, size: int, seeds: int) -> list[dict[str, Any]]:
    """A map and a head for the task at hand, beside the head alone."""
    source = encoder(data, name)
    strategies = {"feature_extraction": tl.strategies.FeatureExtraction(), "linear_map": tl.strategies.LinearMap()}
    found = arms({k: (source, s) for k, s in strategies.items()}, parts(data, target), size, seeds)
    return rows_of(found, "feature_extraction")


@cache
def taught(data: Path, name: str, task: str, method: str) -> Any:
    """The body after the source task."""
    train, _ = parts(data, task)
    if method == "linear_map":
        return tl.transfer(encoder(data, name), train, tl.strategies.LinearMap()).model
    body = tl.transfer(encoder(data, name).model, train, tl.strategies.FineTuning()).model
    texts = [text for each in ALONE for part in parts(data, each) for text in part.strings]
    return Remembered(body, texts)


def chain(data: Path, name: str, source: str, target: str, size: int, seeds: int) -> list[dict[str, Any]]:
    """The target with few labels, from the encoder and from what the source task made of it."""
    methods = ["linear_map"] if name == "glove" or seeds < SEEDS else ["linear_map", "fine_tuning"]
    plain = tl.strategies.FeatureExtraction()
    sources: dict[str, tuple[Any, Any]] = {"target alone": (encoder(data, name), plain)}
    sources |= {method: (taught(data, name, source, method), plain) for method in methods}
    sources["from scratch (tfidf)"] = (tl.models.TfIdf(), plain)
    return rows_of(arms(sources, parts(data, target), size, seeds), "target alone")


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print one cell."""
    print(title)
    for row in rows:
        gain = "" if "gain" not in row else "{gain:+8.1%} [{low:+.1%}, {high:+.1%}]".format(**row)
        print(f"  {row['arm']:24}{row['accuracy']:8.1%}{gain}")


def main() -> int:
    """Print a table a set, a table a chain, and whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with <set>-train.csv and <set>-test.csv")
    parser.add_argument(
        "--quick", action="store_true", help="GloVe alone, TREC and CR to MR, 8 labels a class, 2 seeds"
    )
    arguments = parser.parse_args()
    data, quick = arguments.data, arguments.quick
    record, seeds = Record("source_tasks", quick), 2 if quick else SEEDS
    kept: dict[str, dict[str, Any]] = {}
    for name in ("glove",) if quick else ("glove", "minilm"):
        for target in ALONE[: 1 if quick else 4]:
            for size in SIZES[: 1 if quick else 2]:
                key = f"{target} alone, {name}, {size} labels"
                show(key, record.cell(key, partial(alone, data, name, target, size, seeds)))
        for source, target in CHAINS[: 1 if quick else 5]:
            for size in CHAIN_SIZES[: 1 if quick else 2]:
                key = f"chain {source} to {target}, {name}, {size} labels"
                found = record.cell(key, partial(chain, data, name, source, target, size, seeds))
                show(key, found)
                kept |= {f"{key}, {row['arm']}": row for row in found if "gain" in row}
    told = kept[TARGET.replace("minilm", "glove") if quick else TARGET]
    met = told["low"] > 0
    print(
        "A map learnt from CR, then MR with 8 labels a class: {gain:+.1%} [{low:+.1%}, {high:+.1%}] over MR alone"
        " (target: above 0 for MiniLM): {verdict}".format(**told, verdict="met" if met else "missed")
    )
    return 0 if met or quick else 1


if __name__ == "__main__":
    sys.exit(main())
