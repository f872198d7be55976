"""Fine-tuning throughput and accuracy beside Hugging Face Trainer, at its defaults and at its best, in one run.

    python benchmarks/finetuning.py --data DIR [--quick]

MiniLM-L6, one epoch, batch size 16: on the first 3,200 sentences of MR's training part (`mr-train.csv`, tested on
`mr-test.csv`; DIR holds both), and on 640 reviews of IMDb at 256 tokens. On the sentences two strategies that do less
of the same work stand below: gradual unfreezing by its defaults, whose texts are counted once an epoch, and feature
extraction, which reads each once. The arms take turns, so that a machine that slows down slows them all; the tables
show medians. Needs `pip install transferlm[benchmarks]` and `transferlm fetch minilm imdb`. Exit code 1 when training
is not at least 3 times as fast as the Trainer's defaults and 1.5 times as fast as its best on sentences, and twice as
fast as its defaults on reviews.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from record import Record

import transferlm as tl
from transferlm import sources
from transferlm.tasks.base import Examples

DEFAULTS, TUNED = "Trainer, defaults", "Trainer, best"
BEST = {
    "bf16": True,
    "use_cpu": not torch.cuda.is_available(),
    "train_sampling_strategy": "group_by_length",
    "learning_rate": 1e-4,
}
Figures = dict[str, list[dict[str, float]]]
OURS, THAWED, FROZEN = "transferlm", "gradual unfreezing", "feature extraction"


@dataclass(frozen=True)
class Data:
    """What both sides learn.

    Attributes:
        name: As the table says it.
        train: Examples to learn from.
        test: Examples to score.
        length: Tokens of a text that are read.
        targets: Peer -> how many times as fast fine-tuning should be.
    """

    name: str
    train: Examples
    test: Examples
    length: int
    targets: dict[str, float]


def sentences(folder: Path, quick: bool) -> Data:
    """Short texts."""
    task = tl.tasks.Classification()
    train = task.read(folder / "mr-train.csv").subset(np.arange(320 if quick else 3200))
    test = task.read(folder / "mr-test.csv", labels=train.labels)
    test = test.subset(np.arange(200)) if quick else test
    return Data("MR sentences", train, test, 128, {DEFAULTS: 3.0, TUNED: 1.5})


def reviews(quick: bool) -> Data:
    """Long texts, drawn from all over the file."""
    rows, tested = (32, 32) if quick else (640, 400)
    whole = tl.tasks.Classification().read(sources.fetch("imdb") / "imdb.csv")
    places = np.linspace(0, len(whole) - 1, rows + tested).astype(np.int64)
    mixed = np.random.default_rng(0).permutation(places)
    return Data("IMDb reviews", whole.subset(mixed[:rows]), whole.subset(mixed[rows:]), 256, {DEFAULTS: 2.0})


WHOLE = {"minimum_steps": 0, "batch_size": 16, "held_out": 0.0}
STRATEGIES = {
    OURS: tl.strategies.FineTuning(epochs=1, **WHOLE),
    THAWED: tl.strategies.GradualUnfreezing(**WHOLE),
    FROZEN: tl.strategies.FeatureExtraction(),
}
"""Arm -> how we train in it."""


def ours(folder: Path, data: Data, strategy: Any, seed: int) -> dict[str, float]:
    """A strategy, everything from tokenising to the task model included."""
    model = tl.load(folder, max_length=data.length)
    started = time.perf_counter()
    made = tl.transfer(model, data.train, strategy, seed)
    trained = (time.perf_counter() - started) / getattr(strategy, "epochs", 1)
    started = time.perf_counter()
    scores = made.score(data.test)
    return _cell(trained, time.perf_counter() - started, scores.metrics["accuracy"], data)


def trainer(folder: Path, data: Data, options: dict[str, Any], seed: int) -> dict[str, float]:
    """One epoch by Hugging Face Trainer; tokenising before its clock starts, as its users do."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(data.train.labels))

    def rows(part: Examples) -> Any:
        tokens = tokenizer(list(part.texts), truncation=True, max_length=data.length)
        return Dataset.from_dict({**tokens, "label": part.targets.tolist()})

    train, test = rows(data.train), rows(data.test)
    with tempfile.TemporaryDirectory() as scratch:
        settings = TrainingArguments(
            output_dir=scratch,
            num_train_epochs=1,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=64,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=seed,
            **options,
        )
        worker = Trainer(model=model, args=settings, train_dataset=train, processing_class=tokenizer)
        started = time.perf_counter()
        worker.train()
        trained = time.perf_counter()
        found = worker.predict(test)
    # Its own labels: grouped by length, the Trainer gives predictions in the order of its sampler, not of the data.
    right = float((np.asarray(found.predictions).argmax(axis=1) == np.asarray(found.label_ids)).mean())
    return _cell(trained - started, time.perf_counter() - trained, right, data)


def _cell(training: float, testing: float, accuracy: float, data: Data) -> dict[str, float]:
    return {"train": len(data.train) / training, "predict": len(data.test) / testing, "accuracy": accuracy}


def times(found: Figures, name: str, peer: str) -> float:
    """How many times as fast as a peer an arm trains: the median over the rounds."""
    return median(a["train"] / b["train"] for a, b in zip(found[name], found[peer], strict=True))


def measured(folder: Path, data: Data, arms: Sequence[str], rounds: int, record: Record) -> Figures:
    """Every arm's cells, the arms taking turns."""
    ways = {
        **{name: partial(ours, folder, data, STRATEGIES[name]) for name in arms},
        DEFAULTS: partial(trainer, folder, data, {}),
        TUNED: partial(trainer, folder, data, BEST),
    }
    found: Figures = {name: [] for name in ways}
    for seed in range(rounds):
        for name, measure in ways.items():
            key = f"{name}, seed {seed}, {len(data.train)} rows, data {data.train.hash[:12]}"
            found[name].append(record.cell(key, partial(measure, seed)))
    return found


def told(data: Data, found: Figures) -> tuple[str, bool]:
    """Print a table; what fine-tuning reached there, and whether that was the target."""
    middle = {name: {k: median(cell[k] for cell in cells) for k in cells[0]} for name, cells in found.items()}
    rounds = len(found[OURS])
    print(f"MiniLM-L6, {len(data.train)} {data.name}, {data.length} tokens, batch 16, medians of {rounds} round(s)")
    peers = (DEFAULTS, TUNED)
    print(f"{'':20}{'texts/s an epoch':>17}{'predict texts/s':>17}{'accuracy':>10}", *(f"{n:>20}" for n in peers))
    for name, cell in middle.items():
        faster = "" if name in peers else "".join(f"{times(found, name, peer):>19.2f} x" for peer in peers)
        print(f"{name:20}{cell['train']:>17.1f}{cell['predict']:>17.1f}{cell['accuracy']:>10.3f}{faster}")
    ratios = {peer: times(found, OURS, peer) for peer in data.targets}
    reached = [f"{ratios[peer]:.2f} times {peer} (target {target})" for peer, target in data.targets.items()]
    met = all(ratios[peer] >= target for peer, target in data.targets.items())
    return f"{data.name}: {', '.join(reached)}: {'met' if met else 'missed'}", met


def main() -> int:
    """Print the tables and the headline; the exit code says whether all targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with mr-train.csv and mr-test.csv")
    parser.add_argument("--quick", action="store_true", help="320 sentences, 32 reviews and one round")
    arguments = parser.parse_args()
    quick = arguments.quick
    record, folder = Record("finetuning", quick), sources.fetch("minilm")
    rounds = 1 if quick else 3
    print(record.facts["machine"])
    verdicts = []
    for data, arms in ((sentences(arguments.data, quick), tuple(STRATEGIES)), (reviews(quick), (OURS,))):
        verdicts.append(told(data, measured(folder, data, arms, rounds, record)))
    print("Fine-tuning runs at ...", *(line for line, _ in verdicts), sep="\n")
    return 0 if all(met for _, met in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
