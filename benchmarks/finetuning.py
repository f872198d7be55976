"""Fine-tuning throughput and accuracy beside Hugging Face Trainer, at its defaults and at its best, in one run.

    python benchmarks/finetuning.py --data DIR [--quick]

MiniLM-L6 on the first 3,200 sentences of MR's training part (`mr-train.csv`), one epoch, batch size 16, tested on
`mr-test.csv`; DIR holds both. Two strategies that do less of the same work stand below: gradual unfreezing by its
defaults, whose texts are counted once an epoch, and feature extraction, which reads each once. The arms take turns, so
that a machine that slows down slows them all; the table shows medians. Needs `pip install transferlm[benchmarks]` and
`transferlm fetch minilm`. Exit code 1 when training is not at least 2.5 times as fast as the Trainer's defaults and 1.3
times as fast as its best.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
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

TARGETS = {"Trainer, defaults": 2.5, "Trainer, best": 1.3}
BEST = {
    "bf16": True,
    "use_cpu": not torch.cuda.is_available(),
    "train_sampling_strategy": "group_by_length",
    "learning_rate": 1e-4,
}
OURS, THAWED, FROZEN = "transferlm", "gradual unfreezing", "feature extraction"


def strategies() -> dict[str, Any]:
    """Arm -> how we train in it."""
    whole = {"minimum_steps": 0, "batch_size": 16, "held_out": 0.0}
    return {
        OURS: tl.strategies.FineTuning(epochs=1, **whole),
        THAWED: tl.strategies.GradualUnfreezing(**whole),
        FROZEN: tl.strategies.FeatureExtraction(),
    }


def ours(folder: Path, train: Examples, test: Examples, strategy: Any, seed: int) -> dict[str, float]:
    """A strategy, everything from tokenising to the task model included."""
    model = tl.load(folder, max_length=128)
    started = time.perf_counter()
    made = tl.transfer(model, train, strategy, seed)
    trained = (time.perf_counter() - started) / getattr(strategy, "epochs", 1)
    started = time.perf_counter()
    scores = made.score(test)
    return _cell(trained, time.perf_counter() - started, scores.metrics["accuracy"], train, test)


def trainer(folder: Path, train: Examples, test: Examples, seed: int, **options: Any) -> dict[str, float]:
    """One epoch by Hugging Face Trainer; tokenising before its clock starts, as its users do."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(train.labels))
    parts = [
        Dataset.from_dict({**tokenizer(list(p.texts), truncation=True, max_length=128), "label": p.targets.tolist()})
        for p in (train, test)
    ]
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
        worker = Trainer(model=model, args=settings, train_dataset=parts[0], processing_class=tokenizer)
        started = time.perf_counter()
        worker.train()
        trained = time.perf_counter()
        found = worker.predict(parts[1])
    # Its own labels: grouped by length, the Trainer gives predictions in the order of its sampler, not of the data.
    right = float((np.asarray(found.predictions).argmax(axis=1) == np.asarray(found.label_ids)).mean())
    return _cell(trained - started, time.perf_counter() - trained, right, train, test)


def _cell(training: float, testing: float, accuracy: float, train: Examples, test: Examples) -> dict[str, float]:
    return {"train": len(train) / training, "predict": len(test) / testing, "accuracy": accuracy}


def times(found: dict[str, list[dict[str, float]]], name: str, peer: str) -> float:
    """How many times as fast as a peer an arm trains: the median over the rounds."""
    return median(a["train"] / b["train"] for a, b in zip(found[name], found[peer], strict=True))


def main() -> int:
    """Print the table and the headline; the exit code says whether both targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with mr-train.csv and mr-test.csv")
    parser.add_argument("--quick", action="store_true", help="320 sentences and one round")
    arguments = parser.parse_args()
    task = tl.tasks.Classification()
    whole = tl.read(arguments.data / "mr-train.csv", task)
    rows, rounds = (320, 1) if arguments.quick else (3200, 3)
    train = whole.subset(np.arange(rows))
    test = task.read(arguments.data / "mr-test.csv", labels=train.labels)
    if arguments.quick:
        test = test.subset(np.arange(200))
    folder = sources.fetch("minilm")
    arms: dict[str, Callable[[int], dict[str, float]]] = {
        **{name: partial(ours, folder, train, test, strategy) for name, strategy in strategies().items()},
        "Trainer, defaults": lambda seed: trainer(folder, train, test, seed),
        "Trainer, best": lambda seed: trainer(folder, train, test, seed, **BEST),
    }
    record = Record("finetuning", arguments.quick)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    for seed in range(rounds):
        for name, measure in arms.items():
            key = f"{name}, seed {seed}, {rows} rows, data {train.hash[:12]}"
            found[name].append(record.cell(key, partial(measure, seed)))
    middle = {name: {k: median(cell[k] for cell in cells) for k in cells[0]} for name, cells in found.items()}
    print(f"MiniLM-L6, {rows} MR sentences, batch 16, medians of {rounds} rounds; {record.facts['machine']}")
    print(f"{'':20}{'texts/s an epoch':>17}{'predict texts/s':>17}{'accuracy':>10}", *(f"{n:>20}" for n in TARGETS))
    for name, cell in middle.items():
        faster = "" if name in TARGETS else "".join(f"{times(found, name, peer):>19.2f} x" for peer in TARGETS)
        print(f"{name:20}{cell['train']:>17.1f}{cell['predict']:>17.1f}{cell['accuracy']:>10.3f}{faster}")
    ratios = {peer: times(found, OURS, peer) for peer in TARGETS}
    met = all(ratios[name] >= target for name, target in TARGETS.items())
    told = ", ".join(f"{ratios[name]:.2f} times {name} (target {target})" for name, target in TARGETS.items())
    print(f"Fine-tuning runs at {told}: {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
