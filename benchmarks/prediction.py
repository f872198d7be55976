"""Prediction speed beside the `transformers` pipeline, at its defaults and at its best, on texts of mixed lengths.

    python benchmarks/prediction.py --data DIR [--quick]

MiniLM-L6 with a head on its first token, fine-tuned on MR sentences here and then given to both: the same weights and
labels, texts cut at 256 tokens. The file mixes TREC questions, MR and SST-2 sentences and, half of its tokens, IMDb
reviews; DIR holds `mr-train.csv`, `mr-test.csv`, `trec-test.csv` and `sst2-test.csv`. Opening models and choosing a
precision lie before the clock. The arms take turns. The same model compiled (`tl.compiled`, run by ONNX Runtime) is
two more arms, in fp32 and in the precision that `quicken` chose for it; with the package onnxruntime missing they are
not run. Needs `transferlm fetch minilm` and `transferlm fetch imdb`. Exit code 1 when prediction is not 8 times as fast
as the pipeline with one text at a time and 3 times as with 32, when one text takes more than half of its time, compiled
more than a third, or when fewer than 99.5% of the labels are its.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from record import Record

import transferlm as tl
from transferlm import sources
from transferlm.measure.peak_memory import PeakMemory
from transferlm.tasks.base import Examples

LENGTH = 256
FILES = {"trec-test.csv": 400, "mr-test.csv": 400, "sst2-test.csv": 200}
REVIEWS = 100
OURS = "transferlm"
TARGETS = {"pipeline, batch 1": 8.0, "pipeline, batch 32": 3.0}
LATENCY, COMPILED_LATENCY, SAME = 0.5, 1 / 3, 0.995
COMPILED = "compiled"


Way = Callable[[Sequence[str]], list[str]]
"""From texts to labels."""


class FirstToken(torch.nn.Module):
    """What stands in the place of BERT's pooler, so that the pipeline's model is ours."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The first token's state."""
        return states[:, 0]


def task_model(train: Examples, quick: bool) -> tl.TaskModel:
    """MiniLM fine-tuned for one epoch, its precision chosen on training sentences."""
    model = tl.load(sources.fetch("minilm"), max_length=LENGTH, pooling="cls")
    rows = train.subset(np.arange(160 if quick else 3200))
    made = tl.transfer(model, rows, tl.strategies.FineTuning(epochs=1, minimum_steps=0, held_out=0.0))
    for trial in made.quicken(rows.texts):
        print(trial)
    return made


def pipeline_of(made: tl.TaskModel, dtype: torch.dtype = torch.float32) -> Any:
    """The pipeline over the same weights."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        made.save(folder + "/model")
        tokenizer = AutoTokenizer.from_pretrained(folder + "/model")
        peer = AutoModelForSequenceClassification.from_pretrained(
            folder + "/model",
            num_labels=len(made.labels),
            id2label=dict(enumerate(made.labels)),
            label2id={label: number for number, label in enumerate(made.labels)},
        )
    peer.bert.pooler = FirstToken()
    peer.classifier.weight.data.copy_(torch.from_numpy(made.weights.T))
    peer.classifier.bias.data.copy_(torch.from_numpy(made.bias))
    return pipeline("text-classification", model=peer.to(dtype).eval(), tokenizer=tokenizer, device="cpu")


def piped(pipe: Any, texts: Sequence[str], batch: int, alike: bool = False) -> list[str]:
    """The pipeline's labels, texts given by length where that is asked for."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i])) if alike else list(range(len(texts)))
    found = pipe([texts[i] for i in order], batch_size=batch, truncation=True, max_length=LENGTH)
    labels = dict(zip(order, (one["label"] for one in found), strict=True))
    return [labels[i] for i in range(len(texts))]


def measured(predict: Way, texts: Sequence[str]) -> dict[str, Any]:
    """Texts a second, peak memory and the labels."""
    with PeakMemory() as memory:
        started = time.perf_counter()
        labels = predict(texts)
        seconds = time.perf_counter() - started
    return {"texts_a_second": len(texts) / seconds, "peak_mb": memory.bytes / 1e6, "labels": labels}


def latency(predict: Way, texts: Sequence[str]) -> dict[str, float]:
    """Milliseconds of one text at a time: the median, and what 95% stay under."""
    taken = []
    for text in texts:
        started = time.perf_counter()
        predict([text])
        taken.append(1000 * (time.perf_counter() - started))
    return {"median_ms": float(np.median(taken)), "p95_ms": float(np.quantile(taken, 0.95))}


def mixed(data: Path, quick: bool) -> list[str]:
    """The file's texts in a random order that is always the same."""
    part = 10 if quick else 1
    texts: list[str] = []
    for name, count in FILES.items():
        texts += tl.read(data / name, tl.tasks.Classification()).texts[: count // part]  # type: ignore[arg-type]
    reviews = tl.read(sources.fetch("imdb") / "imdb.csv", tl.tasks.Classification())
    texts += reviews.texts[:: len(reviews) // REVIEWS][: REVIEWS // part]  # type: ignore[arg-type]
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]


def compiled_arms(made: tl.TaskModel, sample: Sequence[str]) -> dict[str, Way]:
    """The compiled model in the precision chosen on the sample, and in fp32 where that is another; none without it."""
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        print("compiled: not run, the packages onnx and onnxruntime are missing")
        return {}
    model = tl.compiled(made, int8=True)
    assert isinstance(model, tl.TaskModel)
    for trial in model.quicken(sample):
        print(f"compiled, {trial}")
    ways: dict[str, Way] = {COMPILED: partial(labelled, model, "auto")}
    return ways if model.precision == "fp32" else {**ways, f"{COMPILED}, fp32": partial(labelled, model, "fp32")}


def labelled(model: tl.TaskModel, precision: str, texts: Sequence[str]) -> list[str]:
    """The labels that a task model predicts."""
    return [prediction.label for prediction in model.predict(texts, precision)]  # type: ignore[attr-defined]


def arms_of(made: tl.TaskModel, sample: Sequence[str]) -> dict[str, Way]:
    """What is compared, each from texts to labels."""
    plain, rounded = pipeline_of(made), pipeline_of(made, torch.bfloat16)
    ways: dict[str, Way] = {
        OURS: partial(labelled, made, "auto"),
        "pipeline, batch 1": lambda texts: piped(plain, texts, 1),
        "pipeline, batch 32": lambda texts: piped(plain, texts, 32),
        "pipeline, best": lambda texts: piped(rounded, texts, 32, alike=True),
    }
    ways |= compiled_arms(made, sample)
    for predict in ways.values():
        predict(["to compile and to warm up"] * 2)
    return ways


def main() -> int:
    """Print the table and the headline; the exit code says whether the targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the CSV files")
    parser.add_argument("--quick", action="store_true", help="a tenth of the texts and one round")
    arguments = parser.parse_args()
    quick = arguments.quick
    texts = mixed(arguments.data, quick)
    train = tl.read(arguments.data / "mr-train.csv", tl.tasks.Classification())
    made = task_model(train, quick)
    ways = arms_of(made, train.texts[:512])  # type: ignore[arg-type]
    record = Record("prediction", quick)
    data = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for turn in range(1 if quick else 3):
        for name, predict in ways.items():
            found[name].append(record.cell(f"{name}, turn {turn}, data {data}", partial(measured, predict, texts)))
    singles = [text for text in texts if len(text) < 200][: 20 if quick else 200]
    waits = {
        name: record.cell(f"{name}, one text, data {data}", partial(latency, ways[name], singles))
        for name in ways
        if name in (OURS, "pipeline, batch 1") or name.startswith(COMPILED)
    }
    return told(found, waits, len(texts), record)


def told(found: dict[str, list[dict[str, Any]]], waits: dict[str, dict[str, float]], count: int, record: Record) -> int:
    """Print; 0 when every target was met."""
    reference = found["pipeline, batch 1"][0]["labels"]
    print(f"MiniLM-L6, {count} texts of mixed lengths, medians of {len(found[OURS])}; {record.facts['machine']}")
    print(f"{'':20}{'texts/s':>10}{'peak MB':>10}{'same labels':>13}{'ours is faster by':>19}")
    ratios, same = {}, {}
    for name, cells in found.items():
        pairs = zip(found[OURS], cells, strict=True)
        ratios[name] = median(ours["texts_a_second"] / theirs["texts_a_second"] for ours, theirs in pairs)
        same[name] = float(np.mean([a == b for a, b in zip(reference, cells[0]["labels"], strict=True)]))
        speed, memory = (median(cell[key] for cell in cells) for key in ("texts_a_second", "peak_mb"))
        faster = "" if name == OURS else f"{ratios[name]:.2f} x"
        print(f"{name:20}{speed:>10.1f}{memory:>10.0f}{same[name]:>13.1%}{faster:>19}")
    for name, wait in waits.items():
        print(f"one text, {name}: {wait['median_ms']:.2f} ms, 95% under {wait['p95_ms']:.2f} ms")
    whole = waits["pipeline, batch 1"]["median_ms"]
    share, compiled = (waits[name]["median_ms"] / whole if name in waits else None for name in (OURS, COMPILED))
    assert share is not None
    quick = share <= LATENCY and (compiled is None or compiled <= COMPILED_LATENCY)
    right = all(same[name] >= SAME for name in same if name == OURS or name.startswith(COMPILED))
    met = all(ratios[name] >= target for name, target in TARGETS.items()) and quick and right
    speeds = ", ".join(f"{ratios[name]:.1f} times {name} (target {target:.0f})" for name, target in TARGETS.items())
    print(
        f"Prediction runs at {speeds}; one text takes {share:.0%} of the pipeline's time (target {LATENCY:.0%}),"
        f" compiled {'(not run)' if compiled is None else f'{compiled:.0%}'} (target {COMPILED_LATENCY:.0%});"
        f" {same[OURS]:.1%} of the labels are the same (target {SAME:.1%}): {'met' if met else 'missed'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
