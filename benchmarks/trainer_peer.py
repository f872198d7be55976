"""Hugging Face Trainer as a peer: what it and ours are given alike, its quickest setting, and the time that each took.

It fine-tunes at its own schedule (a linear fall without a rise) in bfloat16, in batches of like length; what is not
named here is its default.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Budget:
    """What both sides get.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Peak step size.
        max_length: Tokens of a row.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int


@dataclass(frozen=True)
class Timed:
    """Seconds of wall and of processor time that training and predicting took."""

    train: float
    predict: float
    train_processor: float
    predict_processor: float

    def cell(self) -> dict[str, float]:
        """As a benchmark keeps it."""
        return {name: round(value, 2) for name, value in vars(self).items()}


class Stopwatch:
    """Wall and processor time between its laps."""

    def __init__(self) -> None:
        self.marks = [(time.perf_counter(), time.process_time())]

    def lap(self) -> None:
        """Note the time."""
        self.marks.append((time.perf_counter(), time.process_time()))

    def timed(self) -> Timed:
        """Training up to the first lap, predicting up to the second."""
        (a, b, c), (d, e, f) = zip(*self.marks[:3], strict=True)
        return Timed(b - a, c - b, e - d, f - e)


def trained(model: Any, rows: Any, collator: Any, tokenizer: Any, budget: Budget, seed: int, scratch: Path) -> Any:
    """A Trainer that has trained `model` on these rows."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    settings = TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=budget.epochs,
        learning_rate=budget.learning_rate,
        per_device_train_batch_size=budget.batch_size,
        per_device_eval_batch_size=64,
        train_sampling_strategy="group_by_length",
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        seed=seed,
    )
    worker = Trainer(model=model, args=settings, train_dataset=rows, data_collator=collator, processing_class=tokenizer)
    worker.remove_callback(PrinterCallback)  # tables are for standard output alone
    worker.train()
    worker.args.train_sampling_strategy = "random"  # else `predict` gives rows in the order of its sampler
    return worker
